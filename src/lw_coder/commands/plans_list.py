"""`lw_coder plans list`: each plan, its last run, its branch, and whether it can start."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from lw_coder.batches.starting_points import starting_point
from lw_coder.commands.run_row import RunRow, read_row
from lw_coder.foundation.errors import ExitCode, LwCoderError
from lw_coder.foundation.locks import is_locked
from lw_coder.foundation.report import Cell, show_json, show_table, shown_if_slow, tell
from lw_coder.plans.find_plan import plan_names
from lw_coder.plans.plan_checks import check_plans
from lw_coder.plans.plan_file import TASKS_FOLDER, ReadPlan
from lw_coder.plans.plan_rules import FINISHED
from lw_coder.repository.git import Repository, find_repository
from lw_coder.repository.plan_branches import PlanBranch, PlanBranches
from lw_coder.repository.worktrees import WORKTREES_FOLDER, require_usable
from lw_coder.runs.run_folders import Run, list_runs, oldest_first

_COLUMNS = ("plan", "status", "last run", "ended", "verdict", "branch", "can start")


class PlanRow(Struct, frozen=True):
    """A plan, and what there is of it.

    Attributes:
        plan: its file as it was read.
        last: its newest run.
        branch: its branch.
        obstacle: why `lw_coder code` would not start it, or None.
    """

    plan: ReadPlan
    last: RunRow | None
    branch: PlanBranch | None
    obstacle: str | None

    @property
    def has_commits(self) -> bool:
        """Whether its branch has commits of its own."""
        return self.branch is not None and self.branch.tip != self._base

    @property
    def _base(self) -> str | None:
        """The commit that its branch started from: with dependencies, that is not git_sha."""
        has_run = self.last is not None and bool(self.plan.texts("depends_on"))
        return self.last.facts.base if self.last and has_run else self.plan.value("git_sha")

    @property
    def is_merged(self) -> bool:
        """Whether they are all part of HEAD."""
        return self.branch is not None and self.has_commits and not self.branch.ahead

    def as_json(self) -> dict[str, Any]:
        """Return the plan as `--json` prints it; the schema of `plans list` describes it."""
        branch = self.branch
        return {
            "file": self.plan.path.name,
            "plan_id": self.plan.value("plan_id"),
            "status": self.plan.value("status"),
            "depends_on": list(self.plan.texts("depends_on")),
            "last_run": self.last.as_json() if self.last else None,
            "branch": None
            if branch is None
            else {"name": branch.name, "tip": branch.tip, "ahead": branch.ahead, "merged": self.is_merged},
            "can_start": self.obstacle is None,
            "obstacle": self.obstacle,
        }


def list_command(start: Path, *, as_json: bool) -> ExitCode:
    """Print the plans in the tasks folder, as a table or as a JSON array.

    Raises:
        GitError: there is no usable repository.
    """
    repository = find_repository(start)
    with shown_if_slow("Checking the plans ..."):
        rows = _rows(repository)
    if as_json:
        show_json([row.as_json() for row in rows])
    elif rows:
        show_table(_COLUMNS, [_cells(row) for row in rows])
    else:
        tell(f"There are no plans in {TASKS_FOLDER} yet.")
    return ExitCode.OK


def _rows(repository: Repository) -> list[PlanRow]:
    tasks = repository.root / TASKS_FOLDER
    plans = check_plans(repository, [tasks / name for name in plan_names(tasks)])
    newest = {run.plan_id: run for run in oldest_first(list_runs(repository.home))}
    branches = PlanBranches(repository)
    return [_row(repository, plan, newest.get(plan.value("plan_id") or ""), branches) for plan in plans]


def _row(repository: Repository, plan: ReadPlan, newest: Run | None, branches: PlanBranches) -> PlanRow:
    branch = branches.of(plan.value("plan_id") or "")
    obstacle = _problem(plan) or _obstacle(repository, plan, has_branch=branch is not None)
    return PlanRow(plan, read_row(newest) if newest else None, branch, obstacle)


def _problem(plan: ReadPlan) -> str | None:
    if not plan.problems:
        return None
    more = len(plan.problems) - 1
    first = plan.problems[0].described(plan.path.name)
    return f"{first}; and {more} more (lw_coder plans check)" if more else first


def _obstacle(repository: Repository, plan: ReadPlan, *, has_branch: bool) -> str | None:
    """Return why a valid plan cannot start."""
    if plan.plan is None:
        return "it cannot be read"
    metadata = plan.plan.metadata
    if is_locked(repository.common_dir, metadata.plan_id):
        return "a session is running on it"
    if metadata.status in FINISHED:
        return f"its status is {metadata.status}; --yes starts it all the same"
    try:
        metadata = starting_point(repository, plan.plan).plan.metadata
        if has_branch or (repository.home / WORKTREES_FOLDER / metadata.plan_id).exists():
            require_usable(repository, metadata)
    except LwCoderError as error:
        return f"{error.message}; {error.remedy}"
    return None


def _cells(row: PlanRow) -> Sequence[Cell]:
    last = row.last
    return (
        Cell(row.plan.value("plan_id") or row.plan.path.name),
        Cell(row.plan.value("status") or "-"),
        Cell(f"{last.age()} ago" if last else "-"),
        last.outcome if last else Cell("-"),
        last.verdict if last else Cell("-"),
        _branch_cell(row),
        Cell("yes", "good") if row.obstacle is None else Cell(f"no: {row.obstacle}", "bad"),
    )


def _branch_cell(row: PlanRow) -> Cell:
    if row.branch is None:
        return Cell("-")
    if not row.has_commits:
        return Cell("no commits")
    return Cell("merged", "good") if row.is_merged else Cell(f"{row.branch.ahead} ahead", "open")
