"""Count a session's uncommitted files, without running any program that the agent could choose."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from lw_coder.foundation.errors import GitError
from lw_coder.repository.git import Place, run_git, stream_git
from lw_coder.repository.git_settings import read_configuration
from lw_coder.repository.importing.untrusted_files import memory_limited

if TYPE_CHECKING:
    from lw_coder.repository.importing.commits import ImportResult
    from lw_coder.repository.worktrees import Worktree

MAX_COMPARED = 2 << 30  # bytes of tracked files, each of which git may have to read
_FILTER = re.compile(r"filter\.(.+)\.(?:clean|smudge|process|required)", re.DOTALL)
_OFF = ("clean=", "smudge=", "process=", "required=false")
_FIRST = 3


class Uncommitted(Struct, frozen=True):
    """Files that differ from the worktree's commit, or are new and not ignored.

    Attributes:
        changed: how many tracked files differ, are deleted or are staged.
        untracked: how many files and folders are new.
        first: paths of some of them.
    """

    changed: int = 0
    untracked: int = 0
    first: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Return whether there are any."""
        return self.count > 0

    @property
    def count(self) -> int:
        """The total number."""
        return self.changed + self.untracked


def find_uncommitted(worktree: Worktree, imported: ImportResult) -> Uncommitted | None:
    """Count a session's uncommitted files.

    Nested repositories are not searched, and none of the user's filters run: otherwise the agent's
    `.gitattributes` could make them run on the agent's files.

    Returns:
        None if the number is unknown: the branch did not move to the session's commits, a nested repository
        was found, or git would have to read too much.
    """
    if imported.nested or imported.problem or (imported.tip is not None and not imported.moved):
        return None
    try:
        with memory_limited():
            return _counted(worktree)
    except (GitError, OSError, MemoryError):
        return None


def _counted(worktree: Worktree) -> Uncommitted | None:
    place = Place(worktree.path, git_dir=worktree.git_dir)
    config = _filters_off(worktree.place)
    if config is None or _is_too_much(worktree.path, place):
        return None
    options = ("--porcelain", "-z", "--no-renames", "--ignore-submodules=all", "--untracked-files=normal")
    output = run_git("status", *options, place=place, config=config).stdout
    entries = [entry for entry in output.split("\0") if entry]
    untracked = sum(entry.startswith("??") for entry in entries)
    return Uncommitted(len(entries) - untracked, untracked, tuple(entry[3:] for entry in entries[:_FIRST]))


def _filters_off(place: Place) -> tuple[str, ...] | None:
    """Make settings that switch off every configured filter; None if a filter's name does not allow that."""
    names = {found[1] for name in read_configuration(place) if (found := _FILTER.fullmatch(name))}
    if any("=" in name for name in names):
        return None
    return tuple(f"filter.{name}.{setting}" for name in sorted(names) for setting in _OFF)


def _is_too_much(worktree: Path, place: Place) -> bool:
    room = MAX_COMPARED
    for size in _sizes(worktree, place):
        room -= size
        if room < 0:
            return True
    return False


def _sizes(worktree: Path, place: Place) -> Iterator[int]:
    for name in stream_git("ls-files", "-z", place=place):
        try:
            yield os.lstat(f"{worktree}/{name}").st_size  # a Path for each of many files takes much longer
        except OSError:  # deleted, or its folder is no longer a folder
            continue
