"""Keep the uncommitted files of a plan's worktree as commits, without running a program of anybody.

An agent wrote the files, and its `.gitattributes` can name filters of the user: so the contents are kept as
they are on the disk.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import Struct

from lw_coder.foundation.errors import GitError
from lw_coder.foundation.report import printable
from lw_coder.repository.git import Place, Repository, identity, run_git, stream_git
from lw_coder.repository.hidden_files import hidden_files, show_to_git
from lw_coder.repository.importing.nested_repositories import find_nested_repositories
from lw_coder.repository.importing.untrusted_files import memory_limited
from lw_coder.repository.incomplete_worktrees import quoted
from lw_coder.repository.worktree_index import bring_up_to_date, isolated_git_dir
from lw_coder.repository.worktrees import Worktree

MAX_KEPT = 2 << 30  # bytes of uncommitted files
_NOBODY = ("user.name=lw_coder", "user.email=lw_coder@localhost")
_MOST_NAMED = 3


class Files(Struct, frozen=True):
    """What is in a worktree besides its commit: paths of files, and of folders with only such files.

    Attributes:
        changed: tracked files that differ, are deleted or are staged.
        untracked: new ones.
        ignored: those that git ignores.
    """

    changed: tuple[str, ...] = ()
    untracked: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    @property
    def are_uncommitted(self) -> bool:
        """Whether there are any that can be committed."""
        return bool(self.changed or self.untracked)


def list_files(repository: Repository, worktree: Worktree) -> Files:
    """List what is not committed in a worktree.

    Raises:
        GitError: there are nested repositories, which could have commits of their own, or git failed.
    """
    nested = find_nested_repositories(worktree.path)
    if nested or not worktree.has_own_pointer():
        names = ", ".join(printable(name) for name in nested[:_MOST_NAMED]) or ".git"
        raise GitError(
            f"{worktree.path}: has nested repositories, or links to some: {names}",
            "inspect them, but do not run git there; then move or remove them",
        )
    with _isolated(repository, worktree) as place:
        options = ("--porcelain", "-z", "--no-renames", "--ignore-submodules=all", "--ignored=traditional")
        output = run_git("status", *options, "--untracked-files=normal", place=place).stdout
    entries = [(entry[:2], entry[3:]) for entry in output.split("\0") if entry]
    return Files(
        tuple(path for kind, path in entries if kind not in {"??", "!!"}),
        tuple(path for kind, path in entries if kind == "??"),
        tuple(path for kind, path in entries if kind == "!!"),
    )


@contextmanager
def _isolated(repository: Repository, worktree: Worktree) -> Iterator[Place]:
    try:
        with memory_limited(), isolated_git_dir(repository, worktree, worktree.git_dir) as place:
            bring_up_to_date(place, worktree)
            show_to_git(place, hidden_files(place, worktree.path))
            yield place
    except (OSError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or "it needs more memory than the limit"
        raise GitError(f"{worktree.path}: {reason}", "free some space, or remove files from it") from error


def commit_files(repository: Repository, worktree: Worktree) -> str:
    """Commit the uncommitted files on top of the worktree's commit; no branch and no file changes.

    What was staged gets a commit of its own, below, if it differs from the files.

    Returns:
        The id of the newest commit.

    Raises:
        GitError: they are too large, or git failed.
    """
    with _isolated(repository, worktree) as place:
        _require_modest(worktree, place)
        _write_into(repository, place)
        staged = run_git("write-tree", place=place, check=False)  # it fails where there are conflicts
        run_git("add", "--all", "--", ".", place=place)
        trees = [staged.stdout] if staged.code == 0 else []
        trees.append(run_git("write-tree", place=place).stdout)
    return _committed(repository, worktree, trees)


def _require_modest(worktree: Worktree, place: Place) -> None:
    room = MAX_KEPT
    for name in stream_git("ls-files", "-z", "--modified", "--others", "--exclude-standard", place=place):
        try:
            room -= os.lstat(f"{worktree.path}/{name}").st_size
        except OSError:  # deleted
            continue
        if room < 0:
            raise GitError(
                f"{worktree.path}: more than {MAX_KEPT >> 30} GiB are not committed, too much to keep",
                f"commit or move what you need; then: git worktree remove --force {quoted(worktree.path)}",
            )


def _write_into(repository: Repository, place: Place) -> None:
    """Have git write new objects into the repository."""
    objects = (place.git_dir or place.cwd) / "objects"
    shutil.rmtree(objects)
    objects.symlink_to(repository.common_dir / "objects")


def _committed(repository: Repository, worktree: Worktree, trees: list[str]) -> str:
    *staged, files = trees
    steps = [(tree, "Staged changes") for tree in staged if tree != files] + [(files, "Uncommitted files")]
    config = () if identity(repository.place) else _NOBODY
    commit = worktree.head
    for tree, what in steps:
        if tree != run_git("rev-parse", f"{commit}^{{tree}}", place=repository.place).stdout:
            asked = ("commit-tree", tree, "-p", commit, "-m", f"{what} of {worktree.branch}")
            commit = run_git(*asked, place=repository.place, config=config).stdout
    return commit
