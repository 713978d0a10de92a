"""A run in one line: what `runs list` and `plans list` show of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct

from lw_coder.foundation.counting import counted
from lw_coder.foundation.errors import RunError
from lw_coder.foundation.report import Cell
from lw_coder.pages.facts import Facts, Judgement
from lw_coder.runs.run_folders import Run, read_record
from lw_coder.runs.scores import read_score

_DAMAGED = "damaged"
_PARTS = ((timedelta(days=1), "day"), (timedelta(hours=1), "hour"), (timedelta(minutes=1), "minute"))


class RunRow(Struct, frozen=True):
    """A run and its record.

    Attributes:
        run: the run.
        record: its run.json, or None if that is damaged.
    """

    run: Run
    record: Mapping[str, Any] | None

    @property
    def facts(self) -> Facts:
        """What the record says."""
        return Facts(self.record or {})

    @property
    def outcome(self) -> Cell:
        """How the session ended."""
        if self.record is None:
            return Cell(_DAMAGED, "bad")
        return Cell(*_words(self.facts.outcome))

    @property
    def verdict(self) -> Cell:
        """The verdict, in words."""
        return Cell(*_words(self.facts.judged)) if self.facts.verdict else Cell("-")

    def age(self, now: datetime | None = None) -> str:
        """Return how long ago the run was started, such as `3 hours`."""
        passed = max((now or datetime.now(UTC)) - self.run.started, timedelta(0))  # the clock can be set back
        for unit, name in _PARTS:
            if number := passed // unit:
                return counted(number, name)
        return "now"

    def as_json(self) -> dict[str, Any]:
        """Return the run as `--json` prints it; the schema of `runs list` describes it."""
        facts = self.facts
        ended, verdict = facts.ended, facts.verdict
        return {
            "run": self.run.identity,
            "plan_id": self.run.plan_id,
            "model": facts.record.text("model") or None,
            "started_at": self.run.started.isoformat(),
            "seconds": self._seconds(),
            "status": self._status(),
            "outcome": ended.text("outcome") or None,
            "commits": _whole(ended.number("commits")),
            "verdict": ("passed" if verdict.flag("passed") else "not passed") if verdict else None,
            "cost_usd": ended.inner("spent").inner("total").number("cost_usd"),
            "score": self._score(),
        }

    def _seconds(self) -> float | None:
        start, end = self.facts.ended.time("started_at"), self.facts.ended.time("ended_at")
        return max((end - start).total_seconds(), 0.0) if start and end else None

    def _status(self) -> int | str | None:
        if self.record is None:
            return _DAMAGED
        return _whole(self.facts.ended.number("status")) if self.facts.ended else "not ended"

    def _score(self) -> float | None:
        try:
            score = read_score(self.run)
        except RunError:
            return None  # `runs show` says what is wrong with it
        return score.score if score else None


def read_rows(runs: Iterable[Run]) -> list[RunRow]:
    """Read the records of runs; one that another command has removed meanwhile is left out."""
    rows = map(read_row, runs)
    return [row for row in rows if row.record is not None or row.run.is_there()]


def read_row(run: Run) -> RunRow:
    """Read a run's record, which may be damaged."""
    try:
        return RunRow(run, read_record(run))
    except RunError:
        return RunRow(run, None)


def _words(judgement: Judgement) -> tuple[str, str]:
    return judgement.text, judgement.tone


def _whole(number: float | None) -> int | None:
    return None if number is None else int(number)
