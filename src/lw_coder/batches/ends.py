"""What the end of a run means for its plan, and what the ends of all plans mean for the batch."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from lw_coder.batches.runner import RunEnd
from lw_coder.batches.states import Batch, PlanState, State
from lw_coder.foundation.errors import ExitCode
from lw_coder.foundation.report import printable

_FIRST_SIGNAL = 129
_STATES = {
    ExitCode.LIMIT: State.LIMIT,
    ExitCode.PAUSED: State.PAUSED,
}


def ended(plan: PlanState, end: RunEnd, now: datetime) -> PlanState:
    """Return a plan's state after its run."""
    document = end.document
    commits, spent = _table(document, "commits"), _table(_table(document, "spent"), "total")
    cost = spent.get("cost_usd")
    state, reason = _meaning(end)
    return replace(
        plan,
        state=state,
        reason=printable(reason) if reason else None,
        exit_code=end.exit_code,
        run=document.get("run") or plan.run,
        tip=commits.get("tip") or plan.tip,
        commits=commits.get("count"),
        cost_usd=cost if isinstance(cost, int | float) else plan.cost_usd,
        ended_at=now,
    )


def _meaning(end: RunEnd) -> tuple[State, str | None]:
    code = end.exit_code
    if code is None:
        return State.FAILED, "its lw_coder was killed; its log tells more"
    if code >= _FIRST_SIGNAL:
        return State.CANCELLED, "ended by a signal"
    if code == ExitCode.OK:
        is_judged = isinstance(end.document.get("verdict"), dict)
        return (State.PASSED, None) if is_judged else (State.UNVERIFIED, "there are no checks, so no verdict")
    return _STATES.get(ExitCode(code), State.FAILED) if code in list(ExitCode) else State.FAILED, _reason(end)


def _reason(end: RunEnd) -> str:
    """Return why a run did not end well, as far as its document says it."""
    limit, error = _table(_table(end.document, "ended"), "limit"), _table(end.document, "error")
    if error:
        return f"{error.get('message')}; {error.get('remedy')}"
    if end.exit_code == ExitCode.LIMIT and limit:
        return f"ended by the limit {limit.get('name')} = {limit.get('value')}"
    reasons = _table(end.document, "verdict").get("reasons")
    if end.exit_code == ExitCode.VERDICT and isinstance(reasons, list):
        return "; ".join(map(str, reasons))
    said = _table(end.document, "ended").get("reason")
    return str(said) if said else f"lw_coder ended with status {end.exit_code}; its log tells more"


def _table(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = values.get(name)
    return found if isinstance(found, dict) else {}


def exit_code(batch: Batch, signalled: int | None, *, is_over_limit: bool) -> int:
    """Return the exit code of a batch that has ended.

    Args:
        batch: all of its plans are in a final state.
        signalled: the signal that ended it, or None.
        is_over_limit: whether a limit of the batch ended it.
    """
    others = {plan.state for plan in batch.plans if not plan.state.has_passed}
    if signalled is not None:
        return 128 + signalled
    if is_over_limit:
        return ExitCode.LIMIT
    if not others:
        return ExitCode.OK
    is_paused = State.PAUSED in others and others <= {State.PAUSED, State.BLOCKED}
    return ExitCode.PAUSED if is_paused else ExitCode.VERDICT
