"""Is a model's answer fit to be used? Pure.

A fault is what can follow "the answer": "was empty". It never quotes the model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from lw_coder.dspy.answer_json import find_answers, is_closed

SHORTEST_PROMPT = 20  # characters; below that nothing can be meant as a prompt
LONGEST_REFUSAL = 400  # characters; a longer text that begins so is a prompt about refusals

_ENDED_BADLY = {
    "length": "was cut off at the token limit",
    "content_filter": "was refused by the model's provider",
    "error": "was broken off by the model's provider",
}

OUTPUTS = ("main_prompt", "code_review_prompt", "plan_alignment_prompt", "feedback_summary")

_FIELDS = "|".join(("plan", "plan_id", "git_sha", *OUTPUTS))
_NAMED = rf"(?:##\s*+)?(?:{_FIELDS}|plan[._ ](?:body|text|content|markdown))(?:\s*+##)?"
# Possessive, and from the first brace of a row alone: a model that repeats itself writes thousands of them.
_NAMED_PLACEHOLDER = re.compile(
    rf"(?<!\{{)\{{++\s*+{_NAMED}\s*+\}}++|\[\[\s*+{_NAMED}\s*+\]\]|<git_sha>", re.IGNORECASE
)
_LONE_PLACEHOLDER = re.compile(
    r"^[ \t]*(?:[-*#>]+[ \t]+)?(\$?\{++[ \t]*+[\w. -]{1,60}\}++|\[\[[^\[\]\n]{1,80}\]\])[ \t]*$", re.MULTILINE
)
_WORD = re.compile(r"\w+")
_FENCED = re.compile(r"^[ \t]*(```+|~~~+).*?(?:^[ \t]*\1|\Z)", re.DOTALL | re.MULTILINE)
_REFUSAL = re.compile(
    r"\W*(?:(?:i['\u2019]?m|i am|we['\u2019]?re) (?:very |really )?(?:sorry|unable|not able)|sorry\b"
    r"|i (?:can ?not|can['\u2019]t|won['\u2019]t|will not|must decline)|as an ai\b|unfortunately,? i\b)",
    re.IGNORECASE,
)


def fault_of_wire(text: str, finish_reason: str) -> str | None:
    """Say what is wrong with an answer as it came over the wire, or None.

    `finish_reason` is lm15's: stop, length, tool_call, content_filter or error.
    """
    if finish_reason in _ENDED_BADLY:
        return _ENDED_BADLY[finish_reason]
    if not text.strip():
        return "was empty"
    if is_refusal(text):
        return "was a refusal"
    if not find_answers(text, OUTPUTS) and not is_closed(text):
        return "was cut off, or is not the JSON that was asked for"  # a repairing parser would hide it
    return None


def fault_of_outputs(outputs: Mapping[str, Any], plan_text: str) -> str | None:
    """Say which of the signature's outputs cannot be used and why, or None.

    A placeholder that stands in the plan itself is a quotation, not a fault.
    """
    for name, text in _texts(outputs):
        shortest = SHORTEST_PROMPT if name.endswith("_prompt") else 1
        if len(text.strip()) < shortest:
            return f"lacks a usable {name}"
        if is_refusal(text):
            return f"has a refusal in {name}"
        if has_placeholder(text, plan_text):
            return f"has a placeholder in {name}"
    return _repetition(outputs)


def _repetition(outputs: Mapping[str, Any]) -> str | None:
    """Say which prompts are one text: a weak model repeats itself, or the plan, for every reader."""
    first: dict[str, str] = {}
    for name, text in _texts(outputs):
        if not name.endswith("_prompt"):
            continue
        other = first.setdefault(" ".join(_WORD.findall(text.casefold())), name)
        if other != name:
            return f"has the same text in {other} and {name}"
    return None


def is_refusal(text: str) -> bool:
    """Whether a text is a short apology instead of what was asked for."""
    return len(text) <= LONGEST_REFUSAL and _REFUSAL.match(text) is not None


def has_placeholder(text: str, plan_text: str = "") -> bool:
    """Whether `{name}` or `[[...]]` stands where the plan or text should be.

    That is a field's name in braces or double brackets anywhere, or any such mark alone on a line
    outside a code block. Shell, TOML and f-strings within sentences and code blocks are left alone.
    """
    named = (match[0] for match in _NAMED_PLACEHOLDER.finditer(text))
    lone = (match[1] for match in _LONE_PLACEHOLDER.finditer(_FENCED.sub("", text)))
    return any(mark not in plan_text for mark in (*named, *lone))


def _texts(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, item in value.items():
        if isinstance(item, Mapping):
            yield from _texts(item, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(item)
