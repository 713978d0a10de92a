"""Report what a session of `lw_coder plan` did: its plans, validated, and everything else that it left."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from lw_coder.commands.session_report import report_session, shell_path
from lw_coder.foundation.counting import counted
from lw_coder.foundation.report import printable, say, tell, warn
from lw_coder.plans.plan_checks import check_plans
from lw_coder.plans.plan_file import TASKS_FOLDER, ReadPlan
from lw_coder.plans.stray_plans import KEPT, StrayPlans
from lw_coder.plans.tasks_snapshot import ORIGINALS, Changes
from lw_coder.repository import git
from lw_coder.repository.importing.commits import ImportResult
from lw_coder.repository.importing.nested_repositories import (
    find_repositories_in,
    nested_repositories_note,
)
from lw_coder.runs.run_folders import Run
from lw_coder.runs.session_result import SessionResult
from lw_coder.sessions.setup import SessionSetup

MOST_SHOWN = 20


class Written(Struct, frozen=True):
    """A plan that the session wrote or changed.

    Attributes:
        path: its file.
        name: what to type after `lw_coder code`, or None if the plan is invalid.
        problems: everything that is wrong with it, each with its remedy in one line.
    """

    path: Path
    name: str | None = None
    problems: tuple[str, ...] = ()


def validate_plans(repository: git.Repository, changes: Changes) -> list[Written]:
    """Validate every plan that the session wrote or changed, at most MOST_SHOWN of them."""
    touched = [name for name in (*changes.new, *changes.changed) if name not in changes.odd]
    names = [name for name in touched if name.endswith(".md")]
    if len(names) > MOST_SHOWN:
        were = counted(len(names) - MOST_SHOWN, "more plan was", "more plans were")
        warn(f"{were} written into {TASKS_FOLDER}, and not validated")
    paths = [repository.root / TASKS_FOLDER / name for name in names[:MOST_SHOWN]]
    return [_validated(repository, plan) for plan in check_plans(repository, paths)]


def _validated(repository: git.Repository, plan: ReadPlan) -> Written:
    where = str(plan.path.relative_to(repository.root))
    if plan.plan is None or plan.problems:
        lines = (f"{problem.described(where)}; {problem.remedy}" for problem in plan.problems)
        return Written(plan.path, problems=tuple(lines))
    in_top = plan.path.parent == repository.root / TASKS_FOLDER
    name = plan.plan.metadata.plan_id if in_top else shell_path(repository.root, plan.path)
    return Written(plan.path, name)


def report_end(setup: SessionSetup, result: SessionResult, imported: ImportResult) -> None:
    """Report how the session ended, and what it left besides plans."""
    report_session(result, imported, setup.context.config.run_options)
    for ref in imported.refs[:MOST_SHOWN]:
        tell(f"Commits:  {printable(ref)}")
    tell(f"Run:      {shell_path(setup.context.repository.root, setup.run.folder)}")


def report_nested_repositories(tasks: Path) -> None:
    """Warn of repositories among the plans: git would use their configuration."""
    if found := find_repositories_in(tasks):
        warn(nested_repositories_note(tasks, found))


def report_tasks(setup: SessionSetup, changes: Changes, plans: list[Written]) -> None:
    """Report the changes in the tasks folder, dangerous ones first, and the next commands."""
    for name in _first(changes.odd, "entries that are not regular files"):
        warn(f"{_escaped(TASKS_FOLDER / name)}: is not a regular file; inspect and remove it")
    for name in _first((*changes.changed, *changes.removed), "plans that were changed or removed"):
        _report_touched(setup, name, "removed" if name in changes.removed else "changed")
    for name in _first([name for name in changes.new if not name.endswith(".md")], "new files"):
        tell(f"File:     {_escaped(TASKS_FOLDER / name)}")
    if not changes.is_complete:
        warn(f"{TASKS_FOLDER}: the session left more files than lw_coder checks; check the folder yourself")
    for plan in plans:
        _report_plan(setup, plan)
    if not plans:
        tell("Plan:     none was written")


def _first(names: Sequence[str], what: str) -> Sequence[str]:
    """Return the first names; warn if there are more."""
    if len(names) > MOST_SHOWN:
        warn(f"{TASKS_FOLDER}: {len(names) - MOST_SHOWN} more {what}")
    return names[:MOST_SHOWN]


def report_stray_plans(repository: git.Repository, run: Run, stray: StrayPlans) -> None:
    """Report the plans that the session wrote outside the tasks folder, and where they are kept."""
    for name in stray.kept[:MOST_SHOWN]:
        kept = repository.shown(run.folder / KEPT / name)
        warn(
            f"{_escaped(Path(name))}: was written outside {TASKS_FOLDER}; a copy is kept as {_escaped(kept)}"
        )
    more = len(stray.kept[MOST_SHOWN:]) + stray.lost
    if more:
        warn(f"{more} more Markdown files were written there; {stray.lost} of them could not be kept")


def _report_touched(setup: SessionSetup, name: str, what: str) -> None:
    copy = setup.run.folder / ORIGINALS / name
    shown = setup.context.repository.shown(copy)
    kept = f"original: {_escaped(shown)}" if copy.is_file() else "it was too large to copy"
    warn(f"{_escaped(TASKS_FOLDER / name)} was {what} during the session; {kept}")


def _report_plan(setup: SessionSetup, plan: Written) -> None:
    for problem in plan.problems:
        warn(printable(problem))
    if plan.problems:
        return
    tell(f"Plan:     {printable(shell_path(setup.context.repository.root, plan.path))}")
    say(f"Next:     lw_coder code {printable(str(plan.name))}")


def _escaped(path: Path) -> str:
    return printable(str(path))
