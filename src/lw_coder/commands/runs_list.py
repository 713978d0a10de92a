"""`lw_coder runs list`: the runs of a repository, the newest last."""

from __future__ import annotations

from pathlib import Path

from lw_coder.commands.run_row import RunRow, read_rows
from lw_coder.foundation.errors import ExitCode
from lw_coder.foundation.report import Cell, show_json, show_table, shown_if_slow, tell
from lw_coder.repository.git import find_repository
from lw_coder.runs.find_run import require_known_plan
from lw_coder.runs.run_folders import list_runs, oldest_first

_COLUMNS = ("run", "age", "took", "model", "ended", "verdict", "commits", "cost", "score")


def list_command(start: Path, plan_id: str | None, limit: int | None, *, as_json: bool) -> ExitCode:
    """Print the runs, the newest last, as a table or as a JSON array.

    Args:
        start: a folder in the repository.
        plan_id: only this plan's runs; None for those of all.
        limit: only so many, the newest; None for all.
        as_json: print one JSON document instead of a table.

    Raises:
        RunError: there is neither a plan nor a run with this id.
    """
    repository = find_repository(start)
    require_known_plan(repository, plan_id)
    with shown_if_slow("Reading the records of the runs ..."):
        runs = oldest_first(list_runs(repository.home, plan_id))
        rows = read_rows(runs[-limit:] if limit else runs)
    if as_json:
        show_json([row.as_json() for row in rows])
    elif rows:
        show_table(_COLUMNS, [_cells(row) for row in rows])
    else:
        tell("There are no runs yet." if plan_id is None else f"There are no runs of {plan_id} yet.")
    return ExitCode.OK


def _cells(row: RunRow) -> list[Cell]:
    known = row.as_json()
    return [
        Cell(row.run.identity),
        Cell(row.age()),
        Cell(row.facts.took or "-"),
        Cell(known["model"] or "-"),
        row.outcome,
        row.verdict,
        _number(known["commits"]),
        Cell(row.facts.cost or "-"),
        _number(known["score"]),
    ]


def _number(value: float | None) -> Cell:
    return Cell("-" if value is None else f"{value:g}")
