"""Read files that anything may have made."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

LONGEST = 64 << 20  # bytes


def read_regular(path: Path) -> bytes:
    """Return the content of a file.

    Raises:
        OSError: it cannot be read, is longer than LONGEST, or is no regular file: a pipe would be waited for,
            a device has no end.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not a file", str(path))
        content = file.read(LONGEST + 1)
    if len(content) > LONGEST:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return content


def resolved(path: Path) -> Path:
    """Return where a path's links lead; a circle of them, at which Path.resolve raises, stays as it is."""
    return Path(os.path.realpath(path))
