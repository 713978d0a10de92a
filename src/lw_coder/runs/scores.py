"""A person's score of a run, and their feedback: `score.json` in the run's folder.

It is no part of run.json, which a session that is ending, or an import, may be writing at the same moment.
"""

from __future__ import annotations

import json
import math
import os
from datetime import UTC, datetime

from msgspec import Struct
from msgspec.structs import asdict

from lw_coder.foundation.errors import RunError
from lw_coder.foundation.files import read_regular
from lw_coder.foundation.json_text import read_json
from lw_coder.foundation.report import is_utf8, printable
from lw_coder.runs.run_folders import Run, disk_error, write_file

SCORE_FILE = "score.json"

_SHOWN_LENGTH = 60  # characters of a wrong value that a message repeats
_REMEDY = "score the run again with `lw_coder runs score`, or remove that file"


class Score(Struct, frozen=True):
    """How good a run was.

    Attributes:
        score: from 0 (useless) to 1 (nothing to improve).
        feedback: why, in the person's words; may be empty.
        scored_at: when, in UTC, ISO 8601.
    """

    score: float
    feedback: str
    scored_at: str


def parse_score(typed: str, feedback: str, now: datetime | None = None) -> Score:
    """Read what a person typed.

    Raises:
        RunError: it is not a number from 0 to 1, or the feedback is not UTF-8.
    """
    number = _number(typed)
    if not 0 <= number <= 1:  # false for nan too
        raise RunError(
            f"{printable(typed[:_SHOWN_LENGTH]) or 'SCORE'}: is not a score",
            "give a number from 0 to 1, such as 0.8",
        )
    if not is_utf8(feedback):
        raise RunError("--feedback: is not UTF-8 text", "type it in a terminal that uses UTF-8")
    when = (now or datetime.now(UTC)).isoformat(timespec="seconds")
    return Score(abs(number), feedback.strip(), when)  # abs: -0 is 0


def write_score(run: Run, score: Score) -> None:
    """Store a run's score in place of an earlier one.

    Raises:
        RunError: the file cannot be written.
    """
    try:
        write_file(run.folder, SCORE_FILE, json.dumps(asdict(score), indent=2, sort_keys=True) + "\n")
    except OSError as error:
        raise disk_error(run.folder / SCORE_FILE, error) from error


def read_score(run: Run) -> Score | None:
    """Return a run's score, or None if it has none.

    Raises:
        RunError: the file cannot be read, or is damaged.
    """
    path = run.folder / SCORE_FILE
    if not is_scored(run):
        return None
    try:
        return _checked(read_json(read_regular(path).decode()))
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror}", _REMEDY) from error
    except (ValueError, TypeError, KeyError) as error:
        raise RunError(f"{path}: is not a score", _REMEDY) from error


def is_scored(run: Run) -> bool:
    """Return whether a run has a score, readable or not."""
    return os.path.lexists(run.folder / SCORE_FILE)


def _checked(known: dict[str, object]) -> Score:
    score, feedback = known["score"], known["feedback"]
    if not isinstance(score, int | float) or not isinstance(feedback, str) or not 0 <= score <= 1:
        raise ValueError
    return Score(float(score), feedback, str(known["scored_at"]))


def _number(typed: str) -> float:
    try:
        return float(typed) if typed.isascii() and "_" not in typed else math.nan
    except ValueError:
        return math.nan
