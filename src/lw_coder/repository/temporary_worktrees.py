"""Temporary worktrees, below `.lw_coder/temp-worktrees` alone: those of `plan`, fresh replays and `take`."""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lw_coder.foundation.errors import GitError
from lw_coder.foundation.folders import entries_of, real_path, remove_if_unused
from lw_coder.foundation.locks import exclusive
from lw_coder.foundation.report import printable
from lw_coder.repository.commit_ids import require_commit
from lw_coder.repository.git import Repository, run_git
from lw_coder.repository.incomplete_worktrees import quoted, remove_folder, remove_record
from lw_coder.repository.worktrees import Worktree, make_ignored_folder, worktree_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TEMP_WORKTREES_FOLDER = Path(".lw_coder/temp-worktrees")
_PREFIX, _LOCK = "plan-", ".lock"


@contextmanager
def temporary_worktree(repository: Repository, sha: str) -> Iterator[Worktree]:
    """Check a commit out, detached, in a new temporary worktree; hold its lock; remove it at the end.

    Raises:
        GitError: the commit is unknown, or the worktree could not be made or removed.
    """
    parent = repository.home / TEMP_WORKTREES_FOLDER
    had_parent = os.path.lexists(parent)
    try:
        make_ignored_folder(parent)
        with _new_name(repository) as name:
            try:
                yield create_temp_worktree(repository, sha, name)
            finally:
                remove_temp_worktree(repository, name)
    except BaseException:
        if not had_parent:
            remove_if_unused(parent)
        raise


@contextmanager
def _new_name(repository: Repository) -> Iterator[str]:
    """Hold the lock of a new temporary worktree, which another command can have taken for a stale one."""
    while True:
        name = f"{_PREFIX}{secrets.token_hex(6)}"
        with exclusive(_lock_path(_temp_path(repository, name))) as is_ours:
            if is_ours:
                yield name
                return


def create_temp_worktree(repository: Repository, sha: str, name: str) -> Worktree:
    """Check a commit out, detached, at `.lw_coder/temp-worktrees/<name>`.

    Without the lock that `temporary_worktree` holds, `remove_stale_temp_worktrees` would remove it.

    Raises:
        GitError: the commit is unknown, the name is taken, or git failed.
    """
    path = _temp_path(repository, name)
    require_commit(repository, sha)
    if os.path.lexists(path):
        raise GitError(f"{path}: already exists", f"check its contents, then type: rm -rf {quoted(path)}")
    make_ignored_folder(path.parent)
    run_git("worktree", "add", "--quiet", "--force", "--detach", str(path), sha, place=repository.place)
    make_ignored_folder(path.parent)  # again: a command that failed meanwhile can have removed it
    return worktree_at(repository, path, None)


def remove_temp_worktree(repository: Repository, name: str) -> None:
    """Remove a temporary worktree, git's record of it and its lock file; a missing one is no error.

    Raises:
        GitError: the folder could not be removed.
    """
    path = _temp_path(repository, name)
    remove_folder(path)
    remove_record(repository, path)
    _lock_path(path).unlink(missing_ok=True)  # at last: with it, a killed removal is finished later


def remove_stale_temp_worktrees(
    repository: Repository, before: Callable[[str], None] | None = None
) -> tuple[str, ...]:
    """Remove temporary worktrees whose lock nobody holds, after a crash; return their names.

    What a killed removal left, git's record or a lock file alone, is removed too, and is not named.

    Args:
        repository: the person's.
        before: called with each name, with its lock held, before it is removed.

    Raises:
        GitError: one of them could not be removed.
    """
    names = temp_worktree_names(repository)
    for name in _names_of_locks(repository) - set(names):
        _remove_if_free(repository, name, None)
    return tuple(name for name in names if _remove_if_free(repository, name, before))


def temp_worktree_names(repository: Repository) -> tuple[str, ...]:
    """Return the names of all temporary worktrees, sorted."""
    entries = entries_of(repository.home / TEMP_WORKTREES_FOLDER)
    return tuple(entry.name for entry in entries if entry.is_dir())


def _names_of_locks(repository: Repository) -> set[str]:
    entries = entries_of(repository.home / TEMP_WORKTREES_FOLDER)
    names = {entry.name for entry in entries if entry.name.startswith(_PREFIX)}
    return {name.removesuffix(_LOCK) for name in names if name.endswith(_LOCK)}


def _remove_if_free(repository: Repository, name: str, before: Callable[[str], None] | None) -> bool:
    with exclusive(_lock_path(_temp_path(repository, name))) as is_free:
        if is_free:
            if before is not None:
                before(name)
            remove_temp_worktree(repository, name)
    return is_free


def _lock_path(path: Path) -> Path:
    return path.with_name(path.name + _LOCK)


def _temp_path(repository: Repository, name: str) -> Path:
    if not name or Path(name).name != name or name.startswith(".") or name.endswith(".lock"):
        raise GitError(f"{printable(name)}: is not a valid worktree name", "use letters, digits and hyphens")
    return real_path(repository.home / TEMP_WORKTREES_FOLDER) / name
