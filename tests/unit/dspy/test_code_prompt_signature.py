"""The signature, its structured slot, and the program as GEPA will meet it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import dspy
import pytest
from pydantic import TypeAdapter, ValidationError

from lw_coder.dspy.code_prompt_signature import CodePromptProgram, CodePromptSignature, FeedbackSummary
from lw_coder.plans.plan_file import PlanMetadata

PLAN = PlanMetadata(
    "sample-plan", "de528997b23028fdd0732ae6d17a8c11ad6c6348", "draft", ("It works.",), "# Do"
)
SECTION = {"heading": "h", "findings": "f", "actions_taken": "a", "left_open": "l"}
SUMMARY = {"title": "t", "code_review": SECTION, "plan_alignment": SECTION, "closing": "c"}


def test_it_takes_a_plan_and_gives_three_prompts_and_the_summarys_layout() -> None:
    fields = CodePromptSignature.fields
    assert {name: field.annotation for name, field in fields.items()} == {
        "plan": PlanMetadata,
        "main_prompt": str,
        "code_review_prompt": str,
        "plan_alignment_prompt": str,
        "feedback_summary": FeedbackSummary,
    }
    assert list(CodePromptSignature.input_fields) == ["plan"]


def test_the_instructions_are_ascii_and_hold_no_placeholder() -> None:
    instructions = CodePromptSignature.instructions
    assert instructions.isascii()
    assert "{" not in instructions
    assert "[[" not in instructions
    for word in ("code-review-auditor", "plan-alignment-checker", "/tmp/lw_coder/main_prompt.md"):  # noqa: S108
        assert word in instructions


def test_the_layout_asks_for_findings_actions_and_what_is_left_open_of_each_subagent() -> None:
    assert FeedbackSummary.model_validate(SUMMARY).model_dump() == SUMMARY
    with pytest.raises(ValidationError):
        FeedbackSummary.model_validate({**SUMMARY, "code_review": {"heading": "h"}})


def test_the_plan_reaches_the_model_whole() -> None:
    messages = dspy.JSONAdapter().format(CodePromptSignature, [], {"plan": PLAN})
    sent = messages[-1]["content"]
    found = json.loads(sent[sent.index("{") : sent.rindex("}") + 1])
    assert TypeAdapter(PlanMetadata).validate_python(found) == PLAN


def test_an_optimised_program_is_saved_and_loaded_with_its_demos(tmp_path: Path) -> None:
    program = CodePromptProgram()
    program.generate.signature = program.generate.signature.with_instructions("Be brief.")
    program.generate.demos = [dspy.Example(plan=PLAN, main_prompt="m", feedback_summary=SUMMARY)]
    program.save(str(tmp_path / "state.json"))

    loaded = CodePromptProgram()
    loaded.load(str(tmp_path / "state.json"))

    assert [name for name, _ in loaded.named_predictors()] == ["generate"]
    assert loaded.generate.signature.instructions == "Be brief."
    assert loaded.generate.demos[0]["plan"]["plan_id"] == "sample-plan"
    assert loaded.generate.lm is None


def test_an_example_can_be_made_of_what_a_run_keeps() -> None:
    kept = json.loads(json.dumps({"plan": asdict(PLAN)}))
    plan = TypeAdapter(PlanMetadata).validate_python(kept["plan"])
    example = dspy.Example(plan=plan, main_prompt="m").with_inputs("plan")
    assert example.inputs()["plan"] == PLAN
