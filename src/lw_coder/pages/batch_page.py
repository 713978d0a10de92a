"""A batch as one HTML page, with links to the pages of its runs; it needs nothing else, and has no script."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from lw_coder.batches.states import Batch, PlanState, State
from lw_coder.pages.drawing import draw
from lw_coder.pages.facts import BAD, GOOD, OPEN, Facts, Judgement, dollars, duration
from lw_coder.pages.html import head_values, page_environment

_TONES = {
    State.PASSED: GOOD,
    State.KEPT: GOOD,
    State.FAILED: BAD,
    State.LIMIT: BAD,
    State.BLOCKED: BAD,
    State.CANCELLED: BAD,
}
MOST_FILES = 20  # of a pair that are shown


class Row(Struct, frozen=True):
    """A plan of the table.

    Attributes:
        plan: what the batch knows of it.
        tone: of its state.
        verdict: of its run, if there is one.
        took: how long it ran; may be empty.
        cost: what it has cost; may be empty.
        page: the address of its run's page; empty if there is none.
    """

    plan: PlanState
    tone: str
    verdict: Judgement | None
    took: str
    cost: str
    page: str


class RunPage(Struct, frozen=True):
    """A run of a batch.

    Attributes:
        record: its run.json.
        page: the name of its page, beside the batch's; empty if it could not be written.
    """

    record: Mapping[str, Any]
    page: str


def render_batch_page(batch: Batch, runs: Mapping[str, RunPage]) -> str:
    """Return the page of a batch.

    Args:
        batch: its state.
        runs: the run of each plan that has one, by the plan's id.
    """
    rows = [_row(plan, runs.get(plan.plan_id)) for plan in batch.plans]
    shown = {
        **head_values("page.css", "batch.css"),
        "batch": batch,
        "rows": rows,
        "tones": {row.plan.plan_id: row.tone for row in rows},
        "counts": _counts(batch),
        "facts": _facts(batch),
        "drawing": draw({plan.plan_id: plan.depends_on for plan in batch.plans}),
        "pairs": batch.pairs,
        "apart": [pair for pair in batch.pairs if not pair.merges],
        "overlaps": batch.overlaps,
        "most_files": MOST_FILES,
    }
    return page_environment().get_template("batch.html.j2").render(shown)


def _row(plan: PlanState, run: RunPage | None) -> Row:
    facts = Facts(run.record if run else {})
    return Row(
        plan,
        _TONES.get(plan.state, OPEN),
        facts.judged if facts.verdict else None,
        duration(plan.started_at, plan.ended_at),
        dollars(plan.cost_usd),
        quote(run.page, safe="", errors="replace") if run else "",
    )


def _counts(batch: Batch) -> list[Judgement]:
    """Return how many plans are in each state, in the order of the states."""
    found = Counter(plan.state for plan in batch.plans)
    return [Judgement(f"{found[state]} {state}", _TONES.get(state, OPEN)) for state in State if found[state]]


def _facts(batch: Batch) -> list[tuple[str, str]]:
    minutes = "none" if batch.max_minutes is None else f"{batch.max_minutes:g} min"
    return [
        ("Started", _time(batch.started_at)),
        ("Ended", _time(batch.ended_at) if batch.ended_at else "not ended"),
        ("Duration", duration(batch.started_at, batch.ended_at) or "not known"),
        ("Cost", dollars(batch.cost_usd) if _is_counted(batch) else "not counted"),
        ("Plans at a time", str(batch.jobs)),
        ("Exit code", "none yet" if batch.exit_code is None else str(batch.exit_code)),
        ("Limit of its cost", dollars(batch.max_cost_usd) or "none"),
        ("Limit of its time", minutes),
    ]


def _is_counted(batch: Batch) -> bool:
    return any(plan.cost_usd is not None for plan in batch.plans)


def _time(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M:%S} UTC"
