"""Remove runs that are over 30 days old, except those that still hold something."""

from __future__ import annotations

from lw_coder.foundation.errors import GitError
from lw_coder.foundation.locks import is_locked
from lw_coder.repository.git import Repository
from lw_coder.repository.importing.commits import pending
from lw_coder.repository.private_git import open_private_git
from lw_coder.runs.run_folders import Run, remove_run, runs_to_prune


def prune(repository: Repository, keep: Run) -> list[str]:
    """Remove the runs that are over 30 days old, and say so, a line for each.

    A run with commits that the repository lacks stays, and so does one whose plan is at work, or that the
    disk does not let go.
    """
    lines = []
    for run in runs_to_prune(repository.root):
        reason = _why_not_removed(repository, run, keep)
        lines.append(f"Pruned:   {run.identity}" if reason is None else f"Kept:     {run.identity}: {reason}")
    return lines


def _why_not_removed(repository: Repository, run: Run, keep: Run) -> str | None:
    """Remove a run, or say why it stays."""
    try:
        reason = _why_kept(repository, run, keep)
        if reason is None:
            remove_run(run)
    except OSError as error:
        return f"it cannot be removed: {error.strerror}; check {error.filename or run.folder}"
    return reason


def _why_kept(repository: Repository, run: Run, keep: Run) -> str | None:
    if run.plan_id != keep.plan_id and is_locked(repository.root, run.plan_id):
        return "its plan is in use"
    if (run.folder / "git").is_dir() and _is_pending(repository, run):
        return "it has commits that are not in the repository"
    return None


def _is_pending(repository: Repository, run: Run) -> bool:
    try:
        return pending(repository, open_private_git(run.folder))
    except GitError:
        return True  # a damaged record says nothing of what is there
