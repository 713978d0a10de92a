"""The tasks folder while a session may write to it: what was there is kept, what came is told.

After the session its content is not to be trusted: no link is followed, nothing but plain files is opened.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

MOST_ENTRIES = 10_000


@dataclass(frozen=True)
class Originals:
    """The files of the tasks folder before a session.

    Attributes:
        copies: the folder that has a copy of each.
        digests: SHA-256 by path below the tasks folder; "" for what is neither a file nor a folder.
    """

    copies: Path
    digests: Mapping[str, str]


@dataclass(frozen=True)
class Changes:
    """What became of the tasks folder, as sorted paths below it.

    Attributes:
        new: plain files that were not there.
        changed: files that are not what they were.
        removed: files that are gone.
        odd: links, pipes, setuid files and the like that were not there, or were plain files.
    """

    new: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    odd: tuple[str, ...]


def keep_originals(tasks: Path, copies: Path) -> Originals:
    """Copy every plain file of the tasks folder, and remember what it was.

    Raises:
        OSError: a file cannot be read, or there is no room for its copy.
    """
    digests = {}
    for entry in _entries(tasks):
        name = os.path.relpath(entry.path, tasks)
        digests[name] = _digest(entry)
        if digests[name]:
            copy = copies / name
            copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.copyfile(entry.path, copy, follow_symlinks=False)
    return Originals(copies, digests)


def find_changes(tasks: Path, originals: Originals) -> Changes:
    """Compare the tasks folder with what it was; at most MOST_ENTRIES of it are looked at."""
    found = {os.path.relpath(entry.path, tasks): entry for entry in _entries(tasks)}
    before = originals.digests
    new = {name: entry for name, entry in found.items() if name not in before}
    odd = tuple(sorted(n for n, entry in found.items() if not _is_plain(entry) and before.get(n) != ""))
    return Changes(
        new=tuple(sorted(new.keys() - set(odd))),
        changed=tuple(
            sorted(name for name, entry in found.items() if name in before and _digest(entry) != before[name])
        ),
        removed=tuple(sorted(n for n in before.keys() - found.keys() if not os.path.lexists(tasks / n))),
        odd=odd,
    )


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield what is below a folder and is itself none; a folder that cannot be read counts as empty."""
    waiting, seen = [str(folder)], 0
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    seen += 1
                    if seen > MOST_ENTRIES:
                        return
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        yield entry
        except OSError:
            continue


def _is_plain(entry: os.DirEntry[str]) -> bool:
    try:
        mode = entry.stat(follow_symlinks=False).st_mode
    except OSError:  # its path is too long to be opened
        return False
    # A setuid file would be the person's own, in a folder that others can reach.
    return stat.S_ISREG(mode) and not mode & (stat.S_ISUID | stat.S_ISGID)


def _digest(entry: os.DirEntry[str]) -> str:
    if not _is_plain(entry):
        return ""
    try:
        with Path(entry.path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return "unreadable"  # the session can have made it so; a copy, made before it, fails by itself
