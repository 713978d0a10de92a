"""What still runs: processes, of which one that has ended waits for somebody to ask, and who hold a lock."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def is_living(pid: int) -> bool:
    """Return whether a process runs, and is not a status that nobody has asked for yet."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in {"Z", "X"}


def is_held(path: Path) -> bool:
    """Return whether a process has locked a file or folder with flock(2)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def processes_with(name: str, value: str) -> Iterator[tuple[int, str]]:
    """Find the processes that have a variable of this value in their environment: the ids, the commands."""
    for environ in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # it has ended meanwhile
            if f"{name}={value}\0".encode() in environ.read_bytes() + b"\0":
                command = environ.with_name("cmdline").read_text(errors="replace").replace("\0", " ")
                yield int(environ.parent.name), command
