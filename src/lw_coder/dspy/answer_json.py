"""Find the JSON objects that may be an answer among what a model writes around it. Pure.

The standard library says where an object that begins at a given brace ends; json_repair, which DSPy uses,
repairs one but takes every brace of the prose for another.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Any

from lw_coder.foundation.json_text import is_nested_deeply

MOST_TRIED = 1_000  # braces; a model that repeats itself writes thousands

_OPENING = re.compile(r'\{(?=\s*+")')
# In a JSON string a line break is escaped: a fence at the start of a line is not within one.
_CLOSING = re.compile(r"\}(?=\s*+(?:```)?\s*+\Z|[^\S\n]*+\n\s*+```)")
_DECODER = json.JSONDecoder(strict=False)  # weak models do not escape line breaks


def find_answers(text: str, names: Collection[str]) -> list[dict[str, Any]]:
    """Return the objects in a text that have all the names as keys, in their order.

    The answer is most likely the last one: drafts and examples come before it.
    """
    found, place = [], 0
    for _ in range(MOST_TRIED):
        opening = _OPENING.search(text, place)
        if opening is None:
            break
        value, end = _object_at(text, opening.start())
        if value is not None and value.keys() >= set(names):
            found.append(value)
            place = end
        else:
            place = opening.end()
    return found


def is_closed(text: str) -> bool:
    """Tell whether a text ends as an object does, or has a fence that does, before more prose."""
    return _CLOSING.search(text) is not None


def to_repair(text: str, names: Collection[str]) -> str:
    """Return the part of a text that may become the answer if it is repaired."""
    key = "|".join(map(re.escape, names))
    start = re.search(rf"\{{\s*+[\"']?(?:{key})\b", text)
    ends = [closing.end() for closing in _CLOSING.finditer(text)]
    return text[start.start() if start else 0 : ends[-1] if ends else None]


def _object_at(text: str, place: int) -> tuple[dict[str, Any] | None, int]:
    try:
        found, end = _DECODER.raw_decode(text, place)
    except (ValueError, RecursionError):
        return None, place
    return None if is_nested_deeply(text[place:end]) else found, end
