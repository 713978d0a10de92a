"""What a run has changed, as a page shows it: line by line, with the words of each line coloured."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from lw_coder.foundation.redaction import Redaction
from lw_coder.pages.brief import lines_of
from lw_coder.pages.colours import Colours
from lw_coder.pages.visible import shortened
from lw_coder.repository.patches import Patch

if TYPE_CHECKING:
    from markupsafe import Markup

_LONGEST_LINE = 1000  # characters
_MOST_LINES = 2000  # of a file
_MOST_SHOWN = 1_000_000  # characters of all files
_OVERHEAD = 80  # of a line's markup
_STARTS = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")
_KINDS = {"+": "added", "-": "removed", "@": "hunk", "\\": "hunk"}
_WORDS = {"A": "added", "D": "deleted", "R": "renamed", "C": "copied", "T": "type changed"}


class Line(Struct, frozen=True):
    """A line of a difference.

    Attributes:
        kind: `added`, `removed`, `same` or `hunk`.
        sign: `+`, `-` or a space; empty for a hunk's heading.
        text: its text, escaped.
        old: its number in the older file; empty if it is not there.
        new: its number in the newer file; likewise.
    """

    kind: str
    sign: str
    text: Markup | str
    old: str = ""
    new: str = ""


class FileChange(Struct, frozen=True):
    """A changed file.

    Attributes:
        path: its path.
        old_path: its earlier path, if that is another one; otherwise empty.
        what: `added`, `deleted`, `renamed`, ..., or an empty text.
        counted: the numbers of lines, such as `+10 -3`, or why they are not known.
        lines: the difference; empty if it is not shown.
        left_out: how many lines are not shown.
        note: why nothing is shown; empty if something is.
    """

    path: str
    old_path: str
    what: str
    counted: str
    lines: tuple[Line, ...]
    left_out: int
    note: str


def shown_changes(patches: Sequence[Patch], colours: Colours, redaction: Redaction) -> list[FileChange]:
    """Return the changes with their lines, as many as a page can show, without the values of variables."""
    room, changes = _MOST_SHOWN, []
    for patch in patches:
        hunks = [redaction.text(line) for line in _within(patch.hunks or (), room)]
        room -= sum(len(line) + _OVERHEAD for line in hunks)
        changes.append(_change(patch, hunks, colours))
    return changes


def _within(lines: Sequence[str], room: int) -> Iterator[str]:
    for line in lines[:_MOST_LINES]:
        shown = line if len(line) <= _LONGEST_LINE else shortened(line, _LONGEST_LINE).replace("\n", " ")
        room -= len(shown) + _OVERHEAD
        if room < 0:
            return
        yield shown


def _change(patch: Patch, hunks: list[str], colours: Colours) -> FileChange:
    file = patch.file
    return FileChange(
        path=file.path,
        old_path=file.old_path if file.old_path != file.path else "",
        what=_WORDS.get(file.status, ""),
        counted=lines_of(patch),
        lines=tuple(_lines(file.path, hunks, colours)),
        left_out=len(patch.hunks or ()) - len(hunks),
        note=_note(patch),
    )


def _note(patch: Patch) -> str:
    file = patch.file
    if file.is_submodule:
        return f"a submodule: from {file.old_sha[:12]} to {file.sha[:12]}"
    if patch.hunks is None:
        return "not shown: it is binary or large, or there are too many files"
    if patch.hunks:
        return ""
    return (
        "its mode has changed" if file.old_sha == file.sha and file.status == "M" else "no line has changed"
    )


def _lines(path: str, hunks: Sequence[str], colours: Colours) -> Iterator[Line]:
    starts = [number for number, line in enumerate(hunks) if line.startswith("@")]
    for start, end in zip(starts, [*starts[1:], len(hunks)], strict=False):
        yield Line("hunk", "", hunks[start])
        yield from _numbered(path, hunks[start], hunks[start + 1 : end], colours)


def _numbered(path: str, heading: str, lines: Sequence[str], colours: Colours) -> Iterator[Line]:
    found = _STARTS.match(heading)
    old, new = (int(found[1]), int(found[2])) if found else (0, 0)
    before, after = _side(path, lines, "-", colours), _side(path, lines, "+", colours)
    for line in lines:
        kind = _KINDS.get(line[:1], "same")
        if kind == "hunk":  # `\ No newline at end of file`
            yield Line(kind, "", line)
            continue
        yield Line(
            kind,
            line[:1] or " ",
            next(before) if kind == "removed" else next(after),
            "" if kind == "added" else str(old),
            "" if kind == "removed" else str(new),
        )
        if kind == "same":
            next(before)
        old, new = old + (kind != "added"), new + (kind != "removed")


def _side(path: str, lines: Sequence[str], sign: str, colours: Colours) -> Iterator[Markup]:
    """Yield the lines of one of the two files, as a lexer sees them together."""
    text = "\n".join(line[1:] for line in lines if line[:1] in {sign, " ", ""})
    return iter(colours.lines(path, text))
