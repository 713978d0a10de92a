"""Find what is wrong in front matter that is not valid YAML: all lines, not only where YAML gave up.

Plans need keys, texts, and lists of texts. So the lines are read as keys and items by their indentation. Each
is checked as YAML of its own, and those that fail are quoted, so that the rest can be read.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import yaml
from msgspec import Struct

from lw_coder.foundation.counting import counted
from lw_coder.plans.problems import Problem, put_between_quotes, quoted, shown, without_lone_quote
from lw_coder.plans.yaml_values import folded

_FIRST_LINE = 2  # of the front matter, in its file
_ITEM = re.compile(r"(?P<indent> *)-(?:[ \t]+(?P<text>.*)|(?P<attached>[^\s-].*))?$")
_KEY = re.compile(r"(?P<key>[^\s#:-][^:]*):(?:[ \t]+(?P<text>.*))?$")
_ATTACHED_KEY = re.compile(r"(?P<key>[A-Za-z_][\w-]*):(?P<attached>\S.*)$")
_PLAIN_KEY = re.compile(r"[a-z][a-z_]*:(?:\s|$)")
_NO_SPACE = "there is no space after the {}"
_LINE_BREAK = re.compile("[\x85\u2028\u2029]")
_INDENTED_KEY = re.compile(r"\s+((?:[a-z]+_[a-z_]+|status|notes):(?:\s.*)?)$")
_MISWRITTEN_KEY = re.compile(r"(?:-\s+)?([a-z_]+)\s*[:=]\s*(.*)")
_FAULTS = {  # by the beginning of PyYAML's own words
    "found unexpected end of stream": "the quote at its start has no partner",
    "found unexpected document": "the quote at its start has no partner",
    "mapping values are not allowed": "YAML reads the text before the colon as a key",
}
_STARTS = {
    "[": 'the "[" at its start as the start of a list',
    "{": 'the "{" at its start as the start of a table',
    '"': "the quote at its start as the start of a quoted text",
    "'": "the quote at its start as the start of a quoted text",
    "*": 'the "*" at its start as an alias',
    "&": 'the "&" at its start as an anchor',
    "!": 'the "!" at its start as a tag',
    "|": 'the "|" at its start as the start of a block',
    ">": 'the ">" at its start as the start of a block',
    "?": 'the "?" at its start as the start of a key',
    "-": 'the "-" at its start as the start of a list',
    ":": 'the ":" at its start as the end of a key',
}


class Broken(Struct, frozen=True):
    """A text that is not valid YAML.

    Attributes:
        line: where it begins in the file, from 1.
        field: its key.
        item: its number in the key's list, from 1, or None.
        source: the text as it was typed, in one line.
        fault: what YAML does with it.
    """

    line: int
    field: str
    item: int | None
    source: str
    fault: str

    @property
    def marker(self) -> str:
        """What is before the text in its line."""
        return "-" if self.item else f"{self.field}:"

    def problem(self) -> Problem:
        """Return it as a problem, without the rules of its key."""
        remedy = put_between_quotes(self.marker, self.source)
        return Problem(self.fault, remedy, self.line, self.field, self.item)


class Repaired(Struct, frozen=True):
    """Front matter in which each broken text is between quotes, on the same line.

    Attributes:
        text: the front matter, without lines that are neither a key nor an item.
        broken: the texts that were quoted.
        problems: the other problems that were found.
    """

    text: str
    broken: tuple[Broken, ...]
    problems: tuple[Problem, ...]


class _Slot(NamedTuple):
    """A text and its lines: `lines[start:end]`."""

    start: int
    end: int
    field: str
    item: int | None
    indent: str
    source: str
    is_attached: bool


class _Stray(NamedTuple):
    """A line that is neither a key nor an item.

    `dash` is the indentation of the list above it, or None. After it there is no key if `is_end`.
    """

    number: int
    line: str
    dash: str | None
    is_end: bool


def repair(front: str) -> Repaired:
    """Quote each text that is not valid YAML on its own; leave out lines that are neither key nor item."""
    lines, problems = _without_tabs(front.split("\n"))
    problems += _dedent_keys(lines)
    slots, strays = _slots(lines)
    broken = []
    for slot in slots:
        if fault := _fault(slot, lines):
            broken.append(Broken(slot.start + _FIRST_LINE, slot.field, slot.item, slot.source, fault))
            _quote(lines, slot)
    for stray in strays:
        problems.append(_stray_problem(stray))
        lines[stray.number] = _as_key(stray.line)
    if strays and strays[-1].is_end:
        del lines[strays[-1].number :]
    return Repaired("\n".join(lines), tuple(broken), tuple(problems))


def _without_tabs(lines: list[str]) -> tuple[list[str], list[Problem]]:
    """Indent with spaces instead of tabs, as YAML demands."""
    indents = [line[: len(line) - len(line.lstrip())] for line in lines]
    found = [number for number, indent in enumerate(indents) if "\t" in indent and lines[number].strip()]
    for number in found:
        lines[number] = indents[number].expandtabs(2) + lines[number].lstrip()
    if not found:
        return lines, []
    more = f", and {counted(len(found) - 1, 'more line')}" if len(found) > 1 else ""
    problem = f"is indented with a tab{more}; YAML allows only spaces"
    return lines, [Problem(problem, f"write: {lines[found[0]].rstrip()}", found[0] + _FIRST_LINE)]


def _dedent_keys(lines: list[str]) -> list[Problem]:
    """Move keys that are indented, below a text that is not valid because of them, to the first column."""
    problems = []
    for slot in _slots(lines)[0]:
        if slot.item is not None or not _fault(slot, lines):
            continue
        for number in range(slot.start + 1, slot.end):
            if found := _INDENTED_KEY.match(lines[number]):
                lines[number] = found[1]
                problem = f"the key {shown(found[1].partition(':')[0])} is indented"
                problems.append(Problem(problem, f"write: {found[1]}", number + _FIRST_LINE))
    return problems


def _slots(lines: list[str]) -> tuple[list[_Slot], list[_Stray]]:
    """Return the texts in the lines, and the lines that are neither a key nor an item."""
    slots: list[_Slot] = []
    strays: list[_Stray] = []
    last_key = max((index for index, line in enumerate(lines) if _PLAIN_KEY.match(line)), default=-1)
    field, number, dash, index = "", 0, None, 0
    while index < len(lines):
        item = _ITEM.match(lines[index])
        key = None if _is_indented(lines[index]) else _key(lines[index])
        if _is_empty(lines[index]):
            index += 1
            continue
        if item and field and dash in {None, item["indent"]}:
            dash, number = item["indent"], number + 1
            slot = _slot(lines, index, field, number, item)
        elif key:
            field, number, dash = key["key"].strip("\"' \t"), 0, None
            slot = _slot(lines, index, field, None, key)
        else:
            strays.append(_Stray(index, lines[index], dash, is_end=index > last_key))
            if index > last_key:
                break
            index += 1
            continue
        slots += [slot] if slot.source else []
        index = slot.end
    return slots, strays


def _key(line: str) -> re.Match[str] | None:
    return _KEY.match(line) or _ATTACHED_KEY.match(line)


def _slot(lines: list[str], index: int, field: str, item: int | None, found: re.Match[str]) -> _Slot:
    groups = found.groupdict()
    text = groups.get("text") or groups.get("attached") or ""
    indent = groups.get("indent", "")
    end = _end(lines, index, len(indent))
    if item is None and _is_empty(text) and _has_items(lines[index + 1 : end]):
        end, text = index + 1, ""
    source = folded("\n".join([text, *lines[index + 1 : end]]))
    return _Slot(index, end, field, item, indent, source, bool(groups.get("attached")))


def _end(lines: list[str], index: int, indent: int) -> int:
    end = index + 1
    while end < len(lines) and (not lines[end].strip() or _indent(lines[end]) > indent):
        end += 1
    return end


def _has_items(lines: list[str]) -> bool:
    return any(_ITEM.match(line) for line in lines if not _is_empty(line))


def _is_empty(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _is_indented(line: str) -> bool:
    return line.startswith(" ")


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _fault(slot: _Slot, lines: list[str]) -> str:
    if slot.is_attached:
        return _NO_SPACE.format("dash" if slot.item else "colon")
    try:
        for _ in yaml.parse("\n".join(lines[slot.start : slot.end]) + "\n", yaml.BaseLoader):
            pass
    except yaml.YAMLError as error:
        return _described(slot.source, str(getattr(error, "problem", None)))
    return ""


def _described(source: str, problem: str) -> str:
    if problem.startswith("found unknown escape character"):
        return f"YAML does not know the escape sequence that begins with \\ and {problem[-3:]}"
    if problem.startswith("found character"):
        is_tab = "'\\t'" in problem
        return (
            "YAML allows no tab here"
            if is_tab
            else f"YAML allows no text that begins with {shown(source[:1])}"
        )
    if broken := _LINE_BREAK.search(source):
        return f"YAML reads {shown(broken[0])} as the end of a line"
    known = next((fault for beginning, fault in _FAULTS.items() if problem.startswith(beginning)), "")
    starts = f"YAML reads {_STARTS[source[:1]]}" if source[:1] in _STARTS else ""
    comment = "YAML reads the text after the # as a comment" if " #" in source else ""
    return known or starts or comment or f"is not valid YAML: {problem}"


def _quote(lines: list[str], slot: _Slot) -> None:
    marker = f"{slot.indent}-" if slot.item else f"{slot.field}:"
    lines[slot.start] = f"{marker} {quoted(without_lone_quote(slot.source))}"
    for index in range(slot.start + 1, min(slot.end, len(lines))):
        lines[index] = ""


def _stray_problem(stray: _Stray) -> Problem:
    text, line = stray.line.strip(), stray.number + _FIRST_LINE
    if stray.dash is not None and text.startswith("-"):
        remedy = f"put the dashes of the list in the same column: {stray.dash}{text}"
        return Problem(f"{shown(text)} has its dash in another column than the items above", remedy, line)
    problem = f"{shown(text)} is neither a key with a colon nor an item of a list"
    if key := _as_key(text):
        return Problem(problem, f"write: {key}", line)
    more = ", or put a line with --- above it if the plan itself begins here" if stray.is_end else ""
    return Problem(problem, f"indent the line if it belongs to the text above{more}", line)


def _as_key(line: str) -> str:
    """Return a line such as `- key: text` or `key = text` as a key; empty if it is none."""
    found = _MISWRITTEN_KEY.fullmatch(line.strip())
    return f"{found[1]}: {found[2]}" if found else ""
