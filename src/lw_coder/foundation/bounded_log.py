"""A log of a command, of which only the first and the last part are kept."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Self

KEPT = 512 * 1024  # bytes of the first part, and of the last


class BoundedLog:
    """A file that only its owner can read; whatever is written to it, it stays small.

    A context manager. At its end the last part is written.
    """

    def __init__(self, path: Path) -> None:
        """Create the file.

        Raises:
            OSError: it cannot be created.
        """
        self._file = os.fdopen(
            os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb"
        )
        self._room = KEPT
        self._last = bytearray()
        self._left_out = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        with self._file as file:
            if self._left_out:
                file.write(f"\n[... {self._left_out} bytes left out ...]\n".encode())
            file.write(self._last)

    def write(self, data: bytes) -> None:
        """Write output."""
        first, rest = data[: self._room], data[self._room :]
        self._file.write(first)
        self._room -= len(first)
        self._last += rest
        if len(self._last) > 2 * KEPT:
            self._left_out += len(self._last) - KEPT
            del self._last[:-KEPT]
