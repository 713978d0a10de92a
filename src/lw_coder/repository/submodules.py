"""Submodules that the user has populated in a plan's worktree.

In a session, the `.git` file of such a submodule points to a folder that is not mounted, and git would fail
("not a git repository"). So a mount hides the file: git treats the submodule as not populated, as in a new
worktree, and its files are still there. The file is the user's, so it is not reported as a nested repository
of an agent.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from lw_coder.foundation.files import resolved
from lw_coder.repository.importing.nested_repositories import find_repositories_in
from lw_coder.repository.importing.untrusted_files import UntrustedFolder

_LONGEST_POINTER = 8192  # bytes


def populated(worktree: Path, common_dir: Path, gitlinks: Iterable[str]) -> dict[str, str]:
    """Find the `.git` files of populated submodules, nested ones included.

    Only files that point into the repository's `modules` folder count, because no session writes there. An
    earlier session could have created a `.git` folder.

    Args:
        worktree: where the submodules are.
        common_dir: the repository's git folder.
        gitlinks: paths of the submodules in the worktree's index.

    Returns:
        The contents of each file, by its path relative to the worktree.
    """
    found = {}
    for link in gitlinks:
        if _is_folder(worktree, link):
            for name in find_repositories_in(worktree / link):
                path = f"{link}/{name}"
                text = _text(worktree, path)
                if text is not None and _points_to_module(worktree / path, text, common_dir):
                    found[path] = text
    return found


def unchanged(worktree: Path, known: Mapping[str, str]) -> set[str]:
    """Return the paths, as found by `populated`, whose files still have the same contents."""
    return {path for path, text in known.items() if _text(worktree, path) == text}


def _is_folder(worktree: Path, path: str) -> bool:
    found = UntrustedFolder(worktree).stat(path)
    return found is not None and stat.S_ISDIR(found.st_mode)


def _text(worktree: Path, path: str) -> str | None:
    folder = UntrustedFolder(worktree)
    found = folder.stat(path)
    if found is None or not stat.S_ISREG(found.st_mode) or found.st_size > _LONGEST_POINTER:
        return None
    return os.fsdecode(folder.read(path, _LONGEST_POINTER) or b"")


def _points_to_module(pointer: Path, text: str, common_dir: Path) -> bool:
    target = Path(os.path.realpath(pointer.parent / text.removesuffix("\n").removeprefix("gitdir: ")))
    top = resolved(common_dir)
    return (
        text.startswith("gitdir: ")
        and target.is_relative_to(top)
        and "modules" in target.relative_to(top).parts
    )
