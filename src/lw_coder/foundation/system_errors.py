"""Errors of the system that are no bugs wherever they are met: a full disk, a folder without access, ..."""

from __future__ import annotations

import errno
import os

from lw_coder.foundation.errors import FolderError, LwCoderError, RunError
from lw_coder.foundation.streams import discard_output, is_missing_output

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_OF_PATHS = {
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EIO),
    *(errno.ENAMETOOLONG, errno.ESTALE),
}


def is_full(error: OSError) -> bool:
    """Return whether there was no space for what was written."""
    return error.errno in _FULL


def remedy_of(error: OSError) -> str:
    """Return what helps where a file or folder cannot be used."""
    return "free some space" if is_full(error) else "correct that path, its owner or its permissions"


def expected_error(error: OSError) -> LwCoderError | None:
    """Return what is shown of an error of the system; None if it is a bug that it was not foreseen."""
    if is_full(error):
        return RunError("there is no space for what is written", "free some, or write to another place")
    if is_missing_output(error):
        discard_output()
        return RunError("standard output is closed", "leave out >&-, or write to a file")
    if error.errno in _OF_PATHS and error.filename is not None:
        what = f"{os.fsdecode(error.filename)}: {error.strerror}"
        return FolderError(what, remedy_of(error))
    return None
