"""The results of checks, and the verdict."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from lw_coder.verdicts.checks import Check

NOT_FOUND = 127  # the status of a shell that does not find a command


class Meaning(StrEnum):
    """What the results of a check at the base commit and at the tip mean."""

    PASSES = "passes"
    FIXED = "fixed"
    BROKEN = "broken"
    STILL_FAILING = "still failing"
    TIMED_OUT = "timed out"
    MISSING_COMMAND = "missing command"
    NOT_RUN = "not run"

    @property
    def is_good(self) -> bool:
        """Whether the verdict can be that the result passed."""
        return self in {Meaning.PASSES, Meaning.FIXED}


class Outcome(Struct, frozen=True):
    """The result of one check at one commit.

    Attributes:
        status: its exit status; None if it timed out or was not run.
        seconds: how long it ran, without the checkout; None if it was not run.
        timed_out: whether it was ended after its time.
        log: path of its log, relative to the run's folder.
        problem: why it was not run, escaped, or None.
    """

    status: int | None
    seconds: float | None
    timed_out: bool
    log: str
    problem: str | None = None

    @property
    def passed(self) -> bool:
        """Whether it succeeded."""
        return self.status == 0


class CheckResult(Struct, frozen=True):
    """A check, and its results at the base commit and at the tip."""

    check: Check
    base: Outcome
    tip: Outcome

    @property
    def meaning(self) -> Meaning:
        """What the two results mean together."""
        if self.tip.passed:
            return Meaning.FIXED if _has_failed(self.base) else Meaning.PASSES
        if self.tip.timed_out:
            return Meaning.TIMED_OUT
        if self.tip.status is None:
            return Meaning.NOT_RUN
        if self.base.passed:
            return Meaning.BROKEN
        return Meaning.MISSING_COMMAND if self.tip.status == NOT_FOUND else Meaning.STILL_FAILING

    def as_record(self) -> dict[str, Any]:
        """Return the result for run.json."""
        result = {"command": self.check.command, "from": self.check.source, "result": str(self.meaning)}
        return {**result, "base": asdict(self.base), "tip": asdict(self.tip)}


def _has_failed(outcome: Outcome) -> bool:
    return outcome.timed_out or outcome.status not in {0, None}
