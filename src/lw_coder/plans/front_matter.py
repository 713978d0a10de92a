"""A plan file's two parts, and its front matter as keys and values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from lw_coder.foundation.nesting import DEEPEST, bracket_depth
from lw_coder.plans.problems import Problem, shown

if TYPE_CHECKING:
    from yaml import YAMLError

    from lw_coder.plans.broken_lines import Broken
    from lw_coder.plans.yaml_values import Value

_LONGEST_FRONT = 100_000  # characters, which take a second to parse
_FIRST_LINE = 2  # of the front matter, in its file

_FENCE = re.compile(r"\A---[ \t]*\n(?P<front>.*?)^---[ \t]*(?:\n|\Z)(?P<body>.*)\Z", re.DOTALL | re.MULTILINE)
_FENCE_LINE = re.compile(r"^---[ \t]*$", re.MULTILINE)
_LAST_KEY = re.compile(r"^(?:[A-Za-z_]+:.*|[ \t]*- .*)$", re.MULTILINE)
_LIKE_A_FENCE = re.compile(r"\s*[-\u2013\u2014]{1,9}\s*")
_NOTHING_ABOVE = re.compile(r"(?:\s|<!--[^>]*-->)*")
_KEY_LINE = re.compile(r"^[A-Za-z_]+:")
# What YAML 1.1 does not call printable; its complement takes ten times as long to compile.
_NOT_IN_YAML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_NO_TABLE = Problem("the front matter does not consist of keys and values", "write each key as key: value", 2)


class Entry(Struct, frozen=True):
    """One key of the front matter and its value."""

    key: Value
    value: Value


class FrontMatter(Struct, frozen=True):
    """What a plan file consists of.

    Attributes:
        entries: the keys and values, in their order; None if they could not be read.
        body: the Markdown below the front matter, without surrounding blank lines.
        problems: what is wrong with the file's form.
        is_absent: whether the file has no front matter at all.
    """

    entries: tuple[Entry, ...] | None
    body: str
    problems: tuple[Problem, ...] = ()
    is_absent: bool = False


def parse(text: str) -> FrontMatter:
    """Split a plan file's text, and read its front matter."""
    match = _FENCE.match(text)
    if match is None:
        problem = _half_a_fence(text)
        return FrontMatter(None, "", (problem,) if problem else (), is_absent=problem is None)
    front, body = match["front"], match["body"].strip()
    if problem := _refusal(front, body):
        return FrontMatter(None, body, (problem,))
    entries, problems = _read(front)
    return FrontMatter(entries, body, tuple(problems))


def _half_a_fence(text: str) -> Problem | None:
    """Return what is wrong with a line of ---; None if the file has no front matter at all."""
    lines = text.split("\n")
    if lines[0].rstrip() == "---":
        # A ruler in the Markdown would have ended it: there is no such line at all.
        remedy = f"write a line with --- below line {_last_line(text)}"
        return Problem("has no front matter: no line of --- ends it", remedy, 1)
    if _LIKE_A_FENCE.fullmatch(lines[0]):
        return Problem(f"has no front matter: {shown(lines[0])} is not ---", "write: ---", 1)
    fence = _FENCE_LINE.search(text)
    if fence and _NOTHING_ABOVE.fullmatch(text, 0, fence.start()):
        return Problem("has no front matter: it must begin in line 1", "remove the lines above ---", 1)
    if _KEY_LINE.match(text):
        return Problem(
            "has no front matter: no line of --- begins it", "write a line with --- above line 1", 1
        )
    return None


def _last_line(text: str) -> int:
    """Return the last line that looks like a key or an item, before the first heading."""
    head = re.split(r"^#+ ", text, maxsplit=1, flags=re.MULTILINE)[0][:_LONGEST_FRONT]
    ends = [found.start() for found in _LAST_KEY.finditer(head)]
    return text.count("\n", 0, ends[-1]) + 1 if ends else 1


def _refusal(front: str, body: str) -> Problem | None:
    if not front.strip() and _KEY_LINE.match(body):
        return Problem("the front matter ends above its keys", f"remove line {_FIRST_LINE}", _FIRST_LINE)
    if len(front) > _LONGEST_FRONT:  # libyaml would be faster, but deep nesting overflows its stack
        return Problem("the front matter is too long", "put the plan itself below it")
    if bracket_depth(front) > DEEPEST:  # PyYAML would take a second, and much of the stack
        return Problem("the front matter is nested too deeply", "write its values as text or lists of text")
    return None


def _read(front: str) -> tuple[tuple[Entry, ...] | None, list[Problem]]:
    from yaml import YAMLError

    from lw_coder.plans.yaml_values import read_values

    bad = _NOT_IN_YAML.search(front)
    problems = [_bad_character(front, bad.start())] if bad else []
    front = _NOT_IN_YAML.sub("?", front)
    try:
        pairs = read_values(front) if front.strip() else []
        first_error = _NO_TABLE if pairs is None else None
    except YAMLError as error:
        pairs, first_error = None, _yaml_problem(error)
    if first_error is None:
        return _entries(pairs or [], {}), problems
    entries, more = _read_repaired(front, first_error)
    return entries, [*problems, *more]


def _read_repaired(front: str, first_error: Problem) -> tuple[tuple[Entry, ...] | None, list[Problem]]:
    """Read front matter that is not valid YAML, as far as it can be understood."""
    from yaml import YAMLError

    from lw_coder.plans.broken_lines import repair
    from lw_coder.plans.yaml_values import read_values

    repaired = repair(front)
    problems = list(repaired.problems)
    try:
        pairs = read_values(repaired.text) if repaired.text.strip() else []
        error = None if problems or repaired.broken else first_error
    except YAMLError as still:
        pairs, error = None, _yaml_problem(still)
    if pairs is None:
        problems += [broken.problem() for broken in repaired.broken] or [error or first_error]
        return None, problems
    return _entries(pairs, {broken.line: broken for broken in repaired.broken}), [
        *problems,
        *([error] if error else []),
    ]


def _entries(pairs: list[tuple[Value, Value]], broken: Mapping[int, Broken]) -> tuple[Entry, ...]:
    return tuple(Entry(key, _marked(value, broken)) for key, value in pairs)


def _marked(value: Value, broken: Mapping[int, Broken]) -> Value:
    """Say of a text that was quoted how YAML misreads it."""
    items = tuple(_marked(item, broken) for item in value.items)
    found = broken.get(value.line) if value.kind == "text" else None
    if found is None:
        return replace(value, items=items)
    return replace(value, source=found.source, fault=found.fault)


def _bad_character(front: str, index: int) -> Problem:
    line = front.count("\n", 0, index) + _FIRST_LINE
    return Problem(f"contains {shown(front[index])}, which YAML does not allow", "remove the character", line)


def _yaml_problem(error: YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "it cannot be read"
    line = mark.line + _FIRST_LINE if mark else None
    return Problem(f"the front matter is not valid YAML: {problem}", "correct that line", line)


def loose_text(text: str, name: str) -> str | None:
    """Return the text of a key in a plan file whose front matter cannot be read."""
    found = re.search(rf"^{name}[ \t]*:[ \t]*[\"']?([^\s\"'#]+)", text[:_LONGEST_FRONT], re.MULTILINE)
    return found[1] if found else None
