"""Problems of a plan file, each with its place and a remedy."""

from __future__ import annotations

import json
from pathlib import Path

from msgspec import Struct

from lw_coder.foundation.errors import PlanError
from lw_coder.foundation.report import printable

_SHOWN_LENGTH = 60  # characters of a wrong value that a message repeats
_LONGEST_QUOTED = 400  # characters of a text that a remedy shows between quotes
_SHOWN_PATH_LENGTH = 300


class Problem(Struct, frozen=True):
    """Something in a plan file that breaks a rule.

    Attributes:
        problem: what is wrong, in one line.
        remedy: what to type or to do, in one line.
        line: the line of the file, from 1, or None if the problem has no line of its own.
        field: the key of the front matter, or None.
        item: the item of the key's list, from 1, or None.
    """

    problem: str
    remedy: str
    line: int | None = None
    field: str | None = None
    item: int | None = None

    def described(self, place: str) -> str:
        """Return what is wrong and where; `place` is the file's name."""
        line = f", line {self.line}" if self.line else ""
        item = f", item {self.item}" if self.item else ""
        field = f"{self.field}{item}: " if self.field else ""
        return f"{place}{line}: {field}{self.problem}"

    def error(self, place: str) -> PlanError:
        """Return the problem as an error."""
        return PlanError(self.described(place), self.remedy)


def shown_path(path: Path) -> str:
    """Return how messages name a file: relative to the current folder if it is inside."""
    here = Path.cwd()
    name = printable(str(path.relative_to(here) if path.is_relative_to(here) else path))
    # The end of a path is the distinctive part.
    return name if len(name) <= _SHOWN_PATH_LENGTH else f"...{name[-_SHOWN_PATH_LENGTH:]}"


def shown(text: str) -> str:
    """Return a text for a message: in quotes, escaped, and not too long."""
    return shortened(repr(text))


def shortened(text: str) -> str:
    """Return the beginning of a text that may be too long for a message."""
    return text if len(text) <= _SHOWN_LENGTH else text[:_SHOWN_LENGTH] + "..."


def quoted(text: str) -> str:
    """Return a text of one line as YAML reads it back without a change: between quotes."""
    if not text.isprintable():
        return json.dumps(text, ensure_ascii=False)
    if '"' not in text and "\\" not in text:
        return f'"{text}"'
    doubled = text.replace("'", "''")
    return f"'{doubled}'"


def put_between_quotes(marker: str, source: str) -> str:
    """Return the remedy for a text that YAML misreads.

    Args:
        marker: what is before the text in its line: a dash, the key and its colon, or nothing.
        source: the text as it was typed, in one line.
    """
    if len(source) > _LONGEST_QUOTED:
        return "put it between quotes, or write it as a block below a line that ends with |"
    typed = " ".join(filter(None, (marker, quoted(_without_quotes(source)))))
    return f"put it between quotes: {typed}"


def _without_quotes(source: str) -> str:
    """Remove double quotes around a text: YAML misreads the escape sequences between them."""
    whole = len(source) > 1 and source[0] == source[-1] == '"' and source.count('"') == len('""')
    return source[1:-1] if whole else without_lone_quote(source)


def without_lone_quote(source: str) -> str:
    """Remove a double quote that begins or ends a text if its partner is missing."""
    is_lone = source.count('"') == 1 and '"' in {source[0], source[-1]}
    return (source.strip('"').strip() if is_lone else "") or source
