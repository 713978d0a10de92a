"""Read droid's own transcripts while a session runs, and count what they say of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from msgspec import Struct

from lw_coder.foundation.errors import GitError
from lw_coder.repository.importing.untrusted_files import UntrustedFolder

SESSIONS = "sessions"  # of a run's folder; the container writes to it
_SUFFIX = ".jsonl"
_MOST_FILES = 1000
_MOST_READ = 4 << 20  # bytes of a file at once, and of a line; the next time it goes on from there
_ANSWER = re.compile(rb'"role":"assistant"')
_STEP = re.compile(rb'"type":"tool_(?:use|result)"')
# What the person typed; droid marks what it adds itself, such as "Continue where you left off".
TYPED = re.compile(rb'"role":"user"(?!.*"visibility":")')


class Added(Struct, frozen=True):
    """What was added to a transcript since the last time.

    Attributes:
        name: its path below the run's folder.
        lines: the whole ones.
        is_new: whether it was not there the last time.
        is_rewritten: whether it is shorter than the last time, and these are its first lines.
    """

    name: str
    lines: tuple[bytes, ...]
    is_new: bool
    is_rewritten: bool


class TranscriptReader:
    """Reads what is added to the transcripts below a run's folder, from its making on.

    The container can write anything there, so nothing is followed.
    """

    def __init__(self, run_folder: Path) -> None:
        self._folder = UntrustedFolder(run_folder)
        self._places = {name: self._size(name) for name in self._names()}
        self._rests: dict[str, bytes] = {}

    def added(self) -> Iterator[Added]:
        """Yield what has changed since the last time."""
        for name in self._names():
            size, place = self._size(name), self._places.get(name)
            if place is None or size != place:
                yield self._read(name, size, place)

    def _read(self, name: str, size: int, place: int | None) -> Added:
        is_rewritten = place is not None and size < place
        start = 0 if place is None or is_rewritten else place
        before = b"" if start == 0 else self._rests.get(name, b"")
        added = self._folder.read_part(name, start, _MOST_READ)
        self._places[name] = start + len(added)
        *lines, rest = (before + added).split(b"\n")
        self._rests[name] = rest[-_MOST_READ:]
        return Added(name, tuple(lines), place is None, is_rewritten)

    def _names(self) -> list[str]:
        try:
            found = (name for name in self._folder.files(SESSIONS) if name.endswith(_SUFFIX))
            return list(islice(found, _MOST_FILES))
        except GitError:
            return []

    def _size(self, name: str) -> int:
        found = self._folder.stat(name)
        return found.st_size if found else 0


class TranscriptCounts:
    """Counts answers of the model, and steps of its agents.

    No count ever falls, and a transcript that is written anew is not counted again.

    Attributes:
        turns: answers of the model.
        steps: tool calls, their results, and what a person typed.
    """

    def __init__(self, run_folder: Path) -> None:
        self._reader = TranscriptReader(run_folder)
        self.turns = 0
        self.steps = 0

    def update(self, without: str = "") -> None:
        """Count what was added since the last time.

        Args:
            without: the id of a conversation that is counted elsewhere.
        """
        for added in self._reader.added():
            if not added.is_rewritten and not added.name.endswith(f"/{without}{_SUFFIX}"):
                self.turns += sum(bool(_ANSWER.search(line)) for line in added.lines)
                self.steps += sum(bool(_STEP.search(line) or TYPED.search(line)) for line in added.lines)
