"""JSON that others wrote: its length and its nesting are bounded before anything reads it.

A recursive reader would break off at a depth that depends on who called it, and what it can just read would
break the next function that walks through it.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, TypeVar

DEEPEST = 100  # brackets; what lw_coder, docker and droid write has about ten
LONGEST = 64 << 20  # bytes; the longest of lw_coder's own, run.json, has the plan and its prompts

_TEXTS = re.compile(r'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_BRACKETS = re.compile(r"[\[\]{}]")

_Document = TypeVar("_Document")


class BoundsError(ValueError):
    """JSON that is too long, or nested too deeply."""


def read_json(content: str | bytes, *, finite: bool = False) -> Any:
    """Parse a document.

    Args:
        content: JSON; bytes are UTF-8.
        finite: whether NaN and the infinite numbers, which JSON does not have, become None.

    Raises:
        BoundsError: it is longer than LONGEST, or nested more deeply than DEEPEST.
        ValueError: it is no JSON.
    """
    text = _bounded(content)
    if not finite:
        return json.loads(text)
    return json.loads(text, parse_constant=lambda _: None, parse_float=_finite)


def read_json_as(content: bytes, kind: type[_Document]) -> _Document:
    """Parse a document of a certain form, which msgspec checks.

    Raises:
        BoundsError: likewise.
        ValueError: it is no JSON, or has another form.
    """
    import msgspec

    _bounded(content)
    return msgspec.json.decode(content, type=kind)


def is_nested_deeply(text: str) -> bool:
    """Return whether more than DEEPEST brackets and braces are open at once, outside of texts."""
    if text.count("[") + text.count("{") <= DEEPEST:
        return False
    depth = 0
    for bracket in _BRACKETS.finditer(_TEXTS.sub("", text)):
        depth += 1 if bracket[0] in "[{" else -1
        if depth > DEEPEST:
            return True
    return False


def _bounded(content: str | bytes) -> str:
    if len(content) > LONGEST:
        raise BoundsError(f"it is longer than {LONGEST} bytes")
    text = content if isinstance(content, str) else content.decode()
    if is_nested_deeply(text):
        raise BoundsError("it is nested too deeply")
    return text


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None
