"""Submodules that the person has populated in a plan's worktree: their `.git` leads nowhere in a session.

Git inside would stop at it ("not a git repository"). It is covered, so that git inside takes the submodule
for one that is not populated, as in a fresh worktree; its files are there. It is the person's own, so it is
told from what an agent planted.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from lw_coder.repository.importing.nested_repositories import find_repositories_in
from lw_coder.repository.importing.untrusted_files import UntrustedFolder

_LONGEST_POINTER = 8192  # bytes


def populated(worktree: Path, common_dir: Path, gitlinks: Iterable[str]) -> dict[str, str]:
    """Find the `.git` files of populated submodules, and of those within them.

    Only files that lead into the repository's own `modules` count, where no session writes. A `.git` that is
    a folder can have been planted in an earlier session.

    Args:
        worktree: where the submodules are.
        common_dir: the repository's git folder.
        gitlinks: paths of the submodules in the worktree's index.

    Returns:
        What each of them says, by its path relative to the worktree.
    """
    found = {}
    for link in gitlinks:
        if _is_folder(worktree, link):
            for name in find_repositories_in(worktree / link):
                path = f"{link}/{name}"
                text = _text(worktree, path)
                if text is not None and _leads_to_a_module(worktree / path, text, common_dir):
                    found[path] = text
    return found


def unchanged(worktree: Path, known: Mapping[str, str]) -> set[str]:
    """Return those of the paths that `populated` gave at which there still is the same."""
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


def _leads_to_a_module(pointer: Path, text: str, common_dir: Path) -> bool:
    target = Path(os.path.realpath(pointer.parent / text.removesuffix("\n").removeprefix("gitdir: ")))
    top = common_dir.resolve()
    return (
        text.startswith("gitdir: ")
        and target.is_relative_to(top)
        and "modules" in target.relative_to(top).parts
    )
