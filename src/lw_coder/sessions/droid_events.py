"""The lines that `droid exec --output-format stream-json` prints. Whatever else is printed is text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from lw_coder.foundation.json_text import read_json

LONGEST_LINE = 8 << 20  # bytes; the rest of a longer line is dropped

SUBAGENT_TOOL = "Task"
_TELLING = ("command", "file_path", "path", "folder_path", "pattern", "query", "url", "description")


class Event(Struct, frozen=True):
    """One event of a session.

    Attributes:
        raw: the JSON object. Nothing in it is certain: an agent can print to the same stream.
    """

    raw: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """`system`, `message`, `tool_call`, `tool_result`, `error`, `completion`, or something else."""
        return self._text("type")

    @property
    def session(self) -> str:
        """The id of the agent's conversation."""
        return self._text("session_id")

    @property
    def answer(self) -> str:
        """The id of the model's answer that this is a part of; empty if it is not from the model."""
        if self.kind == "tool_call":
            return self._text("messageId")
        return self._text("id") if self.kind == "message" and self._text("role") == "assistant" else ""

    @property
    def is_step(self) -> bool:
        """Whether a tool was called or has ended, which a model that only repeats itself does not do."""
        return self.kind in {"tool_call", "tool_result"}

    @property
    def message(self) -> str:
        """The final text of a completion, or the text of an error."""
        return self._text("finalText") if self.kind == "completion" else self._text("message")

    @property
    def usage(self) -> dict[str, int]:
        """The token counts of a completion, by droid's names; subagents are included."""
        found = self.raw.get("usage")
        counts = found.items() if isinstance(found, dict) else ()
        return {name: count for name, count in counts if isinstance(count, int) and name.endswith("_tokens")}

    @property
    def call(self) -> tuple[str, str]:
        """The name of the tool that is called, and the first line of what tells most about the call."""
        given = self.raw.get("parameters")
        values = given if isinstance(given, dict) else {}
        told = next((values[name] for name in _TELLING if isinstance(values.get(name), str)), "")
        return self._text("toolName"), told.strip().partition("\n")[0]

    @property
    def subagent(self) -> str:
        """The name of the subagent that is called, or an empty text."""
        values = self.raw.get("parameters")
        is_call = self.kind == "tool_call" and self._text("toolName") == SUBAGENT_TOOL
        name = values.get("subagent_type") if is_call and isinstance(values, dict) else ""
        return name if isinstance(name, str) else ""

    def _text(self, name: str) -> str:
        value = self.raw.get(name)
        return value if isinstance(value, str) else ""


def parse(line: bytes) -> Event:
    """Read a line; one that is no JSON object becomes an event of the kind `text`."""
    text = line.decode(errors="replace")
    try:
        found = read_json(text, finite=True)
    except ValueError:
        found = None
    return Event(found if isinstance(found, dict) else {"type": "text", "text": text})


class Lines:
    """Divides a stream of bytes into lines.

    Args:
        longest: bytes of a line.
    """

    def __init__(self, longest: int = LONGEST_LINE) -> None:
        self._longest = longest
        self._begun = bytearray()

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the lines that are complete now, without their line feeds and without empty ones."""
        *complete, rest = chunk.split(b"\n")
        for part in complete:
            self._add(part)
            yield from self.end()
        self._add(rest)

    def end(self) -> Iterator[bytes]:
        """Yield what was begun, if anything."""
        line = bytes(self._begun).strip()
        self._begun.clear()
        if line:
            yield line

    def _add(self, part: bytes) -> None:
        self._begun += part[: self._longest - len(self._begun)]
