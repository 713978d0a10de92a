"""Runs whose commits are not all imported: that is done before anybody works on their plan again."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from lw_coder.foundation.errors import GitError, RunError
from lw_coder.foundation.report import tell, warn
from lw_coder.repository.importing.commits import import_commits, pending
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
    return [run for run, ended in _ends(repository, plan_id) if ended is None]


def _ends(repository: Repository, plan_id: str) -> list[tuple[Run, dict[str, Any] | None]]:
    """List a plan's runs and how they ended, oldest first; a damaged one is left out, `runs list` says so."""
    found = []
    for run in list_runs(repository.home, plan_id):
        with suppress(RunError):
            found.append((run, read_record(run).get("ended")))
    return found


def import_unfinished_runs(repository: Repository, identity: str, plan_id: str, *, yes: bool = False) -> None:
    """Import what a plan's earlier runs still have, before it is worked on again.

    That is what killed commands left; what could not be imported, for a full disk; and what came after the
    end, of a container that Docker had lost sight of, or in a replay.

    Args:
        repository: the person's.
        identity: the repository's, in the labels of its containers.
        plan_id: the plan, whose lock is held.
        yes: as `import_commits` has it.

    Raises:
        SessionError: there is such a run, and a replay of the plan is running.
    """
    ends = _ends(repository, plan_id)
    if any(_may_go_on(ended) for _, ended in ends[-1:]) or any(ended is None for _, ended in ends):
        stop_abandoned_sessions(identity, plan_id)
    newest = ends[-1][0] if ends else None
    for run, ended in ends:
        if ended is None or ended.get("problem") or (run is newest and _has_more(repository, run)):
            import_unfinished_run(repository, run, yes=yes)


def _may_go_on(ended: dict[str, Any] | None) -> bool:
    """Tell whether a run's container may have outlived its end: docker's client did not end well."""
    return ended is None or ended.get("status") != 0


def _has_more(repository: Repository, run: Run) -> bool:
    try:
        return (run.folder / "git").is_dir() and pending(repository, open_private_git(run.folder))
    except GitError:
        return False  # a damaged record: `runs import` says so


def import_unfinished_run(repository: Repository, run: Run, *, yes: bool = False) -> None:
    """Import one such run and complete its record; what cannot be is a warning, and tried again."""
    try:
        worktree = plan_worktree(repository, run.plan_id)
        git = open_private_git(run.folder)
        imported = import_commits(repository, worktree, git, run.identity, yes=yes)
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
        tell(f"Earlier run {run.identity}: {imported.commits} {what} imported")
    elif imported.refs and not imported.moved:
        tell(f"Earlier run {run.identity}: imported as refs/lw_coder/{run.identity}")
