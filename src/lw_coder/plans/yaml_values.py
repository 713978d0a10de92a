"""The values of front matter, each compared with its source.

YAML drops parts of an unquoted text without a message: what follows ` #`, an anchor (`&name`), a tag
(`!name`). It reads `a: b` in a list as a table, and a lone dash as nothing. So this module reads YAML's
events, which have positions, and compares each text with what is written there. It resolves no aliases, so
that a few lines cannot become billions of values.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import yaml
from msgspec import Struct
from msgspec.structs import replace

from lw_coder.plans.problems import shown

_FIRST_LINE = 2  # of the front matter, in its file
_MARKER_BEFORE_COMMENT = re.compile(r"-[ \t]*(?:#[^\n]*)?$")
_DASH_LINE = re.compile(r"\n[ \t]*-[ \t]")
_EMPTY_BLOCK = re.compile(r"[|>][+-]?")
_COLON = "the text before the colon as a key"
_SIGNS = {"{": 'the "{" as the start of a table', "?": 'the "?" as the start of a key'}


class Value(Struct, frozen=True):
    """A value, or a key, of the front matter.

    Attributes:
        kind: text, list, table, or alias (`*name`).
        line: where it begins in the file, from 1.
        text: a text as YAML reads it.
        source: what is written there, in one line.
        fault: how YAML misreads the source; empty if it does not.
        advice: what to do about the fault, where quotes alone do not help.
        has_comment: whether the only fault is that a comment follows.
        in_brackets: whether it is within brackets or braces, not on a line of its own.
        items: the values of a list; those of an inner list are left out.
    """

    kind: Literal["text", "list", "table", "alias"]
    line: int
    text: str = ""
    source: str = ""
    fault: str = ""
    advice: str = ""
    has_comment: bool = False
    in_brackets: bool = False
    items: tuple[Value, ...] = ()


class _Node(Struct):
    event: Any  # a yaml event: PyYAML's types do not tell which attributes each kind has
    next_start: int  # of what follows the whole node
    children: list[_Node]


class _Slot(NamedTuple):
    """Where a value is written: from its marker on, in lines that are indented deeper than `column`."""

    start: int
    column: int
    in_flow: bool


def read_values(front: str) -> list[tuple[Value, Value]] | None:
    """Read the keys and values of front matter, in their order; None if it is not one table.

    Raises:
        yaml.YAMLError: it is not valid YAML.
    """
    roots = _nodes(front)
    if len(roots) != 1 or not isinstance(roots[0].event, yaml.MappingStartEvent):
        return None
    root = roots[0]
    column, in_flow = root.event.start_mark.column, root.event.flow_style
    pairs = []
    for key, value in zip(root.children[::2], root.children[1::2], strict=True):
        slot = _Slot(_after_colon(front, key, value), column, in_flow)
        pairs.append((_key(front, key), _value(front, value, slot)))
    return pairs


def _nodes(front: str) -> list[_Node]:
    top = _Node(None, len(front), [])
    stack = [top]
    for event, following in pairwise(yaml.parse(front, yaml.BaseLoader)):
        next_start = following.start_mark.index if following.start_mark else len(front)
        if isinstance(event, yaml.CollectionEndEvent):
            stack.pop().next_start = next_start
        elif isinstance(event, (yaml.ScalarEvent, yaml.AliasEvent, yaml.CollectionStartEvent)):
            stack[-1].children.append(_Node(event, next_start, []))
        if isinstance(event, yaml.CollectionStartEvent):
            stack.append(stack[-1].children[-1])
    return top.children


def line_at(front: str, index: int) -> int:
    """Return the line of a file that a position in its front matter is in."""
    return front.count("\n", 0, index) + _FIRST_LINE


def folded(source: str) -> str:
    """Return a text of several lines as YAML reads it without quotes: in one line."""
    lines = [line.strip(" \t") for line in source.strip(" \t\n").split("\n")]
    result, breaks = lines[0], 0
    for line in lines[1:]:
        breaks += 1
        if line:
            result += ("\n" * (breaks - 1) or " ") + line
            breaks = 0
    return result


def _after_colon(front: str, key: _Node, value: _Node) -> int:
    start = value.event.start_mark.index
    colon = front.find(":", key.event.end_mark.index, start)
    return int(start if colon < 0 else colon + 1)


def _key(front: str, node: _Node) -> Value:
    event, line = node.event, line_at(front, node.event.start_mark.index)
    if not isinstance(event, yaml.ScalarEvent):
        return Value("table", line, source=front[event.start_mark.index : event.end_mark.index])
    return Value("text", line, event.value, event.value, _label(event))


def _value(front: str, node: _Node, slot: _Slot) -> Value:
    event = node.event
    if isinstance(event, yaml.SequenceStartEvent):
        items = tuple(_item(front, child, event) for child in node.children)
        line, source = line_at(front, slot.start), folded(_written(front, node, slot))
        return Value("list", line, source=source, fault=_label(event), items=items)
    return _inner_value(front, node, slot)


def _item(front: str, node: _Node, parent: Any) -> Value:
    start = node.event.start_mark.index
    marker = start if parent.flow_style else _after_dash(front, start)
    return _inner_value(front, node, _Slot(marker, parent.start_mark.column, parent.flow_style))


def _inner_value(front: str, node: _Node, slot: _Slot) -> Value:
    event, written = node.event, _written(front, node, slot)
    value = Value("text", line_at(front, slot.start), source=folded(written), in_brackets=slot.in_flow)
    if isinstance(event, yaml.AliasEvent):
        return replace(value, kind="alias", fault=f"YAML reads *{event.anchor} as an alias")
    if isinstance(event, yaml.SequenceStartEvent):
        sign = "[" if event.flow_style else "-"
        return replace(value, kind="list", fault=f'YAML reads the "{sign}" as the start of a list')
    if isinstance(event, yaml.MappingStartEvent):
        return replace(value, kind="table", fault=f"YAML reads {_SIGNS.get(value.source[:1], _COLON)}")
    text = replace(value, text=event.value)
    if event.style in {"'", '"'}:
        return _checked_quotes(front, text, written, event, slot)
    return _checked_text(text, written, event)


def _checked_quotes(front: str, text: Value, written: str, event: Any, slot: _Slot) -> Value:
    """Quotes lose nothing, unless the second one is missing and the text goes on to the next quote."""
    if fault := _label(event):
        return replace(text, fault=fault)
    is_too_long = event.end_mark.index > slot.start + len(written)
    if not slot.in_flow and (is_too_long or _DASH_LINE.search(written)):
        last = line_at(front, event.end_mark.index)
        advice = f"put the second quote at the end of line {text.line}, or write the text in one line"
        return replace(text, fault=f"the text between quotes ends only in line {last}", advice=advice)
    return text


def _checked_text(text: Value, written: str, event: Any) -> Value:
    if fault := _label(event):
        return replace(text, fault=fault)
    if event.style is not None:  # a block loses nothing, but `> 2` and `>2` are no blocks to a person
        is_block = event.value.strip() or _EMPTY_BLOCK.fullmatch(text.source)
        fault = f'YAML reads the "{event.style}" at its start as the start of a block'
        return text if is_block else replace(text, fault=fault)
    if text.source != event.value:
        rest = text.source.removeprefix(event.value).lstrip()
        if rest.startswith("#"):
            return replace(text, fault=f"YAML reads {shown(rest)} as a comment", has_comment=True)
        return replace(text, fault=f"YAML reads it as {shown(event.value)}")
    if _DASH_LINE.search(written):
        fault = "YAML reads the next line, which begins with a dash, as more of this text"
        return replace(text, fault=fault, advice="put the dashes of the list in the same column")
    return text


def _label(event: Any) -> str:
    if event.anchor is not None:
        return f"YAML reads &{event.anchor} as an anchor"
    if event.tag is not None:
        return f"YAML reads {event.tag} as a tag"
    return ""


def _written(front: str, node: _Node, slot: _Slot) -> str:
    if slot.in_flow and isinstance(node.event, yaml.CollectionStartEvent):
        return front[slot.start : node.next_start].rstrip(" \t\n,")
    if slot.in_flow:
        end = node.event.end_mark.index
        return front[slot.start : end] + front[end : node.next_start].partition(",")[0]
    return front[slot.start : _end_of_slot(front, slot)]


def _end_of_slot(front: str, slot: _Slot) -> int:
    end = _end_of_line(front, slot.start)
    while end < len(front):
        following = _end_of_line(front, end + 1)
        line = front[end + 1 : following]
        if line.strip(" \t") and len(line) - len(line.lstrip(" ")) <= slot.column:
            break
        end = following
    return end


def _end_of_line(front: str, start: int) -> int:
    end = front.find("\n", start)
    return len(front) if end < 0 else end


def _after_dash(front: str, start: int) -> int:
    """Return where an item begins: behind its dash, which can be in an earlier line than its text."""
    begin = front.rfind("\n", 0, start) + 1
    if front[begin:start].strip(" "):
        return start
    while begin > 0:
        end, begin = begin - 1, front.rfind("\n", 0, begin - 1) + 1
        line = front[begin:end]
        if line.strip(" ") and not line.lstrip(" ").startswith("#"):
            found = _MARKER_BEFORE_COMMENT.search(line)
            return begin + found.start() + 1 if found else start
    return start
