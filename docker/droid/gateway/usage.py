"""What an answer used, as the provider reports it: in a whole answer, or in the pieces of a stream."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_LONGEST_LINE = 1 << 20  # bytes; a longer line of a stream is passed on unread
_MOST = 10**12  # a larger number is not believed


@dataclass(frozen=True)
class Usage:
    """Tokens and cost of an answer.

    Attributes:
        input: tokens of the prompt, cached ones included.
        output: tokens of the answer, reasoning included.
        cached: those of the prompt that came from the provider's cache.
        cost_usd: as the provider reports it; None if it does not.
    """

    input: int = 0
    output: int = 0
    cached: int = 0
    cost_usd: float | None = None

    @property
    def tokens(self) -> int:
        """Prompt and answer together."""
        return self.input + self.output


def read_usage(found: Mapping[str, Any]) -> Usage | None:
    """Read a `usage` object of either format; None if it has no usable number."""
    if "prompt_tokens" in found or "completion_tokens" in found:
        details = found.get("prompt_tokens_details")
        cached = details.get("cached_tokens") if isinstance(details, dict) else 0
        counts = (found.get("prompt_tokens"), found.get("completion_tokens"), cached)
    else:
        read, written = (
            found.get("cache_read_input_tokens") or 0,
            found.get("cache_creation_input_tokens") or 0,
        )
        counts = (_sum(found.get("input_tokens"), read, written), found.get("output_tokens"), read)
    if _count(counts[0]) is None and _count(counts[1]) is None:
        return None
    prompt, answer, cached = (_count(each) or 0 for each in counts)
    return Usage(prompt, answer, cached, _dollars(found.get("cost")))


def _sum(*counts: object) -> int | None:
    known = [_count(count) for count in counts]
    return None if known[0] is None else sum(each or 0 for each in known)


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= _MOST else None


def _dollars(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and 0 <= value <= _MOST else None


class AnswerReader:
    """Reads an answer while it passes: its id, its usage, and why it ended.

    Attributes:
        answer_id: the provider's name of the answer; empty until it is known.
        finish_reason: such as `stop` or `length`; empty until it is known.
        size: bytes so far.
    """

    def __init__(self, *, is_stream: bool) -> None:
        self.answer_id = ""
        self.finish_reason = ""
        self.size = 0
        self._is_stream = is_stream
        self._found: dict[str, Any] = {}
        self._rest = b""

    def feed(self, piece: bytes) -> None:
        """Take the next piece."""
        self.size += len(piece)
        self._rest += piece
        if not self._is_stream:
            self._rest = self._rest[: _LONGEST_LINE * 8]
            return
        *lines, self._rest = self._rest.split(b"\n")
        for line in lines:
            self._read_line(line)
        if len(self._rest) > _LONGEST_LINE:
            self._rest = b""

    def usage(self) -> Usage | None:
        """Return what the answer reported; None if it did not."""
        if not self._is_stream:
            self._read(self._rest)
        return read_usage(self._found)

    def _read_line(self, line: bytes) -> None:
        is_wanted = not self.answer_id or b'"usage"' in line or b'_reason"' in line
        if line.startswith(b"data:") and is_wanted:
            self._read(line.removeprefix(b"data:"))

    def _read(self, text: bytes) -> None:
        try:
            event = json.loads(text)
        except (ValueError, RecursionError):
            return
        if isinstance(event, dict):
            self._note(event)

    def _note(self, event: Mapping[str, Any]) -> None:
        message = event.get("message")
        for part in (event, message if isinstance(message, dict) else {}):
            if isinstance(part.get("id"), str):
                self.answer_id = self.answer_id or part["id"]
            if isinstance(part.get("usage"), dict):
                self._found.update(
                    {name: value for name, value in part["usage"].items() if value is not None}
                )
        self._note_reason(event)

    def _note_reason(self, event: Mapping[str, Any]) -> None:
        choices = event.get("choices")
        delta = event.get("delta")
        first = choices[0] if isinstance(choices, list) and choices else None
        for part, name in ((first, "finish_reason"), (delta, "stop_reason"), (event, "stop_reason")):
            if isinstance(part, dict) and isinstance(part.get(name), str):
                self.finish_reason = part[name]
