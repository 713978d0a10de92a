"""Look for nested repositories in a worktree that an agent wrote, without running git.

A nested repository makes the host's git run what its config names (core.fsmonitor) at the next `git status`:
one with a `.git` from anywhere in the worktree, one that is laid out like a bare one from inside its folder.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MOST_FINDINGS = 20

# What HFS+ ignores in a name, and how NTFS lets one name be written: git itself guards against both.
_IGNORED_BY_HFS = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
_STREAM = re.compile(r":.*", re.DOTALL)


def find_nested_git(worktree: Path) -> tuple[str, ...]:
    """Return what makes git see a repository below the worktree's top, relative to it, at most MOST_FINDINGS.

    That is a `.git` entry, or the HEAD of a folder that is laid out like a bare repository: whoever types a
    git command in there works by its config. A folder that cannot be searched counts as well: git may be
    able to enter it later.
    """
    found: list[str] = []
    waiting = [""]
    while waiting and len(found) < MOST_FINDINGS:
        folder = waiting.pop()
        try:
            names, inner = _names(worktree / folder)
        except OSError:
            found.append(folder or ".")
            continue
        prefix = f"{folder}/" if folder else ""
        if folder:
            found += [prefix + name for name in (*filter(is_dot_git, names), *_bare_head(names))]
        else:  # the worktree's own `.git` is looked at elsewhere, and found by git before anything beside it
            found += [name for name in names if is_dot_git(name) and name != ".git"]
        waiting += [prefix + name for name in inner if not is_dot_git(name)]
    return tuple(sorted(found)[:MOST_FINDINGS])


def _names(folder: Path) -> tuple[list[str], list[str]]:
    """List a folder: all that is in it, and which of them are folders; a link to one is not."""
    with os.scandir(folder) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    return [name for name, _ in found], [name for name, is_folder in found if is_folder]


def _bare_head(names: list[str]) -> list[str]:
    """Return the HEAD by which git takes a folder with these names for a git folder, if it does."""
    known = {name.casefold() for name in names}
    is_git_folder = {"objects", "refs"} <= known or "commondir" in known
    return [name for name in names if name.casefold() == "head" and is_git_folder]


def is_dot_git(name: str) -> bool:
    """Tell whether some file system takes this name for `.git`."""
    plain = _STREAM.sub("", _IGNORED_BY_HFS.sub("", name)).rstrip(" .")
    return plain.casefold() in {".git", "git~1"}
