"""The verdict in a run's record, as it is read again later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from lw_coder.verdicts.pointed_out import PointedOut
from lw_coder.verdicts.verdict import NOT_RUN


class RecordedVerdict(Struct, frozen=True):
    """What is left of a verdict in run.json.

    Attributes:
        passed: whether it was that the result passed.
        reasons: why it was not, in words.
        tip: id of the verified commit.
        changes: changes that can make a check pass for another reason than that the work is right.
        was_judged: whether the checks could be run.
    """

    passed: bool
    reasons: tuple[str, ...] = ()
    tip: str = ""
    changes: tuple[PointedOut, ...] = ()
    was_judged: bool = True


def recorded_verdict(record: Mapping[str, Any]) -> RecordedVerdict | None:
    """Read the verdict in a run's record; None if there is none. A person can have edited the record."""
    verdict = record.get("verdict")
    if not isinstance(verdict, dict):
        return None
    reasons, changes = _list(verdict, "reasons"), _list(verdict, "changes")
    return RecordedVerdict(
        verdict.get("passed") is True,
        tuple(map(str, reasons)),
        str(verdict.get("tip", "")),
        tuple(PointedOut(str(each.get("path")), str(each.get("what"))) for each in changes if _is_map(each)),
        not any(str(reason).startswith(NOT_RUN) for reason in reasons),
    )


def verdict_fault(verdict: RecordedVerdict | None, tip: str) -> str | None:
    """Return why there is no verdict that a commit passed, in words; None if there is one.

    Args:
        verdict: that of the plan's newest run, or None.
        tip: id of the commit.
    """
    if verdict is None:
        return "its newest run has no verdict"
    if verdict.tip != tip:
        return f"the verdict is on {verdict.tip[:12]}, and the branch is at {tip[:12]} now"
    return None if verdict.passed else f"the verdict is: not passed: {'; '.join(verdict.reasons)}"


def _list(verdict: Mapping[str, Any], key: str) -> list[Any]:
    found = verdict.get(key)
    return found if isinstance(found, list) else []


def _is_map(value: object) -> bool:
    return isinstance(value, dict)
