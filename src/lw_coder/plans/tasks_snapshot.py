"""A snapshot of the tasks folder before a session that may write to it, and the changes afterwards.

After the session its contents are not trusted: no link is followed, only regular files are opened, and the
time to compare is limited.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from lw_coder.foundation.errors import GitError
from lw_coder.plans.plan_file import MAX_PLAN_BYTES
from lw_coder.repository.importing.untrusted_files import UntrustedFolder

ORIGINALS = "tasks-before"  # in the run's folder
MOST_ENTRIES = 10_000
MOST_COPIED = 256 << 20  # bytes, of all copies together

_ODD = ""  # the state of what is not a regular file


class TasksSnapshot(Struct, frozen=True):
    """The files of the tasks folder before a session.

    Attributes:
        copies: the folder with a copy of each, except those that are too large for a plan.
        states: the state of each, by its path below the tasks folder.
    """

    copies: Path
    states: Mapping[str, str]


class Changes(Struct, frozen=True):
    """The changes in the tasks folder, as sorted paths below it.

    Attributes:
        new: new regular files.
        changed: files whose state changed.
        removed: files that were removed.
        odd: links, pipes, setuid files and the like that are new, or were regular files before.
        is_complete: False if there are so many new entries that not all were checked.
    """

    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    odd: tuple[str, ...] = ()
    is_complete: bool = True


def take_snapshot(tasks: Path, copies: Path) -> TasksSnapshot:
    """Copy the regular files of the tasks folder, and record the state of each.

    Raises:
        OSError: a file cannot be read, or the disk is full.
    """
    folder, states, room = UntrustedFolder(tasks), {}, MOST_COPIED
    for name in _names(tasks, MOST_ENTRIES)[0]:
        found = folder.stat(name)
        states[name] = _state(folder, name, found)
        if found and states[name] != _ODD and found.st_size <= min(MAX_PLAN_BYTES, room):
            room -= found.st_size
            (copies / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.copyfile(tasks / name, copies / name, follow_symlinks=False)
    return TasksSnapshot(copies, states)


def find_changes(tasks: Path, originals: TasksSnapshot) -> Changes:
    """Compare the tasks folder with its snapshot: all earlier entries, and at most MOST_ENTRIES new ones."""
    folder, before = UntrustedFolder(tasks), originals.states
    now = {name: _state(folder, name, found) for name in before if (found := folder.stat(name))}
    names, is_complete = _names(tasks, MOST_ENTRIES + len(before))
    new = {name: _state(folder, name, folder.stat(name)) for name in names if name not in before}
    odd = [name for name, state in {**now, **new}.items() if state == _ODD and before.get(name) != _ODD]
    return Changes(
        new=tuple(sorted(new.keys() - set(odd))),
        changed=tuple(sorted(name for name, state in now.items() if state != before[name])),
        removed=tuple(sorted(before.keys() - now.keys())),
        odd=tuple(sorted(odd)),
        is_complete=is_complete,
    )


def _names(folder: Path, most: int) -> tuple[list[str], bool]:
    """List everything below a folder that is not a folder, and whether the list is complete.

    It reads at most `most` entries, including folders; a folder that cannot be read counts as empty.
    """
    names: list[str] = []
    waiting, seen = [str(folder)], 0
    while waiting:
        with suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                seen += 1
                if seen > most:
                    return names, False
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    names.append(os.path.relpath(entry.path, folder))
    return names, True


def _state(folder: UntrustedFolder, name: str, found: os.stat_result | None) -> str:
    """Return a file's state: a digest, or, if it is too large for a plan, its size and time."""
    # A setuid file would belong to the person, in a folder that other users can reach.
    if not found or not stat.S_ISREG(found.st_mode) or found.st_mode & (stat.S_ISUID | stat.S_ISGID):
        return _ODD
    if found.st_size > MAX_PLAN_BYTES:
        return f"{found.st_size} bytes, {found.st_ctime_ns}"  # the time that cannot be set
    try:
        content = folder.read(name, found.st_size)
    except GitError:  # it is growing, which cannot happen after the session
        content = None
    # The session may have made it unreadable; an error before the session is raised by the copy.
    return "unreadable" if content is None else hashlib.sha256(content).hexdigest()
