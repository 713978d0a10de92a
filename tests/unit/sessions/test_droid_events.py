"""What is read of droid's event stream, whatever else is printed to it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lw_coder.sessions.droid_events import Event, Lines, parse


def event(**raw: Any) -> Event:
    return parse(json.dumps(raw).encode())


def test_the_answers_of_the_model_are_told_apart_by_their_ids() -> None:
    assert event(type="tool_call", id="call_0", messageId="m1").answer == "m1"
    assert event(type="message", role="assistant", id="m2").answer == "m2"
    assert event(type="message", role="user", id="m3").answer == ""
    assert event(type="tool_result", id="call_0", messageId="m4").answer == ""


def test_a_call_is_told_by_its_tool_and_the_first_line_of_what_it_is_about() -> None:
    call = event(type="tool_call", toolName="Execute", parameters={"summary": "x", "command": "a\nb"})
    assert call.call == ("Execute", "a")
    assert event(type="tool_call", toolName="TodoWrite", parameters={"todos": [1]}).call == ("TodoWrite", "")
    task = event(type="tool_call", toolName="Task", parameters={"subagent_type": "auditor"})
    assert (task.subagent, call.subagent) == ("auditor", "")


def test_only_tools_are_steps() -> None:
    kinds = ("tool_call", "tool_result", "message", "error", "completion", "system")
    assert [kind for kind in kinds if event(type=kind).is_step] == ["tool_call", "tool_result"]


def test_the_usage_is_the_counts_of_tokens() -> None:
    usage = {"input_tokens": 3, "output_tokens": 2, "factory_credits": 0, "ttft_ms": 1.5, "bad_tokens": "x"}
    assert event(type="completion", usage=usage).usage == {"input_tokens": 3, "output_tokens": 2}


@pytest.mark.parametrize(
    "line",
    [
        b"Container lw-droid Creating",
        b"[1, 2]",
        b'{"type": "completion"',
        b'{"type": "completion", "x": ' + b"[" * 100_000,
        b'{"type": "completion", "x": ' + b"[" * 500 + b"]" * 500 + b"}",
        b"\xff\xfe",
        b'{"n": ' + b"1" * 5000 + b"}",
    ],
)
def test_whatever_is_no_event_is_text(line: bytes) -> None:
    assert parse(line).kind == "text"


@pytest.mark.parametrize("raw", [{"type": 3}, {"type": "tool_call", "parameters": "x", "toolName": None}, {}])
def test_fields_of_other_types_are_empty(raw: dict[str, Any]) -> None:
    found = Event(raw)
    assert (found.answer, found.message, found.usage, found.subagent) == ("", "", {}, "")
    assert found.call == ("", "")


def test_lines_are_whole_however_they_arrive() -> None:
    lines, chunks = Lines(longest=5), (b"ab", b"c\n\nde\nf", b"", b"ghijklmn", b"op\nq")
    assert [line for chunk in chunks for line in lines.feed(chunk)] == [b"abc", b"de", b"fghij"]
    assert list(lines.end()) == [b"q"]
    assert list(lines.end()) == []


def test_brackets_in_texts_make_no_other_event_of_it() -> None:
    said = "[" * 300 + "{" * 300
    assert parse(json.dumps({"type": "completion", "finalText": said}).encode()).message == said
