"""The verdict on what a session committed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from lw_coder.verdicts.evaluation import JudgedNote
from lw_coder.verdicts.pointed_out import PointedOut
from lw_coder.verdicts.results import CheckResult

NOT_RUN = "the checks could not be run"


class Verdict(Struct, frozen=True):
    """What lw_coder itself found, and beside it the agent's word.

    Attributes:
        base: id of the commit that the plan starts from.
        tip: id of the verified commit.
        image: id of the image that the checks ran in.
        started: when, in UTC.
        ended: likewise.
        commits: how many commits the tip has that the base has not.
        rebuilt: whether that image was built from the tip.
        results: of each check, in the order of the configuration.
        changes: changes that can make a check pass for another reason than that the work is right.
        notes: the agent's word on each of the plan's evaluation notes.
        remarks: lines about the checkouts, escaped.
        problem: why the checks could not be run, in one line, or None.
    """

    base: str
    tip: str
    image: str
    started: datetime
    ended: datetime
    commits: int = 0
    rebuilt: bool = False
    results: tuple[CheckResult, ...] = ()
    changes: tuple[PointedOut, ...] = ()
    notes: tuple[JudgedNote, ...] = ()
    remarks: tuple[str, ...] = ()
    problem: str | None = None

    @property
    def passed(self) -> bool:
        """Whether every check passes at the tip, and something was committed."""
        return not self.reasons

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it did not pass, in words; empty if it did."""
        return tuple(self._reasons())

    def _reasons(self) -> Iterator[str]:
        if self.problem:
            yield f"{NOT_RUN}: {self.problem}"
        if self.tip == self.base:
            yield "nothing was committed"
        for result in self.results:
            if not result.meaning.is_good:
                yield f"{result.meaning}: {result.check.command}"

    def as_record(self) -> dict[str, Any]:
        """Return the verdict for run.json; docs/reference/verdict.md has its keys."""
        times = {"started_at": self.started.isoformat(), "ended_at": self.ended.isoformat()}
        commits = {"base": self.base, "tip": self.tip, "commits": self.commits}
        return {
            "passed": self.passed,
            "reasons": list(self.reasons),
            **commits,
            "image": self.image,
            "rebuilt": self.rebuilt,
            "checks": [result.as_record() for result in self.results],
            "changes": [asdict(change) for change in self.changes],
            "notes": [asdict(note) for note in self.notes],
            "remarks": list(self.remarks),
            **times,
        }
