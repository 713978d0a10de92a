"""Which answers of a model are fit to be used."""

from __future__ import annotations

import pytest

from lw_coder.dspy.answer_checks import fault_of_outputs, fault_of_wire, has_placeholder, is_refusal
from tests.support.patience import within_cpu_time

SECTION = {"heading": "Review", "findings": "All.", "actions_taken": "Each.", "left_open": "Why."}
OUTPUTS = {
    "main_prompt": "Read the parser before you change it.",
    "code_review_prompt": "Look for unclosed files in the reader.",
    "plan_alignment_prompt": "Check that the flag is documented.",
    "feedback_summary": {
        "title": "Summary",
        "code_review": SECTION,
        "plan_alignment": SECTION,
        "closing": "Decide on the flag.",
    },
}


@pytest.mark.parametrize(
    ("text", "finish_reason", "fault"),
    [
        ('{"a": "b"}', "stop", None),
        ('```json\n{"a": "b"}\n```\n', "stop", None),
        ('{"a": "b"}', "length", "was cut off at the token limit"),
        ("", "content_filter", "was refused by the model's provider"),
        ("{}", "error", "was broken off by the model's provider"),
        (" \n", "stop", "was empty"),
        ("I'm sorry, but I can't help with that.", "stop", "was a refusal"),
        ('{"a": "b"}\n```\nThat is all.', "stop", None),
        ('{"a": "{b}", "c": "half of {it} and', "stop", "was cut off, or is not the JSON that was asked for"),
        ('{"a": "b", "c": "half of', "stop", "was cut off, or is not the JSON that was asked for"),
    ],
)
def test_an_answer_is_judged_as_it_came_over_the_wire(
    text: str, finish_reason: str, fault: str | None
) -> None:
    assert fault_of_wire(text, finish_reason) == fault


@pytest.mark.parametrize(
    "text",
    [
        "Follow this:\n\n{plan_text}\n\nThen finish.",
        "Follow this:\n{{ coding plan }}\n",
        "- [[insert the plan here]]",
        "Carry out {plan}, then stop.",
        "Look at [[ ## plan ## ]] first.",
        "Run git diff <git_sha> first.",
        "${PLAN}",
    ],
)
def test_a_mark_where_text_should_be_is_a_placeholder(text: str) -> None:
    assert has_placeholder(text)


@pytest.mark.parametrize(
    "text",
    [
        "Format it with f'{name}: {value}' and echo ${HOME}.",
        "Guard it: `if [[ -f setup.cfg ]]; then`.",
        "Add this:\n\n```toml\n[[tool.mypy.overrides]]\n```\n",
        "Return an object:\n\n{\n  'a': 1\n}\n",
        "```\n{name}\n```",
        "Use a set such as {1, 2, 3}.",
    ],
)
def test_braces_and_brackets_of_code_are_no_placeholder(text: str) -> None:
    assert not has_placeholder(text)


def test_a_mark_that_the_plan_itself_has_is_a_quotation() -> None:
    assert not has_placeholder("Keep the template:\n{plan_id}\n", "The template is {plan_id}.")


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, I can't help with that.",
        "I\u2019m unable to assist with this request.",
        "Sorry - no.",
        "I cannot comply.",
        "As an AI, I must not.",
    ],
)
def test_a_short_apology_is_a_refusal(text: str) -> None:
    assert is_refusal(text)


def test_a_prompt_that_speaks_of_refusals_is_none() -> None:
    assert not is_refusal("Reply 'I am sorry' to the user when the account is locked.")
    assert not is_refusal("I cannot stress this enough: " + "read the parser first. " * 40)


def test_good_outputs_have_no_fault() -> None:
    assert fault_of_outputs(OUTPUTS, "") is None


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("main_prompt", "", "lacks a usable main_prompt"),
        ("code_review_prompt", "Ok.", "lacks a usable code_review_prompt"),
        (
            "plan_alignment_prompt",
            "I can't help with that request.",
            "has a refusal in plan_alignment_prompt",
        ),
        ("main_prompt", "As the plan says: {plan}", "has a placeholder in main_prompt"),
        ("feedback_summary", {"title": ""}, "lacks a usable feedback_summary.title"),
        ("feedback_summary", {"code_review": {"findings": "{findings}"}}, None),
    ],
)
def test_the_faulty_output_is_named(name: str, value: object, fault: str | None) -> None:
    found = fault_of_outputs({**OUTPUTS, name: value}, "")
    assert found == (fault or "has a placeholder in feedback_summary.code_review.findings")


SAME = "Read the plan, and do what it says."


@pytest.mark.parametrize(
    ("texts", "fault"),
    [
        ((SAME, SAME, SAME), "has the same text in main_prompt and code_review_prompt"),
        (
            (SAME, "Look for unclosed files.", f"# {SAME.upper()}\n"),
            "has the same text in main_prompt and plan_alignment_prompt",
        ),
        (
            ("Read the parser first.", SAME, f"**{SAME}**\n\n"),
            "has the same text in code_review_prompt and plan_alignment_prompt",
        ),
        ((SAME, f"{SAME} Report what is wrong.", f"{SAME} Report what is missing."), None),
    ],
)
def test_one_text_for_several_readers_is_a_fault(texts: tuple[str, ...], fault: str | None) -> None:
    names = ("main_prompt", "code_review_prompt", "plan_alignment_prompt")
    assert fault_of_outputs({**OUTPUTS, **dict(zip(names, texts, strict=True))}, "") == fault


@pytest.mark.parametrize(
    "piece", ["{", "[", "{ ", "{plan", "[[ plan", "- {a", "}", "{{a}", "## ", "`", "\n```\n"]
)
def test_an_answer_that_repeats_itself_is_checked_at_once(piece: str) -> None:
    # It takes a fraction of a second; what looks again at each brace takes days.
    assert within_cpu_time(60, lambda: has_placeholder(piece * 300_000 + "x")) is False
