"""Count what droid's own transcripts say of a session: answers of the model, and steps of its agents."""

from __future__ import annotations

import re
from pathlib import Path

from lw_coder.foundation.errors import GitError
from lw_coder.repository.importing.untrusted_files import UntrustedFolder

SESSIONS = "sessions"  # of a run's folder; the container writes to it
_SUFFIX = ".jsonl"
_MOST_FILES = 1000
_MOST_READ = 4 << 20  # bytes of a file at once; the next time it goes on from there
_ANSWER = re.compile(rb'"role":"assistant"')
_STEP = re.compile(rb'"type":"tool_(?:use|result)"')
# What the person typed; droid marks what it adds itself, such as "Continue where you left off".
_TYPED = re.compile(rb'"role":"user"(?!.*"visibility":")')


class TranscriptCounts:
    """Counts what is added to the transcripts below a run's folder.

    The container can write anything there, so nothing is followed, and no count ever falls.

    Attributes:
        turns: answers of the model.
        steps: tool calls, their results, and what a person typed.
    """

    def __init__(self, run_folder: Path) -> None:
        self._folder = UntrustedFolder(run_folder)
        self._read = {name: self._size(name) for name in self._names()}
        self._rest: dict[str, bytes] = {}
        self.turns = 0
        self.steps = 0

    def update(self, without: str = "") -> None:
        """Read what was added since the last time.

        Args:
            without: the id of a conversation that is counted elsewhere.
        """
        for name in self._names():
            if not name.endswith(f"/{without}{_SUFFIX}") and self._size(name) > self._read.get(name, 0):
                self._count(name)

    def _count(self, name: str) -> None:
        start = self._read.get(name, 0)
        added = self._folder.read_part(name, start, _MOST_READ)
        self._read[name] = start + len(added)
        *lines, rest = (self._rest.get(name, b"") + added).split(b"\n")
        self._rest[name] = rest[:_MOST_READ]
        self.turns += sum(bool(_ANSWER.search(line)) for line in lines)
        self.steps += sum(bool(_STEP.search(line) or _TYPED.search(line)) for line in lines)

    def _names(self) -> list[str]:
        try:
            found = (name for name in self._folder.files(SESSIONS) if name.endswith(_SUFFIX))
            return [name for name, _ in zip(found, range(_MOST_FILES), strict=False)]
        except GitError:
            return []

    def _size(self, name: str) -> int:
        found = self._folder.stat(name)
        return found.st_size if found else 0
