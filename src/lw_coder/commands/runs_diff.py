"""`lw_coder runs diff`: two runs side by side, such as those of two models or two prompt programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from lw_coder.commands.run_row import RunRow
from lw_coder.containers.docker_command import COMPOSE_FILE, SERVICES_FILE
from lw_coder.containers.images import DOCKERFILE
from lw_coder.foundation.errors import ExitCode, RunError
from lw_coder.foundation.report import Cell, printable, show, show_json, show_table, tell
from lw_coder.pages.run_files import RunFiles
from lw_coder.repository.git import find_repository
from lw_coder.runs.find_run import find_run
from lw_coder.runs.run_folders import Run, read_record

_FOLDERS = ("prompts", "droids")
_FILES = (COMPOSE_FILE, SERVICES_FILE, DOCKERFILE.name)
_PROGRAM = "program_state"
_TONES = {"+": "good", "-": "bad"}
_LABELS = {
    "plan_id": "plan",
    "base": "base commit",
    "tip": "last commit",
    "image": "image",
    "base_image": "base image",
    "lw_coder": "lw_coder",
    "model": "model",
    "outcome": "ended",
    "status": "status",
    "commits": "commits",
    "verdict": "verdict",
    "seconds": "seconds",
    "cost_usd": "cost in USD",
    "score": "score",
}


class FileDiff(Struct, frozen=True):
    """A file that differs between two runs.

    Attributes:
        file: its path below the runs' folders, or `program_state` for the prompt program in run.json.
        only_in: `a` or `b` if the other run does not have it, else None.
        diff: a unified diff.
    """

    file: str
    only_in: str | None
    diff: str


def diff_command(start: Path, first: str, second: str, *, as_json: bool) -> ExitCode:
    """Print what differs between two runs: a table, and a unified diff of each file that differs.

    Args:
        start: a folder in the repository.
        first: a run's name.
        second: another one's.
        as_json: print one JSON document instead.

    Raises:
        RunError: there is no such run, its record is damaged, or both names stand for the same one.
    """
    home = find_repository(start).home
    a, b = (_read(run) for run in _two_runs(home, first, second))
    diffs = list(_diffs(a, b))
    facts = {"a": _facts(a), "b": _facts(b)}
    if as_json:
        show_json({**facts, "files": [asdict(diff) for diff in diffs]})
    else:
        _print(facts["a"], facts["b"], diffs)
    return ExitCode.OK


def _two_runs(home: Path, first: str, second: str) -> tuple[Run, Run]:
    a, b = find_run(home, first), find_run(home, second)
    if a == b:
        raise RunError(
            f"{printable(first)} and {printable(second)} are the same run, {a.identity}",
            f"name another one; to list them, type: lw_coder runs list {a.plan_id}",
        )
    return a, b


def _read(run: Run) -> RunRow:
    return RunRow(run, read_record(run))


def _facts(row: RunRow) -> dict[str, Any]:
    facts = row.facts
    images = facts.record.inner("images")
    more = {
        "base": facts.base,
        "tip": facts.tip,
        "image": images.text("repo"),
        "base_image": images.text("base"),
        "lw_coder": facts.record.inner("versions").text("lw_coder"),
    }
    return {**row.as_json(), **{name: value or None for name, value in more.items()}}


def _diffs(a: RunRow, b: RunRow) -> Iterator[FileDiff]:
    first, second = _texts(a), _texts(b)
    for name in sorted(first.keys() | second.keys()):
        before, after = first.get(name), second.get(name)
        if before != after:
            only_in = "b" if before is None else "a" if after is None else None
            yield FileDiff(name, only_in, _diff(name, before or "", after or ""))


def _texts(row: RunRow) -> dict[str, str]:
    """Return what a session was made from, without the run's own time, which is in many places."""
    files, time = RunFiles(row.run.folder), row.run.name
    read = [file for folder in _FOLDERS for file in files.texts(folder, ".md")]
    read += [file for name in _FILES if (file := files.text(name))]
    texts = {file.name: file.shown + (f"\n(cut: {file.size} bytes)" if file.is_cut else "") for file in read}
    if program := (row.record or {}).get(_PROGRAM):
        texts[_PROGRAM] = json.dumps(program, indent=2, sort_keys=True, ensure_ascii=False)
    return {name: _without_time(text, time) for name, text in texts.items()}


def _without_time(text: str, time: str) -> str:
    return text.replace(time, "<time>").replace(time.lower(), "<time>")


def _diff(name: str, before: str, after: str) -> str:
    from difflib import unified_diff

    lines = unified_diff(before.split("\n"), after.split("\n"), f"a/{name}", f"b/{name}", lineterm="")
    return "\n".join(lines)


def _print(a: Mapping[str, Any], b: Mapping[str, Any], diffs: list[FileDiff]) -> None:
    rows = [_compared(label, a[name], b[name]) for name, label in _LABELS.items()]
    show_table(("", a["run"], b["run"], ""), rows)
    for diff in diffs:
        show("")
        for line in diff.diff.split("\n"):
            show(Cell(line, _TONES.get(line[:1], "")))
    if not diffs:
        tell("The prompts, the prompt program, the Compose files and the Dockerfile are the same.")


def _compared(label: str, first: Any, second: Any) -> tuple[Cell, ...]:
    mark = Cell("") if first == second else Cell("differs", "open")
    return (Cell(label), _cell(first), _cell(second), mark)


def _cell(value: Any) -> Cell:
    return Cell("-" if value is None else f"{value:g}" if isinstance(value, float) else str(value))
