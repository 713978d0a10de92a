"""Temporary folders of commands. What killed commands left is removed by a later one of the same user."""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from lw_coder.foundation.signals import held

_PREFIX = "lw_coder-temporary-"
_TRIES, _PAUSE = 20, 0.05  # seconds
_NAME = re.compile(re.escape(_PREFIX) + "[a-z0-9_]+")


class TemporaryFolder(NamedTuple):
    """A folder, and a descriptor of it.

    A process that has the descriptor keeps the folder from being removed by others: its lock lasts until the
    last of them has ended.
    """

    path: Path
    descriptor: int


@contextmanager
def temporary_folder() -> Iterator[TemporaryFolder]:
    """Create a folder for its owner alone, and remove it at the end of the block; first what was abandoned.

    Raises:
        OSError: it cannot be created.
    """
    remove_abandoned_temporary()
    made = None
    try:
        with held():  # no signal is raised between its creation and the `try`
            made = _create()
        yield made
    finally:
        with held():
            if made is not None:
                _remove(made)


def _remove(made: TemporaryFolder) -> None:
    """Remove a folder in which a docker client that is just ending may still write."""
    import shutil

    for _ in range(_TRIES):
        shutil.rmtree(made.path, ignore_errors=True)
        if not made.path.exists():
            break
        time.sleep(_PAUSE)
    os.close(made.descriptor)


def _create() -> TemporaryFolder:
    import tempfile

    while True:
        path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        # Another command can find it, and remove it, until it is locked.
        with suppress(FileNotFoundError):
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            with suppress(OSError):  # a file system without locks
                fcntl.flock(descriptor, fcntl.LOCK_SH)
            if path.exists():
                return TemporaryFolder(path, descriptor)
            os.close(descriptor)


def remove_abandoned_temporary() -> None:
    """Remove the folders that killed commands of this user left; nothing that a process still uses."""
    import tempfile

    with suppress(OSError):
        with os.scandir(tempfile.gettempdir()) as entries:
            names = [entry.path for entry in entries if _NAME.fullmatch(entry.name)]
        for path in names:
            _remove_if_abandoned(path)


def _remove_if_abandoned(path: str) -> None:
    import shutil

    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        if os.fstat(descriptor).st_uid == os.geteuid():
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
    except OSError:  # it is in use
        return
    finally:
        os.close(descriptor)
