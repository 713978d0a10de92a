"""Read the files of a run's folder, within limits and without following links."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from msgspec import Struct

from lw_coder.foundation.errors import GitError
from lw_coder.foundation.redaction import Redaction
from lw_coder.repository.importing.untrusted_files import UntrustedFolder

LONGEST_FILE = 100_000  # bytes of a file that is shown
_MOST_FILES = 5  # of a folder


class FileText(Struct, frozen=True):
    """A file that was read.

    Attributes:
        name: its path below the run's folder.
        shown: its text, or the beginning or the end of it.
        size: its length in bytes.
        is_cut: whether the rest was left out.
    """

    name: str
    shown: str
    size: int
    is_cut: bool


class RunFiles:
    """The files of a run, of which some were written by a container.

    Args:
        folder: the run's.
        redaction: replaces the values of variables in what is read.
    """

    def __init__(self, folder: Path, redaction: Redaction | None = None) -> None:
        self.folder = UntrustedFolder(folder)
        self.redaction = redaction or Redaction({})

    def text(self, name: str, most: int = LONGEST_FILE, *, end: bool = False) -> FileText | None:
        """Read a regular file; return None if there is none of that name.

        Args:
            name: its path below the run's folder.
            most: bytes that are read.
            end: read those at its end, not those at its beginning.
        """
        found = self.folder.stat(name) if "\0" not in name else None
        if found is None or not stat.S_ISREG(found.st_mode):
            return None
        start = max(found.st_size - most, 0) if end else 0
        text = self.folder.read_part(name, start, most).decode(errors="replace")
        return FileText(name, self.redaction.text(text), found.st_size, found.st_size > most)

    def texts(self, folder: str, suffix: str) -> Iterator[FileText]:
        """Read the files of a folder whose names have an ending, in the order of their names; at most 5."""
        try:
            entries = self.folder.entries(folder)
        except GitError:
            return
        names = (f"{folder}/{entry.name}" for entry in entries if entry.name.endswith(suffix))
        for name in islice(names, _MOST_FILES):
            if (text := self.text(name)) is not None:
                yield text
