"""The runs of `plan` and of fresh replays, which work in temporary worktrees; several may run at once."""

from __future__ import annotations

from lw_coder.repository.git import Repository
from lw_coder.repository.temporary_worktrees import temp_worktree_names
from lw_coder.runs.run_folders import abandoned_folders, remove_abandoned_folder


def remove_abandoned_runs(repository: Repository, plan_id: str) -> None:
    """Remove what killed commands left of the runs of `@plan` or `@replay`, unless one may be at work.

    Each has its worktree before its run. So the worktrees are looked for after the runs.
    """
    left = [folder for owner, folder in abandoned_folders(repository.home) if owner == plan_id]
    if left and not temp_worktree_names(repository):
        for folder in left:
            remove_abandoned_folder(folder)
