"""The parts of a conversation, from the lines of droid's transcript; nothing in them is certain."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from lw_coder.foundation.counting import counted
from lw_coder.foundation.redaction import Redaction
from lw_coder.pages.fields import Fields
from lw_coder.pages.visible import shortened
from lw_coder.sessions.droid_events import SUBAGENT_TOOL, Event, parse

LONGEST_TEXT = 20_000  # characters of a message, a parameter or a result
_LONGEST_NAME = 200
_MOST_PARAMETERS = 20
_DAMAGED_SHOWN = 300  # characters of a line that is no JSON object
_OVERHEAD = 300  # of a part's markup
_EXITED = re.compile(r"\[Process exited with code (\d+)\]\s*\Z")
_REMINDER = "<system-reminder>"


class Call(Struct, frozen=True):
    """A tool call.

    Attributes:
        id: what its result names.
        tool: the tool's name.
        told: what tells most about the call, in a line.
        subagent: the subagent that is called, or an empty text.
        parameters: names and values; long texts are cut.
    """

    id: str
    tool: str
    told: str
    subagent: str
    parameters: tuple[tuple[str, str], ...]


class Part(Struct, frozen=True):
    """A part of a conversation.

    Attributes:
        kind: `prompt`, `said`, `thought`, `call`, `result`, `added` (by droid itself), `damaged`, `gap`, or
            `outcome`.
        text: what was written; of a call, empty.
        time: when, such as 12:34:56; may be empty.
        call: the call; None for other kinds.
        answers: of a result, the id of its call.
        is_error: whether something failed.
        result: of a call, its result, if there is one.
    """

    kind: str
    text: str
    time: str = ""
    call: Call | None = None
    answers: str = ""
    is_error: bool = False
    result: Part | None = None

    @property
    def size(self) -> int:
        """About how much of a page it takes."""
        given = self.call.parameters if self.call else ()
        return _OVERHEAD + len(self.text) + sum(len(name) + len(value) for name, value in given)


def read_line(line: bytes, redaction: Redaction) -> tuple[Fields, list[Part]]:
    """Read a line of a transcript: the JSON object, and the parts that are in it."""
    found = Fields(redaction.json(parse(line).raw))
    kind = found.text("type")
    if kind == "text":  # what `parse` makes of anything else than a JSON object
        return found, [Part("damaged", shortened(found.text("text"), _DAMAGED_SHOWN))]
    if kind == "agent_turn_outcome" and found.text("reason") != "completed":
        return found, [Part("outcome", found.text("reason")[:_LONGEST_NAME], is_error=True)]
    return found, list(_of_message(found)) if kind == "message" else []


def _of_message(found: Fields) -> Iterator[Part]:
    message, time = found.inner("message"), found.time("timestamp")
    when = f"{time:%H:%M:%S}" if time else ""
    is_agents, is_hidden = message.text("role") == "assistant", bool(found.text("visibility"))
    blocks = message.objects("content")
    if alone := message.text("content"):
        blocks = [Fields({"type": "text", "text": alone})]
    if not blocks:
        yield Part("damaged", "a message without content", when)
    for block in blocks:
        yield _of_block(block, when, is_agents=is_agents, is_hidden=is_hidden)


def _of_block(block: Fields, when: str, *, is_agents: bool, is_hidden: bool) -> Part:
    kind = block.text("type")
    if kind == "tool_use":
        return Part("call", "", when, call=_call(block))
    if kind == "tool_result":
        return _result(block, when)
    if kind == "text":
        text = shortened(block.text("text"), LONGEST_TEXT)
        is_added = is_hidden or text.lstrip().startswith(_REMINDER)
        return Part("said" if is_agents else "added" if is_added else "prompt", text, when)
    if kind in {"thinking", "reasoning"}:
        return Part("thought", shortened(block.text(kind) or block.text("text"), LONGEST_TEXT), when)
    return Part("added", f"[{kind[:_LONGEST_NAME] or 'unknown'}: not shown]", when)


def _call(block: Fields) -> Call:
    given, tool = block.inner("input").raw, block.text("name")[:_LONGEST_NAME]
    event = Event({"type": "tool_call", "toolName": tool, "parameters": given})
    told = given["subagent_type"] if tool == SUBAGENT_TOOL and event.subagent else event.call[1]
    return Call(
        block.text("id"),
        tool or "a tool without a name",
        told[:_LONGEST_NAME],
        event.subagent[:_LONGEST_NAME],
        tuple(_parameters(given)),
    )


def _parameters(given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for number, (name, value) in enumerate(given.items()):
        if number == _MOST_PARAMETERS:
            yield "...", counted(len(given) - number, "more parameter")
            return
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        yield name[:_LONGEST_NAME], shortened(text, LONGEST_TEXT)


def _result(block: Fields, when: str) -> Part:
    texts = [inner.text("text") or f"[{inner.text('type')}]" for inner in block.objects("content")]
    text = block.text("content") or "\n".join(texts)
    exited = _EXITED.search(text[-100:])
    failed = block.flag("is_error") or (exited is not None and exited[1] != "0")
    shown = shortened(text, LONGEST_TEXT)
    return Part("result", shown, when, answers=block.text("tool_use_id"), is_error=failed)
