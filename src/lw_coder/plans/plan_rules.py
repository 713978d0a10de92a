"""The keys of a plan's front matter, and the rules for their values.

To add a key, add a line to KEYS and a field to PlanMetadata.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from lw_coder.foundation.counting import counted
from lw_coder.foundation.report import printable
from lw_coder.plans.problems import Problem, put_between_quotes, quoted, shortened, shown
from lw_coder.settings.check_commands import check_problem

if TYPE_CHECKING:
    from lw_coder.plans.front_matter import Entry, FrontMatter
    from lw_coder.plans.yaml_values import Value

STATUSES = ("draft", "ready", "coding", "review", "done", "abandoned")
FINISHED = ("done", "abandoned")

_MOST_UNKNOWN = 20  # keys that are named one by one
_LONGEST_KEY = 60  # characters; a longer one resembles none of ours
_SHORTEST, _LONGEST = 3, 100  # characters of an id
_MOST_CHARACTERS = 5  # wrong ones of an id that are named
_ID_RULE = (
    f"use {_SHORTEST} to {_LONGEST} letters, digits, dots, underscores or hyphens, without two dots in a "
    "row, without a dot at its start or end, and without .lock at its end"
)
_NOT_IN_WORD = re.compile(r"[^A-Za-z0-9._-]")
_GIT_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_NOT_IN_ID = re.compile(r"[^A-Za-z0-9._-]+|\.(?=\.)")
_BULLET = re.compile(r"(?:[-*+\u2022\u2013\u2014]|[0-9]+[.)])\s")
_NOTHING = ("null", "none", "n/a", "nil")
_NULL = ("", "~", "null", "Null", "NULL")


class Hints(Struct, frozen=True):
    """What remedies need to know about a plan's place.

    Attributes:
        stem: the name of the plan's file, without its suffix.
        git_sha: returns what to write as git_sha instead of a text, or of nothing.
    """

    stem: str
    git_sha: Callable[[str], str]


class Key(Struct, frozen=True):
    """A key of the front matter.

    Attributes:
        problems: checks a value, as written below the key's name.
        value: turns a value without problems into PlanMetadata's, or PlanFile's.
        is_required: whether each plan must have it.
    """

    problems: Callable[[str, Value, Hints], Iterator[Problem]]
    value: Callable[[Value], Any]
    is_required: bool = False


def is_plan_id(text: str) -> bool:
    """Return whether a text can be the id of a plan."""
    return not _id_faults(text)


def any_commit(written: str) -> str:
    """Return what to write as git_sha where the repository is not known."""
    del written
    return "write the 40 lower-case hex digits that `git rev-parse HEAD` prints (64 in a sha256 repository)"


def all_problems(front: FrontMatter, hints: Hints) -> list[Problem]:
    """Return everything that is wrong with a plan's text, in the order of its lines; the last have none."""
    if front.is_absent:
        return [_absent(hints)]
    problems = list(front.problems)
    if front.entries is not None:
        problems += _key_problems(front.entries, hints)
    if not front.body and not front.problems:
        problems.append(Problem("there is no plan below the front matter", "write what to do, in Markdown"))
    return in_order(problems)


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Sort problems by their line; those without one come last."""
    return sorted(problems, key=lambda problem: (problem.line is None, problem.line or 0))


def metadata_values(entries: Iterable[Entry]) -> dict[str, Any]:
    """Return the values of front matter without problems, by the names of PlanMetadata and PlanFile."""
    return {entry.key.text: KEYS[entry.key.text].value(entry.value) for entry in entries}


def _absent(hints: Hints) -> Problem:
    lines = ", ".join(f"{name}: {example}" for name, example in _examples(hints).items())
    return Problem("has no front matter between two lines of ---", f"begin the file with ---, {lines}, ---")


def _examples(hints: Hints) -> dict[str, str]:
    sha = re.search(r"git_sha: (\w+)", hints.git_sha(""))
    return {
        "plan_id": _as_id(hints.stem),
        "git_sha": sha[1] if sha else "the output of `git rev-parse HEAD`",
        "status": "draft",
        "evaluation_notes": "[]",
    }


def _as_id(text: str) -> str:
    found = _NOT_IN_ID.sub("-", text).strip("-.")[:100].removesuffix(".lock")
    return found if is_plan_id(found) else "my-plan"


def _key_problems(entries: tuple[Entry, ...], hints: Hints) -> Iterator[Problem]:
    first: dict[str, int] = {}
    unknown = 0
    for entry in entries:
        name = entry.key.text
        if name in first:
            yield _repeated(entry, first[name])
        elif entry.key.kind != "text" or entry.key.fault or name not in KEYS:
            unknown += 1
            if unknown <= _MOST_UNKNOWN:
                yield _unknown(entry.key)
        else:
            yield from KEYS[name].problems(name, entry.value, hints)
        first.setdefault(name, entry.key.line)
    if unknown > _MOST_UNKNOWN:
        yield Problem(counted(unknown - _MOST_UNKNOWN, "more unknown key"), "remove what is unknown")
    yield from _missing(first, hints)


def _repeated(entry: Entry, first: int) -> Problem:
    problem = f"appears twice in the front matter (first in line {first})"
    return Problem(problem, "keep one of the two", entry.key.line, _shown_key(entry.key))


def _like(word: str, known: Iterable[str]) -> list[str]:
    from difflib import get_close_matches

    return get_close_matches(word, known, n=1)


def _unknown(key: Value) -> Problem:
    name = re.sub(r"[\s-]+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", key.text[:_LONGEST_KEY])).lower()
    like = _like(name, KEYS) if len(key.text) <= _LONGEST_KEY else []
    known = f"known keys: {', '.join(KEYS)}"
    remedy = f"write {like[0]} instead, or remove it" if like else f"remove it; {known}"
    return Problem("unknown key", remedy, key.line, _shown_key(key))


def _shown_key(key: Value) -> str:
    return shortened(printable(key.source if key.kind != "text" or key.fault else key.text)) or "?"


def _missing(present: Iterable[str], hints: Hints) -> Iterator[Problem]:
    missing = [name for name, key in KEYS.items() if key.is_required and name not in present]
    for name in missing:
        remedy = hints.git_sha("") if name == "git_sha" else f"add the line {name}: {_examples(hints)[name]}"
        yield Problem("is missing", remedy.replace("write git_sha", "add the line git_sha"), field=name)


def _word(value: Value) -> str:
    """Return a value that must consist of one word; nothing if it is no text."""
    return value.text if value.kind == "text" else ""


def _misread(name: str, value: Value) -> Iterator[Problem]:
    """Report a valid word that YAML would read only by chance; a comment after it is harmless."""
    if value.fault and not value.has_comment:
        yield Problem(value.fault, f"write {name}: {value.text}", value.line, name)


def _id_problems(name: str, value: Value, hints: Hints) -> Iterator[Problem]:
    word = _word(value)
    faults = _id_faults(word) if value.kind == "text" else ["it is not a word"]
    if faults:
        example = f"write {name}: {_as_id(value.source.strip(chr(34)) or hints.stem)}"
        problem = f"{_shown(value)} is not a valid id: {'; '.join(faults)}"
        yield Problem(problem, f"{_ID_RULE}: {example}", value.line, name)
    else:
        yield from _misread(name, value)


def _id_faults(word: str) -> list[str]:
    """Return what is wrong with a plan's id, which is also part of a branch's name."""
    other = sorted(set(_NOT_IN_WORD.findall(word)))
    faults = {
        f"it has {counted(len(word), 'character')}, fewer than {_SHORTEST}": len(word) < _SHORTEST,
        f"it has {len(word)} characters, more than {_LONGEST}": len(word) > _LONGEST,
        f"it contains {' '.join(map(repr, other[:_MOST_CHARACTERS]))}": bool(other),
        "it has two dots in a row": ".." in word,
        "it begins or ends with a dot": word.strip(".") != word,
        "it ends in .lock": word.endswith(".lock"),
    }
    return [fault for fault, is_so in faults.items() if is_so]


def _sha_problems(name: str, value: Value, hints: Hints) -> Iterator[Problem]:
    word = _word(value)
    if _GIT_SHA.fullmatch(word):
        yield from _misread(name, value)
    else:
        remedy = hints.git_sha(word or value.source)
        yield Problem(f"{_shown(value)} is not a full commit id", remedy, value.line, name)


def _status_problems(name: str, value: Value, _hints: Hints) -> Iterator[Problem]:
    word = _word(value)
    if word in STATUSES:
        yield from _misread(name, value)
    else:
        like = _like((word or value.source).strip().lower()[:_LONGEST_KEY], STATUSES)
        example = f": write {name}: {like[0]}" if like else ""
        problem = f"{_shown(value)} is unknown"
        yield Problem(problem, f"use one of {', '.join(STATUSES)}{example}", value.line, name)


def _notes_problems(name: str, value: Value, _hints: Hints) -> Iterator[Problem]:
    if value.kind != "list" or value.fault:
        yield _no_list(name, value)
    for number, item in enumerate(value.items, 1):
        if item.fault:
            marker = "" if item.in_brackets else "-"
            remedy = item.advice or put_between_quotes(marker, item.source)
            yield Problem(item.fault, remedy, item.line, name, number)
        elif not item.text.strip():
            remedy = "write the text behind the dash on the same line, or remove the item"
            yield Problem("is empty", remedy, item.line, name, number)


def _check_problems(name: str, value: Value, hints: Hints) -> Iterator[Problem]:
    yield from _notes_problems(name, value, hints)
    for number, item in enumerate(value.items, 1):
        problem = check_problem(item.text) if item.text.strip() and not item.fault else None
        if problem:
            yield Problem(problem, "write a command for a shell", item.line, name, number)


def _dependency_problems(name: str, value: Value, hints: Hints) -> Iterator[Problem]:
    yield from _notes_problems(name, value, hints)
    seen: set[str] = set()
    for number, item in enumerate(value.items, 1):
        if item.fault or not item.text.strip():
            continue
        if faults := _id_faults(item.text):
            problem = f"{shown(item.text)} is not a valid id: {'; '.join(faults)}"
            yield Problem(problem, "write the plan_id of another plan", item.line, name, number)
        elif item.text in seen:
            yield Problem(f"{item.text} is there twice", "remove one of the two", item.line, name, number)
        seen.add(item.text)


def _no_list(name: str, value: Value) -> Problem:
    """Return the problem of a value that is no list, with what its author seems to have meant."""
    source, is_text = value.source, value.kind == "text"
    if value.kind == "list":
        return Problem(value.fault, "begin the list in the line below the key", value.line, name)
    if not source.strip("~\"'{} ") or source.lower() in _NOTHING:
        remedy = f"write {name}: [] for none, or below it a list, each item on a line that begins with a dash"
    elif is_text and source.startswith("["):
        parts = (part.strip().strip("\"'") for part in source.strip("[]").split(","))
        remedy = f"put each item between quotes: {name}: [{', '.join(quoted(part) for part in parts)}]"
    elif is_text and _BULLET.match(value.text):
        remedy = "begin each item on a line of its own below the key, with a dash and a space: - text"
    elif is_text and source.startswith("-"):
        remedy = "put a space after each dash: - text"
    elif is_text:
        remedy = f"write a list, or [] for none: {name}: [{quoted(source)}]"
    else:
        remedy = "begin each item with a dash, or write [] for none; put texts with a colon between quotes"
    return Problem("is not a list of strings", remedy, value.line, name)


def _text_problems(name: str, value: Value, _hints: Hints) -> Iterator[Problem]:
    if value.kind != "text":
        remedy = f"write {name} as one line, or remove it"
        if value.source.isprintable():
            remedy = f"{put_between_quotes(f'{name}:', value.source)}, or remove it"
        yield Problem("is not a string", remedy, value.line, name)
    elif value.fault:
        remedy = value.advice or put_between_quotes(f"{name}:", value.source)
        yield Problem(value.fault, remedy, value.line, name)


def _shown(value: Value) -> str:
    # Show only text: YAML's aliases can turn a few lines into a list of billions.
    return shown(value.text) if value.kind == "text" and not value.fault else shown(value.source)


def _text(value: Value) -> str:
    return value.text


def _text_or_none(value: Value) -> str | None:
    return None if value.source in _NULL or not value.text.strip() else value.text


def _texts(value: Value) -> tuple[str, ...]:
    return tuple(item.text for item in value.items)


KEYS = {
    "plan_id": Key(_id_problems, _text, is_required=True),
    "git_sha": Key(_sha_problems, _text, is_required=True),
    "status": Key(_status_problems, _text, is_required=True),
    "evaluation_notes": Key(_notes_problems, _texts, is_required=True),
    "checks": Key(_check_problems, _texts),
    "depends_on": Key(_dependency_problems, _texts),
    "linear_issue_id": Key(_text_problems, _text_or_none),
    "created_by": Key(_text_problems, _text_or_none),
    "created_at": Key(_text_problems, _text_or_none),
    "notes": Key(_text_problems, _text_or_none),
}
