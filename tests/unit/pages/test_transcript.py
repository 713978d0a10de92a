"""Conversations from transcripts that a container could write as it liked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lw_coder.pages.run_files import RunFiles
from lw_coder.pages.transcript import Transcript, read_transcript
from tests.support.recorded_run import AGENT, REVIEWER, call, heard, result, said, start, text


def read(folder: Path, *lines: str, most: int = 1_000_000, reviewer: list[str] | None = None) -> Transcript:
    for name, content in {AGENT: [start(AGENT, "Greet"), *lines], REVIEWER: reviewer}.items():
        if content is None:
            continue
        file = folder / "sessions/-workspace" / f"{name}.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{line}\n" for line in content))
    return read_transcript(RunFiles(folder), most)


def test_a_call_has_its_result_and_a_subagent_its_conversation(tmp_path: Path) -> None:
    reviewer = start(REVIEWER, "Reviewer: x", callingSessionId=AGENT, callingToolUseId="call_2")
    transcript = read(
        tmp_path,
        said(text("First"), call(1, "Execute", command="make\ntest")),
        said(call(2, "Task", subagent_type="code-review-auditor", prompt="Do")),
        heard(result(1, "no\n\n[Process exited with code 2]"), result(2, "A report")),
        heard(text("<system-reminder>x</system-reminder>"), text("<system-reminder>y")),
        heard(text("alone"), visibility="llm_only"),
        said(text("Last")),
        reviewer=[reviewer, heard(text("Do"))],
    )
    agent, review = transcript.conversations
    assert [part.kind for part in agent.parts] == ["said", "call", "call", "added", "said"]
    _, execute, task, _, _ = agent.parts
    assert execute.call
    assert (execute.call.tool, execute.call.told) == ("Execute", "make")
    assert execute.result
    assert execute.result.is_error
    assert agent.errors == 1
    assert task.call
    assert transcript.called_by(agent, task.call) is review
    assert review.subagent == "code-review-auditor"
    assert agent.last_words == "Last"


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "no JSON",
        "[1]",
        '"text"',
        "\x00\xff",
        json.dumps({"type": "message"}),
        json.dumps({"type": "message", "message": []}),
        json.dumps({"type": "message", "message": {"content": 1}}),
        json.dumps({"type": "message", "message": {"content": [1, None]}}),
        "[" * 100_000,
        '{"a":' * 5000 + "1" + "}" * 5000,
        '{"type": "message", "n": ' + "9" * 10_000 + "}",
    ],
)
def test_a_damaged_line_is_shown_as_one_and_hides_no_other(tmp_path: Path, line: str) -> None:
    (agent,) = read(tmp_path, said(text("before")), line, said(text("after"))).conversations
    assert [part.kind for part in agent.parts] == ["said", "damaged", "said"]
    assert len(agent.parts[1].text) < 500


@pytest.mark.parametrize(
    "block",
    [
        {"type": "tool_use"},
        {"type": "tool_use", "id": 1, "name": [], "input": "x"},
        {"type": "tool_use", "id": "x", "name": "Task", "input": {"subagent_type": {}}},
        {"type": "tool_result", "content": [{"type": "image"}, 1]},
        {"type": "tool_result", "tool_use_id": "call_9", "content": None, "is_error": "yes"},
        {"type": "thinking", "thinking": 1},
        {"type": ["x"]},
        {},
    ],
)
def test_a_part_of_which_nothing_fits_is_a_part(tmp_path: Path, block: dict[str, object]) -> None:
    (agent,) = read(tmp_path, said(text("before")), said(block), said(text("after"))).conversations
    assert [part.text for part in (agent.parts[0], agent.parts[-1])] == ["before", "after"]
    assert len(agent.parts) == 3


def test_what_is_too_much_is_left_out_in_the_middle(tmp_path: Path) -> None:
    lines = [said(text(f"{number} " + "x" * 1000)) for number in range(1000)]
    (agent,) = read(tmp_path, *lines, most=50_000).conversations
    assert agent.parts[0].text.startswith("0 ")
    assert agent.parts[-1].text.startswith("999 ")
    (gap,) = [part for part in agent.parts if part.kind == "gap"]
    assert gap.text == f"{1001 - len(agent.parts)} parts are left out here"
    assert sum(part.size for part in agent.parts) < 55_000


def test_a_small_conversation_leaves_its_room_to_a_large_one(tmp_path: Path) -> None:
    lines = [said(text("x" * 1000)) for _ in range(30)]
    reviewer = start(REVIEWER, "Reviewer", callingSessionId=AGENT, callingToolUseId="call_2")
    agent, review = read(tmp_path, *lines, most=45_000, reviewer=[reviewer]).conversations
    assert len(agent.parts) == 30
    assert review.parts == ()


def test_one_long_line_is_cut(tmp_path: Path) -> None:
    (agent,) = read(
        tmp_path, said(text("x" * 1_000_000)), "y" * 20_000_000, said(text("after"))
    ).conversations
    first, damaged, last = agent.parts
    assert "980,000 characters are left out here" in first.text
    assert len(damaged.text) < 500
    assert last.text == "after"


def test_no_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.jsonl").write_text(said(text("secret")) + "\n")
    folder = tmp_path / "run/sessions"
    folder.mkdir(parents=True)
    (folder / "a.jsonl").symlink_to(tmp_path / "secret.jsonl")
    (folder / "b.jsonl").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/c.jsonl").write_text(said(text("secret")) + "\n")
    (folder / "d").symlink_to(tmp_path / "elsewhere")
    assert "secret" not in str(read_transcript(RunFiles(tmp_path / "run")).conversations)
    assert read_transcript(RunFiles(tmp_path / "nothing")).conversations == ()
