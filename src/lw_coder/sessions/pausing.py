"""Pauses of the model's provider that are longer than a request can wait: whether and when to go on."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from msgspec import Struct

from lw_coder.foundation.signals import Signalled, interruptible, raise_again, stop_raising

if TYPE_CHECKING:
    from lw_coder.gateway.state import Pause
    from lw_coder.runs.session_result import SessionResult
    from lw_coder.settings.limits import Limits

_LONGEST = timedelta(minutes=15)
_SHORTEST = timedelta(seconds=1)
_MOST_DOUBLINGS = 10
_STEP = 30.0  # seconds; a computer that was asleep notices soon that the time has come


class Resumption(Struct, frozen=True):
    """How work goes on after a pause.

    Attributes:
        at: when.
        limits: what is left of the limits then.
    """

    at: datetime
    limits: Limits


def resumption_after(result: SessionResult, limits: Limits, in_vain: int, now: datetime) -> Resumption | None:
    """Return how to go on after a session; None if it was not paused, or may not go on by itself.

    It may if `max_wait` allows the wait, and no limit is used up.

    Args:
        result: how the session ended.
        limits: its limits.
        in_vain: as `when_to_go_on` has it.
        now: the present time.
    """
    if result.pause is None or result.outcome != "paused" or limits.max_wait is None:
        return None
    at = when_to_go_on(result.pause, now, in_vain)
    left = limits.less({"max_wait": (at - now).total_seconds() / 60, **_used(result)})
    is_enough = all(value is None or value > 0 for value in left.as_dict().values())
    return Resumption(at, left) if is_enough else None


def when_to_go_on(pause: Pause, now: datetime, in_vain: int) -> datetime:
    """Return when to go on after a pause.

    That is not before the provider wants it. One that is busy again and again is asked less and less often,
    but at least every quarter of an hour, unless it wants a longer wait.

    Args:
        pause: the pause.
        now: the present time.
        in_vain: how many sessions before this one were paused, one after the other, without an answer of the
            model.
    """
    wanted, times = max(pause.until - now, _SHORTEST), 1 << min(in_vain, _MOST_DOUBLINGS)
    return now + max(wanted, min(wanted * times, _LONGEST))


def _used(result: SessionResult) -> dict[str, float]:
    used: dict[str, float] = {"minutes": (result.ended - result.started).total_seconds() / 60}
    if result.report:
        used["turns"] = result.report.turns
    if result.spending:
        total = result.spending.total
        tokens = total.input_tokens + total.output_tokens
        used |= {"requests": total.requests, "tokens": tokens, "cost_usd": total.cost_usd or 0.0}
    return used


def waited_until(moment: datetime, announce: Callable[[], object] = lambda: None) -> int | None:
    """Wait until then; return lw_coder's status if a signal ended the wait, or None.

    Args:
        moment: when the wait is over.
        announce: says so; a signal that arrives from then on ends the wait.
    """
    # A clock that is set back does not make it longer, and a machine that was suspended has waited too.
    end = time.monotonic() + (moment - datetime.now(UTC)).total_seconds()
    raise_again()
    try:
        announce()
        with interruptible():
            while (left := min((moment - datetime.now(UTC)).total_seconds(), end - time.monotonic())) > 0:
                time.sleep(min(left, _STEP))
    except Signalled:
        return stop_raising()
    return None
