"""The agent's word on a plan's evaluation notes: what its plan-alignment-checker reported.

The agent is asked to report in this form, with the numbers of the notes in the plan:

    <evaluation-notes>
    1. met: tests/test_cart.py::test_empty passes
    2. not met: the README does not mention the option
    3. not judged: there is no browser here
    </evaluation-notes>

It is the agent's word, from files that the agent can write: nothing in it counts for the verdict.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import Struct

from lw_coder.foundation.errors import GitError
from lw_coder.foundation.json_text import read_json
from lw_coder.foundation.redaction import Redaction
from lw_coder.repository.importing.untrusted_files import UntrustedFolder

NOT_JUDGED = "not judged"

_SESSIONS = "sessions"
_SUMMARY = "summary.md"  # of a session without a terminal
_LARGEST = 16 << 20  # bytes of a transcript
_MOST_FILES = 1000
_MOST_BYTES = 64 << 20
_LONGEST_EVIDENCE = 500  # characters
_BEGINNING = "<evaluation-notes>"
_BLOCK = re.compile(rf"{_BEGINNING}(.*?)</evaluation-notes>", re.DOTALL)
_LINE = re.compile(
    r"^[\s>*-]*(?P<number>\d{1,3})\s*[.):]?[\s*]*(?P<result>met|not\s+met|not\s+judged)\b[\s*]*[:.,-]?\s*(?P<evidence>.*)$",
    re.IGNORECASE,
)


class JudgedNote(Struct, frozen=True):
    """An evaluation note, and what the agent's checker said of it.

    Attributes:
        note: the plan's text.
        result: `met`, `not met` or `not judged`.
        evidence: the checker's reason, or an empty text.
    """

    note: str
    result: str
    evidence: str


class _Said(NamedTuple):
    """A text of the agent, and when it was written; the later sorts last."""

    time: str
    text: str


def judged_notes(run_folder: Path, notes: Sequence[str], redaction: Redaction) -> tuple[JudgedNote, ...]:
    """Find what the agent last said of each note; without a word of it, the note is not judged.

    Args:
        run_folder: the run's; the container could write its transcripts.
        notes: the plan's evaluation notes.
        redaction: is applied to what the agent said.
    """
    if not notes:
        return ()
    said = _last_words(run_folder)
    return tuple(_judged(note, said.get(number), redaction) for number, note in enumerate(notes, 1))


def _judged(note: str, said: tuple[str, str] | None, redaction: Redaction) -> JudgedNote:
    result, evidence = said or (NOT_JUDGED, "")
    return JudgedNote(note, result, redaction.text(evidence)[:_LONGEST_EVIDENCE])


def _last_words(run_folder: Path) -> dict[int, tuple[str, str]]:
    """Return result and evidence by the note's number, from the last report in the form that is asked for."""
    folder = UntrustedFolder(run_folder)
    said = sorted(_said(folder))
    summary = _read(folder, _SUMMARY)
    texts = [text for _, text in said] + ([summary] if summary else [])
    reports = [parse_report(block) for text in texts for block in _BLOCK.findall(text)]
    return next((report for report in reversed(reports) if report), {})


def parse_report(block: str) -> dict[int, tuple[str, str]]:
    """Read a report in the form that is asked for; lines of another form are left out."""
    found = filter(None, (_LINE.match(line) for line in block.split("\n")))
    return {
        int(match["number"]): (_result(match["result"]), match["evidence"].strip(" *")) for match in found
    }


def _result(text: str) -> str:
    return " ".join(text.lower().split())


def _said(folder: UntrustedFolder) -> Iterator[_Said]:
    """Yield what the agent and its subagents wrote that contains a report."""
    room = _MOST_BYTES
    for name in _transcripts(folder):
        text = _read(folder, name)
        room -= len(text)
        if room < 0:
            return
        for line in text.split("\n"):
            if _BEGINNING in line:  # JSON escapes neither of its signs
                yield from _messages(line)


def _transcripts(folder: UntrustedFolder) -> list[str]:
    try:
        names = (name for name in folder.files(_SESSIONS) if name.endswith(".jsonl"))
        return [name for name, _ in zip(names, range(_MOST_FILES), strict=False)]
    except GitError:
        return []


def _read(folder: UntrustedFolder, name: str) -> str:
    try:
        return (folder.read(name, _LARGEST) or b"").decode(errors="replace")
    except GitError:  # it is too long
        return ""


def _messages(line: str) -> Iterator[_Said]:
    """Yield the texts of a line of a transcript, if the model wrote it: the prompt has the form too."""
    try:
        event: Any = read_json(line)
    except ValueError:
        return
    message = event.get("message") if isinstance(event, dict) else None
    if not isinstance(message, dict) or message.get("role") != "assistant":
        return
    content = message.get("content")
    for part in content if isinstance(content, list) else []:
        if isinstance(part, dict) and isinstance(part.get("text"), str):
            yield _Said(str(event.get("timestamp", "")), part["text"])
