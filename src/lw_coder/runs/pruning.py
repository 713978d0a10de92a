"""Remove runs that are more than 30 days old, except those with commits that are not imported."""

from __future__ import annotations

from lw_coder.foundation.errors import GitError
from lw_coder.foundation.locks import is_locked
from lw_coder.repository.git import Repository
from lw_coder.repository.importing.commits import pending
from lw_coder.repository.private_git import open_private_git
from lw_coder.runs.run_folders import Run, remove_run, runs_to_prune


def prune(repository: Repository, keep: Run) -> list[str]:
    """Remove the runs that are more than 30 days old, and return a line for each.

    A run stays if it has commits that the repository lacks, if its plan is in use, or if it cannot be
    removed.
    """
    lines = []
    for run in runs_to_prune(repository.root):
        reason = _why_not_removed(repository, run, keep)
        lines.append(f"Pruned:   {run.identity}" if reason is None else f"Kept:     {run.identity}: {reason}")
    return lines


def _why_not_removed(repository: Repository, run: Run, keep: Run) -> str | None:
    """Remove a run, or return why it stays."""
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
        return True  # with a damaged record this is unknown
