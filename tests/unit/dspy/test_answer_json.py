"""An answer is found among whatever a model writes around it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lw_coder.dspy.answer_json import find_answers, is_closed, to_repair
from tests.support.patience import within_cpu_time

NAMES = ("text", "more")
ANSWER = {"text": "Write:\n```py\nf'{x}'\n```\nand } stop.", "more": {"a": "{", "text": "```"}}
JSON = json.dumps(ANSWER)
PRETTY = json.dumps(ANSWER, indent=2)


@pytest.mark.parametrize(
    "text",
    [
        JSON,
        PRETTY,
        f"```json\n{PRETTY}\n```",
        f"~~~\n{PRETTY}\n~~~\nThat is all.",
        f"Here is {{the answer}} for f(x) = {{x}}, a set {{1, 2}} and ${{HOME}}:\n{JSON}",
        f"{JSON}\nI hope {{this}} helps, and }} too.",
        f"Sure!\n\n```json\n{PRETTY}\n```\nIt has a fence:\n```\n{{}}\n```\n",
        f'An example: {{"text": "short"}}. The answer:\n{JSON}',
        f'<think>{{"text": "a draft", "more": {{}}}}</think>\n{JSON}',
        f'{{"answer": {JSON}}}',
        f"[{JSON}]",
        f'{{"text": "begun {{", "and then anew:\n{JSON}',
        JSON.replace("\\n", "\n"),
    ],
)
def test_the_answer_is_found(text: str) -> None:
    assert find_answers(text, NAMES)[-1] == ANSWER


def test_drafts_are_found_before_it() -> None:
    draft = {"text": "short", "more": {}}
    assert find_answers(f"{json.dumps(draft)}\n{JSON}", NAMES) == [draft, ANSWER]


@pytest.mark.parametrize("text", ["", "{}", '{"text": 1}', JSON[:-1], JSON[:-2], "{'text': 'x', 'more': 1}"])
def test_what_is_no_whole_answer_is_not_found(text: str) -> None:
    assert find_answers(text, NAMES) == []


@given(st.text('{}"`\n :,x[]\\', max_size=40), st.text('{}"`\n :,x[]\\', max_size=40))
def test_any_prose_may_stand_around_it(before: str, after: str) -> None:
    assert find_answers(f"{before}\n{JSON}\n{after}", NAMES) == [ANSWER]


@pytest.mark.parametrize(
    ("text", "closed"),
    [
        ("{'text': 'x'}", True),
        ("```json\n{'text': 'x',}\n```", True),
        ("```json\n{'text': 'x'}\n```\nThat is all.", True),
        ("```json\n{'text': 'x'}```", True),
        ("{'text': 'x {y} and", False),
        ('{"text": "x {y}\\n```\\n and', False),
        ("I cannot.", False),
    ],
)
def test_an_object_that_is_cut_off_is_not_closed(text: str, closed: bool) -> None:  # noqa: FBT001
    assert is_closed(text) is closed


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("So {x}:\n{'text': 1,}", "{'text': 1,}"),
        ("So {x}:\n```\n{'text': 1,}\n```\nThat {was} all.", "{'text': 1,}"),
        ("{text: 1}", "{text: 1}"),
        ("no answer", "no answer"),
    ],
)
def test_only_the_object_is_repaired(text: str, part: str) -> None:
    assert to_repair(text, NAMES) == part


@pytest.mark.parametrize("piece", ['{"', '{"text":', "{", "}", "}\n", "} ", '{"a": [1, ', "```\n}\n", "[{"])
def test_an_answer_that_repeats_itself_is_searched_at_once(piece: str) -> None:
    text = piece * 300_000

    def search() -> bool:
        return not find_answers(text, NAMES) and (is_closed(text) or True) and bool(to_repair(text, NAMES))

    assert within_cpu_time(60, search)
