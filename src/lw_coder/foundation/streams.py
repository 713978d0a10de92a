"""Standard streams that the process was started without, such as by `>&-` in a shell."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress

_ACCESS = {"stdin": os.O_RDONLY, "stdout": os.O_RDONLY, "stderr": os.O_WRONLY}


def open_missing() -> None:
    """Open /dev/null in place of missing streams, so that no other file gets their numbers.

    What is written to a missing standard output is refused by the system, as in programs of the shell:
    a result that nobody gets is an error. What is written to a missing standard error is lost.
    """
    for number, (name, access) in enumerate(_ACCESS.items()):
        if getattr(sys, name) is None:
            os.dup2(os.open(os.devnull, access), number)
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def is_missing_output(error: OSError) -> bool:
    """Return whether an error came from writing to a standard output that is missing."""
    return error.errno == errno.EBADF and sys.stdout is not None and not _can_write(sys.stdout.fileno())


def discard_output() -> None:
    """Drop what is still to be written to standard output, which Python would report when it ends."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _can_write(descriptor: int) -> bool:
    try:
        os.write(descriptor, b"")
    except OSError:
        return False
    return True
