"""`lw_coder clean`: find what takes room on the disk and is no longer needed, and remove it on a yes."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
from msgspec import Struct

from lw_coder.commands.asking import is_agreed
from lw_coder.commands.result_document import Document, ended_on_failure
from lw_coder.foundation.disk import readable_size
from lw_coder.foundation.errors import EngineError, ExitCode, LockedError, LwCoderError
from lw_coder.foundation.report import Cell, printable, say, show_table, shown_if_slow, tell, warn
from lw_coder.foundation.signals import held, interruptible
from lw_coder.repository.git import Repository, find_repository
from lw_coder.sessions.clutter import Clutter, Kept, find_clutter, find_without_engine

_MOST_KEPT = 10  # lines
_PATIENCE, _PAUSE = 60.0, 0.2  # seconds
_UNKNOWN: Mapping[str, Any] = {"items": [], "kept": [], "bytes": 0, "engine": None}


class CleanOptions(Struct, frozen=True):
    """What was typed.

    Attributes:
        days: runs that are older are removed.
        yes: do not ask.
        dry_run: remove nothing.
        as_json: print one JSON document.
    """

    days: int = 30
    yes: bool = False
    dry_run: bool = False
    as_json: bool = False


def clean_command(start: Path, options: CleanOptions) -> ExitCode:
    """List what can be removed and how much room it takes, ask, and remove it.

    Args:
        start: a folder in the repository.
        options: what was typed.

    Returns:
        ERROR if the person declined, or something could not be removed.

    Raises:
        LwCoderError: nothing could be looked for. Nothing has been removed.
    """
    document = Document(_UNKNOWN, click.echo) if options.as_json else None
    with ended_on_failure(document):
        outcome, code = _clean(find_repository(start), options, document)
    if document:
        document.values["outcome"] = outcome
        document.end(code)
    return code


def _clean(repository: Repository, options: CleanOptions, document: Document | None) -> tuple[str, ExitCode]:
    with shown_if_slow("Looking for what can be removed ..."):
        found, has_engine = _found(repository, timedelta(days=options.days))
    clutter = [each for each in found if isinstance(each, Clutter)]
    kept = [each for each in found if isinstance(each, Kept)]
    if document:
        document.values |= _described(clutter, kept, has_engine=has_engine)
    _show(clutter, kept, as_json=options.as_json)
    if not clutter:
        tell("There is nothing to remove.")
        return "nothing", ExitCode.OK
    if options.dry_run:
        return "listed", ExitCode.OK
    if not is_agreed(f"Remove these {len(clutter)}?", yes=options.yes):
        tell("Nothing was removed.")
        return "declined", ExitCode.ERROR
    problems = _removed(clutter)
    if document:
        document.values["items"] = [
            {**_item(each), "removed": problem is None, "problem": problem}
            for each, problem in zip(clutter, problems, strict=True)
        ]
    failed = [problem for problem in problems if problem]
    tell(f"Removed:  {len(clutter) - len(failed)} of {len(clutter)}")
    return "cleaned", ExitCode.ERROR if failed else ExitCode.OK


def _found(repository: Repository, age: timedelta) -> tuple[list[Clutter | Kept], bool]:
    try:
        return find_clutter(repository, age), True
    except EngineError as error:
        warn(f"images and containers were not looked for: {error.message}")
        return find_without_engine(repository, age), False


def _removed(clutter: Sequence[Clutter]) -> list[str | None]:
    """Remove all, and return why something could not be removed; warn of that.

    What another command has locked is tried again for a while: a second `clean` needs each lock for a moment.
    """
    problems, deadline = [_remove(each) for each in clutter], time.monotonic() + _PATIENCE
    while any(isinstance(one, LockedError) for one in problems) and time.monotonic() < deadline:
        with interruptible():
            time.sleep(_PAUSE)
        problems = [
            _remove(each) if isinstance(problem, LockedError) else problem
            for each, problem in zip(clutter, problems, strict=True)
        ]
    return [_told(each, problem) for each, problem in zip(clutter, problems, strict=True)]


def _remove(each: Clutter) -> LwCoderError | OSError | None:
    """Remove something, or return why that was impossible."""
    try:
        with held():
            each.remove()
    except (LwCoderError, OSError) as error:
        return error
    return None


def _told(each: Clutter, error: LwCoderError | OSError | None) -> str | None:
    if error is None:
        return None
    if isinstance(error, LwCoderError):
        problem = f"{error.message}; {error.remedy}"
    else:
        problem = f"{error.filename}: cannot be removed: {error.strerror}"
    warn(f"{each.kind} {each.name}: {problem}")
    return printable(problem)


def _show(clutter: Sequence[Clutter], kept: Sequence[Kept], *, as_json: bool) -> None:
    if clutter and not as_json:
        rows = [[Cell(each.kind), Cell(each.name), Cell(_size(each)), Cell(each.note)] for each in clutter]
        show_table(("kind", "name", "size", "what it is"), rows)
    for each in kept[:_MOST_KEPT]:
        tell(f"Kept:     {each.kind} {each.name}: {each.why}")
    if more := len(kept[_MOST_KEPT:]):
        tell(f"          and {more} more; --json lists them")
    if clutter:
        tell(f"Total:    {readable_size(_total(clutter))}; images share layers, so that less can be freed")
        say("          Docker's build cache is shared by all projects, and stays: docker builder prune")


def _size(each: Clutter) -> str:
    return "-" if each.size is None else readable_size(each.size)


def _total(clutter: Sequence[Clutter]) -> int:
    return sum(each.size or 0 for each in clutter)


def _described(clutter: Sequence[Clutter], kept: Sequence[Kept], *, has_engine: bool) -> dict[str, Any]:
    return {
        "items": [{**_item(each), "removed": False, "problem": None} for each in clutter],
        "kept": [
            {"kind": each.kind, "name": printable(each.name), "why": printable(each.why)} for each in kept
        ],
        "bytes": _total(clutter),
        "engine": has_engine,
    }


def _item(each: Clutter) -> dict[str, Any]:
    return {"kind": each.kind, "name": printable(each.name), "bytes": each.size, "note": printable(each.note)}
