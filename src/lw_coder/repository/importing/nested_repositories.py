"""Find nested repositories in a worktree or the tasks folder, where an agent writes, without running git.

The config of a nested repository (core.fsmonitor) makes the host's git run commands at the next `git status`:
with a `.git`, anywhere in the worktree; with the layout of a bare repository, inside its folder.
"""

from __future__ import annotations

import errno
import os
import re
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lw_coder.foundation.files import resolved
from lw_coder.foundation.report import printable
from lw_coder.repository.git import OWN_FOLDER
from lw_coder.repository.importing.untrusted_files import MAX_ENTRIES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

MOST_FINDINGS = 20

READ_BY_GIT = frozenset((".gitignore", ".gitattributes", ".gitmodules", ".mailmap"))
_MOST_NAMED = 3
_LONGEST_NAME = 200
_MOST_STEPS = 1_000_000  # names that are resolved to follow all links
_MOST_NAMES = 100  # of one link, still to be resolved
_KERNELS_LIMIT = 40  # links, after which the kernel gives up

# Characters that HFS+ ignores in names, and NTFS's alternative spellings; git itself checks both.
_IGNORED_BY_HFS = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
_STREAM = re.compile(r":.*", re.DOTALL)


def find_nested_repositories(worktree: Path) -> tuple[str, ...]:
    """Return the paths below a worktree where git would see a repository, at most MOST_FINDINGS.

    These are `.git` entries, and the HEAD of each folder with the layout of a bare repository: git commands
    in that folder use its config. Links to other folders that agents write count too, and so does a folder
    that cannot be searched: git may be able to enter it later; and so does a pipe by a name that git opens,
    where git waits for ever.
    """
    # The worktree's own `.git` is checked elsewhere; git finds it before anything next to it.
    return _search(worktree, lambda names: [name for name in names if is_dot_git(name) and name != ".git"])


def find_repositories_in(folder: Path) -> tuple[str, ...]:
    """Return the same for a folder that is not a worktree, where its own `.git` counts too."""
    return _search(folder, _traces)


def nested_repositories_note(folder: Path, found: Sequence[str], afterwards: str = "") -> str:
    """Format a one-line warning: what was found where, and what not to do.

    Args:
        folder: the folder that was searched.
        found: the paths that were found, at least one.
        afterwards: what else to do after they were removed.
    """
    names = ", ".join(printable(name)[:_LONGEST_NAME] for name in found[:_MOST_NAMED])
    others = " and others" if len(found) > _MOST_NAMED else ""
    return (
        f"{folder}: do not run git there before you have inspected and removed {names}{others}: a nested"
        f" repository's config can make git run commands, and a pipe can make it wait{afterwards}"
    )


def _search(top: Path, at_the_top: Callable[[list[str]], list[str]]) -> tuple[str, ...]:
    real_top, steps = resolved(top), iter(range(_MOST_STEPS))
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
        found += [prefix + name for name in listed.pipes]
        found += [prefix + name for name in (_traces if folder else at_the_top)(listed.names)]
        links = (name for name in listed.links if _leads_to_agents(real_top, real_top / folder / name, steps))
        found += [prefix + name for name in islice(links, MOST_FINDINGS)]
        waiting += [prefix + name for name in listed.folders if not is_dot_git(name)]
    return tuple(sorted(set(found))[:MOST_FINDINGS])


class _Listed(NamedTuple):
    names: list[str]
    folders: list[str]
    links: list[str]
    pipes: list[str]


def _listed(folder: Path, most: int) -> _Listed:
    """List a folder: all names, and which of them are folders or links; a link is never a folder.

    Raises:
        OSError: it cannot be read, or contains more than `most` entries.
    """
    listed = _Listed([], [], [], [])
    with os.scandir(folder) as entries:
        for entry in entries:
            if len(listed.names) >= most:
                raise OSError(errno.E2BIG, "more than is searched")
            listed.names.append(entry.name)
            if entry.is_symlink():
                listed.links.append(entry.name)
            elif entry.is_dir(follow_symlinks=False):
                listed.folders.append(entry.name)
            elif entry.name in READ_BY_GIT and not entry.is_file(follow_symlinks=False):
                listed.pipes.append(entry.name)
    return listed


def _leads_to_agents(top: Path, link: Path, steps: Iterator[int]) -> bool:
    """Return whether a link leads out of the searched folder into `.lw_coder`.

    Agents also write transcripts, git folders and other worktrees there, which are not searched. A link that
    takes too long to follow counts too: with `Path.resolve` an agent could make it take for ever.
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
        except OSError:  # not a link, or missing
            done = done.parent if name == ".." else done / name
            continue
        links += 1
        done = Path("/") if text.startswith("/") else done
        rest += reversed(text.strip("/").split("/"))
    return done


def _traces(names: list[str]) -> list[str]:
    """Return the names in a folder that make git treat it as a repository, or the top of one."""
    return [*filter(is_dot_git, names), *_bare_head(names)]


def _bare_head(names: list[str]) -> list[str]:
    """Return HEAD if git would treat a folder with these names as a git folder."""
    known = {name.casefold() for name in names}
    is_git_folder = {"objects", "refs"} <= known or "commondir" in known
    return [name for name in names if name.casefold() == "head" and is_git_folder]


def is_dot_git(name: str) -> bool:
    """Return whether some file system treats this name as `.git`."""
    plain = _STREAM.sub("", _IGNORED_BY_HFS.sub("", name)).rstrip(" .")
    return plain.casefold() in {".git", "git~1"}
