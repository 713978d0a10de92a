"""Text of unknown origin, for a page: nothing in it acts on what is around it, or on the person's eye."""

from __future__ import annotations

import re
import unicodedata

_UNUSUAL = re.compile(r"[^\x20-\x7e\n\t]")
# Marks over and under letters. No language has five at once; hundreds reach over the lines around them.
_PILED_MARKS = re.compile(
    "[\u0300-\u036f\u0483-\u0489\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u08d3-\u08ff"
    "\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ecd"
    "\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{5,}"
)


def visible(text: str) -> str:
    """Escape control and format characters, such as those that change the direction of text, and piled marks.

    Line feeds, tabs and all kinds of spaces are kept.
    """
    if text.isascii() and text.isprintable():
        return text
    return _PILED_MARKS.sub(_each_escaped, _UNUSUAL.sub(_escaped, text))


def _escaped(found: re.Match[str]) -> str:
    character = found[0]
    is_kept = character.isprintable() or unicodedata.category(character) == "Zs"
    return character if is_kept else ascii(character)[1:-1]


def _each_escaped(found: re.Match[str]) -> str:
    return ascii(found[0])[1:-1]


def shortened(text: str, most: int) -> str:
    """Leave out the middle of a text that is longer than `most` characters, and say so in its place."""
    left_out = len(text) - most
    if left_out <= 0:
        return text
    end = most // 4
    return f"{text[: most - end]}\n[{left_out:,} characters are left out here]\n{text[len(text) - end :]}"
