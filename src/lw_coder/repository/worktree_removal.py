"""The removal of worktrees: a folder is renamed first, so that what a kill leaves is no worktree."""

from __future__ import annotations

import os
from pathlib import Path

from lw_coder.foundation.errors import GitError
from lw_coder.foundation.folders import entries_of
from lw_coder.repository.git import Repository
from lw_coder.repository.incomplete_worktrees import quoted, remove_folder, remove_record

_PREFIX = ".removed-"  # no plan's id begins with a dot


def remove_worktree(repository: Repository, path: Path) -> None:
    """Remove a plan's worktree, or what is left of one; after a kill no part of it is in its place.

    The caller holds the plan's lock.

    Raises:
        GitError: it could not be removed.
    """
    remove_remains(path)
    try:
        if os.path.lexists(path):
            path.rename(_remains(path))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise GitError(f"{path}: could not be removed: {reason}", f"type: rm -rf {quoted(path)}") from error
    remove_record(repository, path)
    remove_remains(path)


def remove_remains(path: Path) -> None:
    """Remove what a killed removal of a plan's worktree left; nothing is no error.

    Raises:
        GitError: it could not be removed.
    """
    if os.path.lexists(_remains(path)):
        remove_folder(_remains(path))


def remains_among(worktrees: Path) -> list[tuple[str, Path]]:
    """List what killed removals left in the folder of the worktrees, with the ids of the plans."""
    return [
        (entry.name.removeprefix(_PREFIX), Path(entry.path))
        for entry in entries_of(worktrees)
        if entry.name.startswith(_PREFIX)
    ]


def _remains(path: Path) -> Path:
    return path.with_name(_PREFIX + path.name)
