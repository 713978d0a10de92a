"""`lw_coder runs import`: take the commits that are only in a run's folder."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from lw_coder.commands.imported_refs import refs_of, report_refs
from lw_coder.containers.image_names import repo_hash
from lw_coder.containers.labels import PLAN_RUNS, REPLAY_RUNS, owner_of
from lw_coder.foundation.errors import EngineError, ExitCode, RunError
from lw_coder.foundation.locks import plan_lock
from lw_coder.foundation.report import shown_if_slow, warn
from lw_coder.repository.git import find_repository, root_commit
from lw_coder.repository.importing.commits import import_commits
from lw_coder.repository.private_git import PrivateGit, open_private_git
from lw_coder.repository.worktrees import plan_worktree
from lw_coder.runs.find_run import find_run
from lw_coder.runs.run_folders import read_record
from lw_coder.sessions.cleanup import require_idle

if TYPE_CHECKING:
    from lw_coder.runs.run_folders import Run


def import_command(start: Path, name: str, *, yes: bool) -> ExitCode:
    """Import the commits in a run's private git folder, after a replay or a crash.

    Args:
        start: a folder in the repository.
        name: the run's name.
        yes: move the branch even to commits that delete files which the session did not have.

    Raises:
        RunError: there is no such run, or a session of its plan is running.
        SessionError: a replay is running, or a session of `plan`, or one whose lw_coder was killed.
    """
    repository = find_repository(start)
    run = find_run(repository.home, name)
    with plan_lock(repository.common_dir, run.plan_id):
        session = open_private_git(run.folder)
        with suppress(EngineError):  # commits can be imported without an engine
            require_idle(repo_hash(root_commit(repository), repository.common_dir), _owner(run, session))
        before = refs_of(repository, run)
        with shown_if_slow("Importing the commits ..."):
            worktree = plan_worktree(repository, run.plan_id)
            imported = import_commits(repository, worktree, session, run.identity, yes=yes)
    for note in imported.notes:
        warn(note)
    if imported.problem:
        raise RunError(f"{run.identity}: {imported.problem}", "replay the run, and correct it there")
    report_refs(repository, run, before, imported)
    return ExitCode.OK


def _owner(run: Run, session: PrivateGit) -> str:
    """Return the owner that the labels of a run's containers name."""
    if run.plan_id == REPLAY_RUNS:
        return str((read_record(run).get("plan") or {}).get("plan_id"))
    return owner_of(session.worktree_name) if run.plan_id == PLAN_RUNS else run.plan_id
