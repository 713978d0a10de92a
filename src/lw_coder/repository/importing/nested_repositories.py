"""Look for repositories in what an agent wrote, a worktree or the tasks folder, without running git.

A nested repository makes the host's git run what its config names (core.fsmonitor) at the next `git status`:
one with a `.git` from anywhere in the worktree, one that is laid out like a bare one from inside its folder.
"""

from __future__ import annotations

import errno
import os
import re
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lw_coder.repository.git import OWN_FOLDER, shown
from lw_coder.repository.importing.untrusted_files import MAX_ENTRIES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

MOST_FINDINGS = 20

_MOST_NAMED = 3
_LONGEST_NAME = 200
_MOST_STEPS = 1_000_000  # names that are looked at to follow all links
_MOST_NAMES = 100  # that are still to be looked at, of one link
_KERNELS_LIMIT = 40  # links, behind which it goes no further

# What HFS+ ignores in a name, and how NTFS lets one name be written: git itself guards against both.
_IGNORED_BY_HFS = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
_STREAM = re.compile(r":.*", re.DOTALL)


def find_nested_repositories(worktree: Path) -> tuple[str, ...]:
    """Return what makes git see a repository below the worktree's top, relative to it, at most MOST_FINDINGS.

    That is a `.git` entry, or the HEAD of a folder that is laid out like a bare repository: whoever types a
    git command in there works by its config. So it is with a link to what agents write elsewhere. A folder
    that cannot be searched counts as well: git may be able to enter it later.
    """
    # The worktree's own `.git` is looked at elsewhere, and found by git before anything beside it.
    return _search(worktree, lambda names: [name for name in names if is_dot_git(name) and name != ".git"])


def find_repositories_in(folder: Path) -> tuple[str, ...]:
    """Return the same for a folder that is no worktree, which may not have a `.git` of its own either."""
    return _search(folder, _traces)


def nested_repositories_note(folder: Path, found: Sequence[str], afterwards: str = "") -> str:
    """Say, in one line, what was found where, and what not to do.

    Args:
        folder: what was searched.
        found: what was found there, at least one name.
        afterwards: what else is to be done, once it is removed.
    """
    names = ", ".join(shown(name)[:_LONGEST_NAME] for name in found[:_MOST_NAMED])
    others = " and others" if len(found) > _MOST_NAMED else ""
    return (
        f"{folder}: do not run git there before you have inspected and removed {names}{others}: a nested"
        f" repository's config can make git run commands{afterwards}"
    )


def _search(top: Path, at_the_top: Callable[[list[str]], list[str]]) -> tuple[str, ...]:
    real_top, steps = top.resolve(), iter(range(_MOST_STEPS))
    found: list[str] = []
    waiting, seen = [""], 0
    while waiting and len(found) < MOST_FINDINGS:
        folder = waiting.pop()
        prefix = f"{folder}/" if folder else ""
        try:
            listed = _listed(top / folder, MAX_ENTRIES - seen)
        except OSError:
            found.append(folder or ".")
            continue
        seen += len(listed.names)
        found += [prefix + name for name in (_traces if folder else at_the_top)(listed.names)]
        links = (name for name in listed.links if _leads_to_agents(real_top, real_top / folder / name, steps))
        found += [prefix + name for name in islice(links, MOST_FINDINGS)]
        waiting += [prefix + name for name in listed.folders if not is_dot_git(name)]
    return tuple(sorted(set(found))[:MOST_FINDINGS])


class _Listed(NamedTuple):
    names: list[str]
    folders: list[str]
    links: list[str]


def _listed(folder: Path, most: int) -> _Listed:
    """List a folder: all that is in it, and which of them are folders or links; a link is never a folder.

    Raises:
        OSError: it cannot be read, or there is more in it.
    """
    listed = _Listed([], [], [])
    with os.scandir(folder) as entries:
        for entry in entries:
            if len(listed.names) >= most:
                raise OSError(errno.E2BIG, "more than is searched")
            listed.names.append(entry.name)
            if entry.is_symlink():
                listed.links.append(entry.name)
            elif entry.is_dir(follow_symlinks=False):
                listed.folders.append(entry.name)
    return listed


def _leads_to_agents(top: Path, link: Path, steps: Iterator[int]) -> bool:
    """Tell whether a link leads into `.lw_coder`, out of the folder that is searched.

    Transcripts, git folders, other worktrees: agents write there too, and nobody looks for repositories. What
    takes too long to follow counts as well: `Path.resolve` would go on for as long as an agent likes.
    """
    try:
        target = _resolved(link, steps)
    except _TooLongError:
        return True
    return OWN_FOLDER in target.parts and not target.is_relative_to(top)


class _TooLongError(Exception):
    pass


def _resolved(link: Path, steps: Iterator[int]) -> Path:
    """Follow a link whose folder has no links in its path, name by name, as the kernel does."""
    done, rest, links = link.parent, [link.name], 0
    while rest and links <= _KERNELS_LIMIT:
        name = rest.pop()
        if next(steps, None) is None or len(rest) > _MOST_NAMES:
            raise _TooLongError
        try:
            text = str((done / name).readlink())
        except OSError:  # no link, or nothing at all
            done = done.parent if name == ".." else done / name
            continue
        links += 1
        done = Path("/") if text.startswith("/") else done
        rest += reversed(text.strip("/").split("/"))
    return done


def _traces(names: list[str]) -> list[str]:
    """Return those of a folder's names by which git takes it for a repository, or the top of one."""
    return [*filter(is_dot_git, names), *_bare_head(names)]


def _bare_head(names: list[str]) -> list[str]:
    """Return the HEAD by which git takes a folder with these names for a git folder, if it does."""
    known = {name.casefold() for name in names}
    is_git_folder = {"objects", "refs"} <= known or "commondir" in known
    return [name for name in names if name.casefold() == "head" and is_git_folder]


def is_dot_git(name: str) -> bool:
    """Tell whether some file system takes this name for `.git`."""
    plain = _STREAM.sub("", _IGNORED_BY_HFS.sub("", name)).rstrip(" .")
    return plain.casefold() in {".git", "git~1"}
