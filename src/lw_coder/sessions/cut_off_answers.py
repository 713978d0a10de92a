"""Notice from droid's transcripts that its model can never finish an answer.

If an answer ends at the token limit, droid asks the model to continue, for ever.
"""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path

from lw_coder.foundation.errors import GitError
from lw_coder.repository.importing.untrusted_files import UntrustedFolder

MOST = 3  # in a row; a long answer may well need a second part
WHY = (
    f"{MOST} answers of its model in a row were cut off at the token limit; raise max_output_tokens in"
    " .lw_coder/config.toml, or set another OPENROUTER_MODEL"
)

_MOST_FILES = 1_000
_MOST_READ = 1 << 20  # bytes of a file at a time, and of a line
# What droid 0.215.0 adds to a conversation in that case.
_CUT_OFF = re.compile(
    rb'"role":"user","content":\[\{"type":"text","text":"Your previous response ended before completion'
    rb'(?=.*"visibility":"llm_only")'
)
_TYPED = re.compile(rb'"role":"user"(?!.*"visibility":")')  # also the results of tools
_TOOL = re.compile(rb'"type":"tool_use"')


class CutOffAnswers:
    """Reads what is added to the transcripts in a folder, which a running container writes.

    What was there before, or comes with a new file, is history: it does not complete a row.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._name = UntrustedFolder(folder.parent), folder.name
        self._transcripts = {name: _Transcript(self._size(name)) for name in self._names()}

    def are_too_many(self) -> bool:
        """Read on, and tell whether a conversation ends with too many of them."""
        return any(self._read(name) >= MOST for name in self._names())

    def _read(self, name: str) -> int:
        size = self._size(name)
        transcript = self._transcripts.get(name)
        if transcript is None or size < transcript.place:
            transcript = self._transcripts[name] = _Transcript(0)
            transcript.add(self._folder.read_part(name, 0, _MOST_READ))
            transcript.row = min(transcript.row, MOST - 1)
        elif size > transcript.place:
            transcript.add(self._folder.read_part(name, transcript.place, _MOST_READ))
        return transcript.row

    def _names(self) -> list[str]:
        try:
            found = (name for name in self._folder.files(self._name) if name.endswith(".jsonl"))
            return list(islice(found, _MOST_FILES))
        except GitError:
            return []

    def _size(self, name: str) -> int:
        found = self._folder.stat(name)
        return found.st_size if found else 0


class _Transcript:
    """One file: how much of it was read, and how many answers in a row were cut off at its end."""

    def __init__(self, place: int) -> None:
        self.place, self.row, self._rest = place, 0, b""

    def add(self, data: bytes) -> None:
        self.place += len(data)
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest[-_MOST_READ:]
        for line in lines:
            if _CUT_OFF.search(line):
                self.row += 1
            elif _TOOL.search(line) or _TYPED.search(line):
                self.row = 0
