"""The tasks folder while a session may write to it: what was there is kept, what came is told.

After the session its content is not to be trusted: no link is followed, nothing but plain files is opened,
and nothing of it takes longer than its size allows.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lw_coder.foundation.errors import GitError
from lw_coder.plans.plan_file import MAX_PLAN_BYTES
from lw_coder.repository.importing.untrusted_files import UntrustedFolder

ORIGINALS = "tasks-before"  # in the run's folder
MOST_ENTRIES = 10_000
MOST_COPIED = 256 << 20  # bytes, of all copies together

_ODD = ""  # the state of what is no plain file


@dataclass(frozen=True)
class TasksSnapshot:
    """The files of the tasks folder before a session.

    Attributes:
        copies: the folder that has a copy of each, but for what is larger than a plan can be.
        states: what each was, by its path below the tasks folder.
    """

    copies: Path
    states: Mapping[str, str]


@dataclass(frozen=True)
class Changes:
    """What became of the tasks folder, as sorted paths below it.

    Attributes:
        new: plain files that were not there.
        changed: files that are not what they were.
        removed: files that are gone.
        odd: links, pipes, setuid files and the like that were not there, or were plain files.
        is_complete: False where there is so much that not all of what is new was looked at.
    """

    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    odd: tuple[str, ...] = ()
    is_complete: bool = True


def take_snapshot(tasks: Path, copies: Path) -> TasksSnapshot:
    """Copy the plain files of the tasks folder, and remember what each was.

    Raises:
        OSError: a file cannot be read, or there is no room for its copy.
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
    """Compare the tasks folder with what it was: all that was there, and at most MOST_ENTRIES besides."""
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
    """List what is below a folder and is itself none, and whether that is all of it.

    At most so many entries are looked at, folders included; a folder that cannot be read counts as empty.
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
    """Tell one content from another: by a digest, or, of what is too large for a plan, by size and time."""
    # A setuid file would be the person's own, in a folder that others can reach.
    if not found or not stat.S_ISREG(found.st_mode) or found.st_mode & (stat.S_ISUID | stat.S_ISGID):
        return _ODD
    if found.st_size > MAX_PLAN_BYTES:
        return f"{found.st_size} bytes, {found.st_ctime_ns}"  # the time that nobody can set
    try:
        content = folder.read(name, found.st_size)
    except GitError:  # it grows; where nobody is at work any more, none does
        content = None
    # The session can have made it unreadable; a copy, made before it, fails by itself.
    return "unreadable" if content is None else hashlib.sha256(content).hexdigest()
