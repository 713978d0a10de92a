"""A metric for `dspy.GEPA`: a model judges prompts by what a person said of the run with earlier ones."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import dspy
from dspy.utils.exceptions import AdapterParseError
from pydantic_core import to_jsonable_python

from lw_coder.dspy.answer_adapter import AnswerAdapter
from lw_coder.dspy.answer_checks import fault_of_outputs
from lw_coder.dspy.code_prompt_signature import CodePromptSignature
from lw_coder.dspy.prompt_orchestrator import ATTEMPTS, RETRY_TEMPERATURE, own_words
from lw_coder.foundation.errors import PromptError
from lw_coder.plans.plan_file import PlanMetadata

Metric = Callable[..., dspy.Prediction]


class JudgePrompts(dspy.Signature):  # type: ignore[misc]  # DSPy ships no types
    """Judge prompts that were written for one session in which a coding agent carries out a plan.

    Whoever wrote them had only the plan, and could not see the repository. The agent gets the plan word for
    word as well, so prompts that repeat it add nothing. Earlier prompts for the same plan were used in a
    session; earlier_score and earlier_feedback are what a person said of its result, if anything.

    score is the score that you expect the same person to give a session with the new prompts: 0 is useless,
    1 leaves nothing to improve. Prompts that are as good as the earlier ones get the earlier score, if there
    is one. Ask: would what earlier_feedback criticises happen again? Does the agent learn how to reach each
    of the plan's evaluation_notes, and do the reviewers learn how to verify it? Is anything invented, vague,
    or true of every plan?

    critique says what whoever writes such prompts should do differently, in general: they will write the
    next ones for other plans. Say why, with examples from these prompts.
    """

    plan: PlanMetadata = dspy.InputField(desc="the plan that the prompts are for")
    new_prompts: dict[str, Any] = dspy.InputField(desc="the prompts to judge, by name")
    earlier_prompts: dict[str, Any] = dspy.InputField(desc="the prompts of the earlier session, by name")
    earlier_score: float | None = dspy.InputField(desc="a person's score of that session, from 0 to 1")
    earlier_feedback: str | None = dspy.InputField(desc="their feedback")
    critique: str = dspy.OutputField(desc="what to do differently, and why")
    score: float = dspy.OutputField(desc="a number from 0 to 1")


def sample_metric(judge: dspy.LM) -> Metric:
    """Make a metric with feedback, for examples of `lw_coder.dspy.tuning.examples`.

    Prompts that `lw_coder code` would refuse get 0, with the reason as feedback. All others are judged by a
    model, which knows the run's score and feedback. GEPA's reflection gets the person's feedback too.

    Args:
        judge: the model that judges. It need not be the one that writes.

    Returns:
        A function that takes GEPA's five arguments and returns a `dspy.Prediction` of `score`, from 0 to 1,
        and `feedback`. It raises a PromptError if the judge gives no usable answer.
    """
    adapter = AnswerAdapter()  # one for all: it remembers what the server refuses

    def metric(
        gold: dspy.Example,
        pred: dspy.Prediction,
        trace: object = None,  # noqa: ARG001 - GEPA's
        pred_name: str | None = None,  # noqa: ARG001
        pred_trace: object = None,  # noqa: ARG001
    ) -> dspy.Prediction:
        written = _prompts(pred)
        if fault := fault_of_outputs(written, own_words(gold.plan)):
            return _judged(gold, 0.0, f"The answer {fault}: lw_coder refuses it.")
        with dspy.context(lm=judge, adapter=adapter):
            answer = _judgement(gold, written)
        if answer is None:
            raise PromptError(
                f"the language model {judge.model} gave no usable judgement in {ATTEMPTS} answers",
                "let another model judge",
            )
        return _judged(gold, answer.score, answer.critique)

    return metric


def _prompts(texts: dspy.Example | dspy.Prediction) -> dict[str, Any]:
    names = CodePromptSignature.output_fields
    return {name: to_jsonable_python(texts[name]) for name in names if name in texts}


def _judgement(gold: dspy.Example, written: dict[str, Any]) -> dspy.Prediction | None:
    """Ask the judge, and again after an unusable answer: each one is cached."""
    for attempt in range(ATTEMPTS):
        with suppress(AdapterParseError):
            answer = dspy.Predict(JudgePrompts)(
                plan=gold.plan,
                new_prompts=written,
                earlier_prompts=_prompts(gold),
                earlier_score=gold.get("score"),
                earlier_feedback=gold.get("feedback"),
                config={"rollout_id": attempt, "temperature": RETRY_TEMPERATURE} if attempt else {},
            )
            if isinstance(answer.score, float) and 0 <= answer.score <= 1:
                return answer
    return None


def _judged(gold: dspy.Example, score: float, critique: str) -> dspy.Prediction:
    said = gold.get("feedback")
    of_person = f"\n\nA person said of a session with earlier prompts for this plan: {said}" if said else ""
    return dspy.Prediction(score=score, feedback=critique + of_person)
