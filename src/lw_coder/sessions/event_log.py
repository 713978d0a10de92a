"""What a headless session leaves of its agent's words: events.jsonl and summary.md, without secrets."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, Self

from lw_coder.foundation.report import printable, warn

EVENTS_FILE = "events.jsonl"
SUMMARY_FILE = "summary.md"
SETUP_LOG = "setup.log"  # beside them: what the commands of `[code] setup` printed
MOST_EVENTS = 64 << 20  # bytes of events.jsonl
LONGEST_TEXT = 100_000  # characters of one text in an event
LONGEST_EVENT = 1 << 20  # bytes of a line
LONGEST_SUMMARY = 1 << 20  # bytes of summary.md


class EventLog:
    """Writes events.jsonl; a disk that is full ends the log and not the session. A context manager.

    Args:
        folder: the run's, which no container can write to.
        most: bytes of the file.
    """

    def __init__(self, folder: Path, most: int = MOST_EVENTS) -> None:
        self._path = folder / EVENTS_FILE
        self._open = ExitStack()
        self._file: BinaryIO | None = None
        self._room = most

    def __enter__(self) -> Self:
        try:
            self._file = self._open.enter_context(_new_file(self._path))
        except OSError as error:
            self._give_up(error)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def write(self, event: dict[str, Any]) -> None:
        """Append an event; at the end of the room, a last line says so."""
        line = _line(event)
        self._room -= len(line)
        self._append(line if self._room >= 0 else _line({"type": "lw_coder_cut", "text": "the file is full"}))
        if self._room < 0:
            self._file = None

    def _append(self, line: bytes) -> None:
        if self._file is None:
            return
        try:
            self._file.write(line)
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self._file = None
        warn(f"{printable(str(self._path))}: cannot be written: {error.strerror}; the session goes on")


def write_summary(folder: Path, text: str) -> None:
    """Write the agent's final message; if that is not possible, this is a warning."""
    content = text.encode(errors="replace")
    if len(content) > LONGEST_SUMMARY:
        kept = content[:LONGEST_SUMMARY].decode(errors="ignore")
        content = f"{kept}\n\n[cut here: the message had {len(content)} bytes]\n".encode()
    path = folder / SUMMARY_FILE
    try:
        with _new_file(path) as file:
            file.write(content if content.endswith(b"\n") else content + b"\n")
    except OSError as error:
        warn(f"{printable(str(path))}: cannot be written: {error.strerror}")


def _new_file(path: Path) -> BinaryIO:
    """Create a file that only its owner can read; unbuffered, so that a kill loses nothing."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    return os.fdopen(os.open(path, flags, 0o600), "wb", buffering=0)


def _line(event: dict[str, Any]) -> bytes:
    line = json.dumps(_shortened(event), ensure_ascii=True, separators=(",", ":")).encode() + b"\n"
    if len(line) <= LONGEST_EVENT:
        return line
    marker = {"type": str(event.get("type"))[:100], "lw_coder_cut": len(line)}
    return json.dumps(marker, separators=(",", ":")).encode() + b"\n"


def _shortened(value: Any) -> Any:
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        return f"{value[:LONGEST_TEXT]}[cut here: {len(value)} characters]"
    if isinstance(value, list):
        return [_shortened(item) for item in value]
    if isinstance(value, dict):
        return {key: _shortened(item) for key, item in value.items()}
    return value
