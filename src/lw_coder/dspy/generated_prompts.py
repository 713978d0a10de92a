"""The result of the prompt-writing program. This module does not import DSPy."""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class GeneratedPrompts(Struct, frozen=True):
    """The signature's outputs, checked, and how they were generated. Everything can be stored as JSON.

    Attributes:
        main_prompt: guidance for the coding agent, Markdown.
        code_review_prompt: for the subagent code-review-auditor, Markdown.
        plan_alignment_prompt: for the subagent plan-alignment-checker, Markdown.
        feedback_summary: the dump of FeedbackSummary: the layout of the summary shown to the person.
        model: name of the model that was asked.
        usage: sums of `prompt_tokens`, `completion_tokens` and `total_tokens`; empty if nothing was paid for.
        cache_hit: no request was sent.
        attempts: how many answers were checked: 1 to 3, plus unusable ones of earlier runs in the cache.
        program_state: the dumped state of the DSPy program: instructions and demos.
        dspy_version: DSPy's version.
        inputs: the signature's inputs, `{"plan": {...}}`; with the outputs they make a `dspy.Example`.
    """

    main_prompt: str
    code_review_prompt: str
    plan_alignment_prompt: str
    feedback_summary: dict[str, Any]
    model: str
    usage: dict[str, int]
    cache_hit: bool
    attempts: int
    program_state: dict[str, Any]
    dspy_version: str
    inputs: dict[str, Any]

    @property
    def outputs(self) -> dict[str, Any]:
        """The signature's outputs by name: what run.json keeps for GEPA."""
        return {
            "main_prompt": self.main_prompt,
            "code_review_prompt": self.code_review_prompt,
            "plan_alignment_prompt": self.plan_alignment_prompt,
            "feedback_summary": self.feedback_summary,
        }
