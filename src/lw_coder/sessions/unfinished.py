"""Runs whose lw_coder was killed: their commits are imported before anybody works on them again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lw_coder.foundation.errors import GitError, RunError
from lw_coder.foundation.report import say, warn
from lw_coder.repository.importing.commits import import_commits
from lw_coder.repository.private_git import open_private_git
from lw_coder.repository.worktrees import plan_worktree
from lw_coder.runs import run_record
from lw_coder.runs.run_folders import list_runs, read_record
from lw_coder.sessions.cleanup import stop_abandoned_sessions

if TYPE_CHECKING:
    from lw_coder.repository.git import Repository
    from lw_coder.repository.importing.commits import ImportResult
    from lw_coder.runs.run_folders import Run


def unfinished_runs(repository: Repository, plan_id: str) -> list[Run]:
    """List a plan's runs whose lw_coder was killed; for who holds the plan's lock."""
    return [run for run in list_runs(repository.root, plan_id) if _is_unended(run)]


def _is_unended(run: Run) -> bool:
    try:
        return read_record(run).get("ended") is None
    except RunError:
        return False  # damaged; `runs list` says so


def import_unfinished_runs(repository: Repository, identity: str, plan_id: str) -> None:
    """Bring home what killed commands left of a plan's runs, before it is worked on again.

    Args:
        repository: the person's.
        identity: the repository's, in the labels of its containers.
        plan_id: the plan, whose lock is held.

    Raises:
        SessionError: there is such a run, and a replay is at work on the plan.
    """
    runs = unfinished_runs(repository, plan_id)
    if runs:
        stop_abandoned_sessions(identity, plan_id)
    for run in runs:
        import_unfinished_run(repository, run)


def import_unfinished_run(repository: Repository, run: Run) -> None:
    """Bring one such run home and complete its record; what cannot be is a warning, and tried again."""
    try:
        worktree = plan_worktree(repository, run.plan_id)
        imported = import_commits(repository, worktree, open_private_git(run.folder), run.identity)
    except GitError as error:
        warn(f"earlier run {run.identity}: {error.message}; {error.remedy}")
        return
    _report_late(run, imported)
    if not imported.problem:
        run_record.complete_late(run, imported)


def _report_late(run: Run, imported: ImportResult) -> None:
    for note in (imported.problem, *imported.notes):
        if note:
            warn(f"earlier run {run.identity}: {note}")
    if imported.moved and imported.commits:
        what = "commit" if imported.commits == 1 else "commits"
        say(f"Earlier run {run.identity}: {imported.commits} {what} brought home")
    elif imported.refs and not imported.moved:
        say(f"Earlier run {run.identity}: brought home as refs/lw_coder/{run.identity}")
