"""How a batch is shown: one live table in a terminal, elsewhere a line for each change; then a summary."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lw_coder.batches.conductor import View
from lw_coder.batches.states import Batch, PlanState, State
from lw_coder.foundation.report import (
    COLOURS,
    NOTHING,
    Cell,
    is_quiet,
    printable,
    say,
    show,
    show_table,
    tell,
)

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

_COLUMNS = ("plan", "state", "minutes", "cost")
_TONES = {
    **dict.fromkeys((State.PASSED, State.KEPT), "good"),
    **dict.fromkeys((State.FAILED, State.LIMIT, State.BLOCKED, State.CANCELLED), "bad"),
    **dict.fromkeys((State.PAUSED, State.UNVERIFIED), "open"),
}
_LONGEST = 200  # characters of a reason in a line


@contextmanager
def batch_view() -> Iterator[View]:
    """Yield what shows a batch while it runs: on standard error, since its results go to standard output."""
    if is_quiet() or not sys.stderr.isatty():
        yield LineView()
        return
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(stderr=True, highlight=False), auto_refresh=False, transient=True) as live:
        yield TableView(live)


class LineView:
    """Prints a line for each change of a plan's state."""

    def __init__(self) -> None:
        self._states: dict[str, State] = {}

    def show(self, batch: Batch) -> None:
        """Print the plans whose state is another one than before."""
        for plan in batch.plans:
            if self._states.get(plan.plan_id, State.WAITING) != plan.state:
                say(f"{plan.plan_id}: {described(plan, datetime.now(UTC))}")
            self._states[plan.plan_id] = plan.state

    def tell(self, line: str) -> None:
        """Print a line."""
        tell(line)


class TableView:
    """Shows a table that is drawn anew.

    Args:
        live: draws it.
    """

    def __init__(self, live: Live) -> None:
        self._live = live

    def show(self, batch: Batch) -> None:
        """Draw the table."""
        self._live.update(_table(batch, datetime.now(UTC)), refresh=True)

    def tell(self, line: str) -> None:
        """Print a line above the table."""
        self._live.console.print(printable(line), markup=False)


def described(plan: PlanState, now: datetime) -> str:
    """Describe a plan's state in a line."""
    minutes = plan.minutes(now) if plan.state.is_final else None
    count = plan.commits if plan.state.is_final else None
    parts = [
        str(plan.state),
        "" if count is None else ("1 commit" if count == 1 else f"{count} commits"),
        "" if minutes is None else f"{minutes:.1f} minutes",
        f"{plan.cost_usd:.2f} USD" if plan.cost_usd and plan.state.is_final else "",
    ]
    reason = f": {_short(plan.reason)}" if plan.reason else ""
    return ", ".join(filter(None, parts)) + reason


def _table(batch: Batch, now: datetime) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(_COLUMNS[0], no_wrap=True, overflow="ellipsis")
    for name in _COLUMNS[1:]:
        table.add_column(name, no_wrap=True)
    table.add_column("last event", no_wrap=True, overflow="ellipsis", ratio=1)
    for plan in batch.plans:
        cells = (*_cells(plan, now), Cell(_event(plan)))
        table.add_row(*(Text(printable(text), style=COLOURS.get(tone, "")) for text, tone in cells))
    return table


def _event(plan: PlanState) -> str:
    if plan.state is State.WAITING:
        return f"after {', '.join(plan.depends_on)}" if plan.depends_on else ""
    return plan.last_event if plan.state is State.RUNNING else plan.reason or ""


def _cells(plan: PlanState, now: datetime) -> Sequence[Cell]:
    minutes = plan.minutes(now)
    return (
        Cell(plan.plan_id),
        Cell(str(plan.state), _TONES.get(plan.state, "")),
        Cell(NOTHING if minutes is None else f"{minutes:.1f}"),
        Cell(NOTHING if plan.cost_usd is None else f"{plan.cost_usd:.2f} USD"),
    )


def show_summary(batch: Batch) -> None:
    """Print what has become of each plan, as a table on standard output."""
    now = batch.ended_at or datetime.now(UTC)
    rows = [
        (
            *_cells(plan, now),
            Cell(NOTHING if plan.commits is None else str(plan.commits)),
            Cell(_short(plan.reason) if plan.reason else NOTHING),
        )
        for plan in batch.plans
    ]
    show_table((*_COLUMNS, "commits", "why"), rows)
    counts = {state: len(batch.in_state(state)) for state in State}
    told = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    cost = f", {batch.cost_usd:.2f} USD" if batch.cost_usd else ""
    show(f"{told}; {batch.minutes():.1f} minutes{cost}")


def show_order(batch: Batch) -> None:
    """Print what would be started from what, as a table on standard output."""
    rows = [
        (
            Cell(plan.plan_id),
            Cell(
                "would start" if plan.state is State.WAITING else str(plan.state), _TONES.get(plan.state, "")
            ),
            Cell(_from(plan)),
            Cell(_short(plan.reason) if plan.reason else NOTHING),
        )
        for plan in batch.plans
    ]
    show_table(("plan", "state", "from", "why"), rows)


def _from(plan: PlanState) -> str:
    if plan.base is None:
        return f"after {', '.join(plan.depends_on)}" if plan.depends_on else NOTHING
    tips = f" ({', '.join(plan.starts_from)})" if plan.starts_from else ""
    return f"{plan.base[:12]}{tips}"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
