"""What droid's transcripts say of a session, though its agent can write anything there."""

from __future__ import annotations

import json
import os
from pathlib import Path

from lw_coder.sessions.transcripts import TranscriptCounts

ANSWER = {"type": "message", "message": {"role": "assistant", "content": [{"type": "text", "text": "x"}]}}
CALL = {"type": "message", "message": {"role": "assistant", "content": [{"type": "tool_use", "id": "1"}]}}
RESULT = {"type": "message", "message": {"role": "user", "content": [{"type": "tool_result"}]}}
TYPED = {"type": "message", "message": {"role": "user", "content": [{"type": "text", "text": "Go on"}]}}
NUDGE = {"type": "message", "message": {"role": "user", "content": [], "visibility": "llm_only"}}


def transcript(folder: Path, name: str = "main") -> Path:
    path = folder / "sessions/-workspace" / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def add(path: Path, *lines: object) -> None:
    with path.open("a") as file:
        file.write("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))


def test_answers_and_steps_are_counted_once_and_from_now_on(tmp_path: Path) -> None:
    main = transcript(tmp_path)
    add(main, ANSWER, CALL)
    counts = TranscriptCounts(tmp_path)
    add(main, ANSWER, NUDGE, CALL, RESULT, TYPED)
    add(transcript(tmp_path, "subagent"), CALL)
    for _ in range(2):
        counts.update()
        assert (counts.turns, counts.steps) == (3, 4)


def test_words_of_an_agent_count_for_nothing(tmp_path: Path) -> None:
    counts = TranscriptCounts(tmp_path)
    quoted = {"message": {"role": "tool", "content": json.dumps([CALL, ANSWER], separators=(",", ":"))}}
    add(transcript(tmp_path), quoted)
    counts.update()
    assert (counts.turns, counts.steps) == (0, 0)


def test_a_conversation_that_is_counted_elsewhere_is_left_out(tmp_path: Path) -> None:
    counts = TranscriptCounts(tmp_path)
    add(transcript(tmp_path, "own"), CALL)
    add(transcript(tmp_path, "other"), ANSWER)
    counts.update(without="own")
    assert (counts.turns, counts.steps) == (1, 0)


def test_a_line_that_is_still_being_written_is_counted_when_it_is_whole(tmp_path: Path) -> None:
    counts, main = TranscriptCounts(tmp_path), transcript(tmp_path)
    whole = json.dumps(CALL, separators=(",", ":"))
    main.write_text(whole[:40])
    counts.update()
    assert counts.turns == 0
    main.write_text(whole + "\n")
    counts.update()
    assert counts.turns == 1


def test_nothing_that_an_agent_plants_is_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside.jsonl"
    add(outside, CALL)
    run = tmp_path / "run"
    counts = TranscriptCounts(run)
    transcript(run, "link").symlink_to(outside)
    os.mkfifo(transcript(run, "pipe"))
    (run / "sessions/away").symlink_to(tmp_path)
    counts.update()
    add(outside, CALL)
    counts.update()
    assert (counts.turns, counts.steps) == (0, 0)


def test_no_count_falls(tmp_path: Path) -> None:
    counts, main = TranscriptCounts(tmp_path), transcript(tmp_path)
    add(main, CALL, CALL)
    counts.update()
    main.unlink()
    counts.update()
    assert counts.turns == 2


def test_a_transcript_that_is_written_anew_is_not_counted_again(tmp_path: Path) -> None:
    counts, main = TranscriptCounts(tmp_path), transcript(tmp_path)
    add(main, CALL, CALL)
    counts.update()
    main.write_text("")
    add(main, CALL)
    counts.update()
    assert counts.turns == 2
    add(main, CALL)
    counts.update()
    assert counts.turns == 3
