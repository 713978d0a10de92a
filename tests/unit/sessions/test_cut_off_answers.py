"""What droid's transcripts say of answers that were cut off; the lines are those of droid 0.215.0."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from lw_coder.sessions.cut_off_answers import MOST, CutOffAnswers
from lw_coder.sessions.transcript_watch import Limits, stopped_if_flooded
from tests.support.patience import PATIENCE

TEXT = "Your previous response ended before completion. Continue where you left off."


def line(role: str, *content: dict[str, object], visibility: str | None = None) -> str:
    message = {"role": role, "content": content, **({"visibility": visibility} if visibility else {})}
    return json.dumps({"type": "message", "id": "1", "message": message}, separators=(",", ":")) + "\n"


def text(words: str) -> dict[str, object]:
    return {"type": "text", "text": words}


CUT_OFF = line("user", text(TEXT), visibility="llm_only")
ANSWER = line("assistant", text("So far:"))
REMINDER = line("user", text("<system-reminder>Use the tools.</system-reminder>"), visibility="llm_only")
TOOL = line("assistant", text("I read."), {"type": "tool_use", "id": "2", "name": "Read", "input": {}})
RESULT = line("user", {"type": "tool_result", "tool_use_id": "2", "content": f"A file: {CUT_OFF}"})
TYPED = line("user", text("Go on, please."))


@pytest.fixture
def transcript(tmp_path: Path) -> Path:
    (tmp_path / "sessions/-workspace").mkdir(parents=True)
    return tmp_path / "sessions/-workspace/1.jsonl"


def append(transcript: Path, words: str) -> None:
    with transcript.open("a", encoding="utf-8") as file:
        file.write(words)


def verdicts(transcript: Path, *additions: str) -> list[bool]:
    """Tell, after each addition, whether there are too many."""
    append(transcript, REMINDER)
    answers = CutOffAnswers(transcript.parents[2])
    found = []
    for words in additions:
        append(transcript, words)
        found.append(answers.are_too_many())
    return found


def test_a_row_of_them_is_too_many(transcript: Path) -> None:
    assert verdicts(transcript, *[ANSWER + CUT_OFF] * MOST) == [False] * (MOST - 1) + [True]


def test_empty_answers_leave_no_line_of_their_own(transcript: Path) -> None:
    assert verdicts(transcript, CUT_OFF * (MOST - 1), REMINDER + CUT_OFF) == [False, True]


@pytest.mark.parametrize("progress", [TOOL, RESULT, TYPED])
def test_a_row_ends_with_a_step(transcript: Path, progress: str) -> None:
    assert verdicts(transcript, CUT_OFF * (MOST - 1), progress + CUT_OFF) == [False, False]


@pytest.mark.parametrize(
    "quotation", [RESULT, line("user", text(TEXT + " I saw.")), line("assistant", text(CUT_OFF))]
)
def test_who_quotes_it_is_not_cut_off(transcript: Path, quotation: str) -> None:
    assert verdicts(transcript, quotation * MOST) == [False]


def test_a_line_may_come_in_parts(transcript: Path) -> None:
    row = CUT_OFF * MOST
    assert verdicts(transcript, row[:-20], row[-20:]) == [False, True]


def test_the_history_of_a_continued_conversation_is_not_counted(transcript: Path) -> None:
    append(transcript, CUT_OFF * MOST)
    assert verdicts(transcript, ANSWER) == [False]
    append(transcript.with_name("2.jsonl"), CUT_OFF * MOST)
    answers = CutOffAnswers(transcript.parents[2])
    append(transcript.with_name("3.jsonl"), CUT_OFF * MOST)
    assert answers.are_too_many() is False
    append(transcript.with_name("3.jsonl"), TYPED + ANSWER + CUT_OFF)
    assert answers.are_too_many() is False


def test_links_and_pipes_are_not_read(transcript: Path, tmp_path: Path) -> None:
    append(tmp_path / "elsewhere.jsonl", CUT_OFF)
    transcript.symlink_to(tmp_path / "elsewhere.jsonl")
    os.mkfifo(transcript.with_name("pipe.jsonl"))
    answers = CutOffAnswers(transcript.parents[2])
    append(tmp_path / "elsewhere.jsonl", CUT_OFF * MOST)
    assert answers.are_too_many() is False


def test_the_session_is_stopped_and_told_what_to_raise(
    transcript: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stopped = threading.Event()
    append(transcript, ANSWER)
    with stopped_if_flooded(transcript.parents[1], stopped.set, Limits(interval=0.01)):
        append(transcript, CUT_OFF * MOST)
        assert stopped.wait(PATIENCE)
    (told,) = capsys.readouterr().err.splitlines()
    assert "the session was stopped: 3 answers of its model in a row were cut off" in told
    assert "raise max_output_tokens in .lw_coder/config.toml" in told
