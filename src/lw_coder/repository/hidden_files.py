"""Files whose changes git does not see, because somebody told it not to look at them.

`git update-index --assume-unchanged` and `--skip-worktree` do that: people use them for settings of their own
in tracked files. A merge can overwrite the first kind silently, and `git status` lists neither.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from lw_coder.repository.git import Place, run_git, stream_git

_SKIPPED = "S"
SHOW = ("--no-assume-unchanged", "--no-skip-worktree")  # of `git update-index`, which takes one at a time


def hidden_files(place: Place, root: Path) -> Iterator[str]:
    """Yield the paths of those that are there; what a sparse checkout leaves out is not.

    Args:
        place: where git runs.
        root: the worktree.

    Raises:
        GitError: git failed.
    """
    for line in stream_git("ls-files", "-v", "-z", place=place):
        tag, path = line[:1], line[2:]
        if (tag.islower() or tag == _SKIPPED) and os.path.lexists(root / path):
            yield path


def show_to_git(place: Place, paths: Iterable[str]) -> None:
    """Have git look at files again.

    Raises:
        GitError: git failed.
    """
    names = "".join(f"{path}\0" for path in paths)
    for option in SHOW if names else ():
        run_git("update-index", option, "-z", "--stdin", place=place, stdin=names)
