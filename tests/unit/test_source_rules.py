"""Rules of the source that no linter has."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src/lw_coder"
TESTS = Path(__file__).parents[1]
CLOCKS = {"monotonic", "perf_counter", "time", "monotonic_ns", "perf_counter_ns", "time_ns"}


def calls_of(method: str, text: str) -> Iterator[int]:
    """Yield the line of each call, or other use, of a method of that name."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute) and node.attr == method:
            yield node.lineno


def test_no_text_is_split_at_what_a_name_can_hold() -> None:
    """`str.splitlines` ends a line at U+2028, U+2029, U+0085, U+000B, U+000C and U+001C to U+001E too.

    Branches, files and folders can have these in their names. Use `repository.git.text_lines`, or ask git
    for NULs with -z.
    """
    found = [
        f"{path.relative_to(SOURCE)}:{line}: use text_lines(), or split at NULs"
        for path in sorted(SOURCE.rglob("*.py"))
        for line in calls_of("splitlines", path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_no_path_is_resolved_by_what_raises_at_a_circle_of_links() -> None:
    """`Path.resolve` raises a RuntimeError there, until Python 3.13. Use `foundation.files.resolved`."""
    found = [
        f"{path.relative_to(SOURCE)}:{line}: use resolved()"
        for path in sorted(SOURCE.rglob("*.py"))
        for line in calls_of("resolve", path.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize("text", ["x.splitlines()", "map(str.splitlines, y)", "a.b.stdout.splitlines(True)"])
def test_the_rule_sees_each_use(text: str) -> None:
    assert list(calls_of("splitlines", text)) == [1]


def test_json_is_read_by_one_function() -> None:
    """`json.loads` has no bound: what is nested deeply breaks it, or the next function that walks through."""
    found = [
        f"{path.relative_to(SOURCE)}: use foundation.json_text.read_json()"
        for path in sorted(SOURCE.rglob("*.py"))
        if re.search(r"\bjson\.(?:loads?|decode)\(", path.read_text(encoding="utf-8"))
    ]
    assert found == ["foundation/json_text.py: use foundation.json_text.read_json()"]


def test_value_objects_are_structs() -> None:
    """A dataclass is slow to import, and mypy lets its `replace` take a Struct: ADR 0144."""
    found = [
        str(path.relative_to(SOURCE))
        for path in sorted(SOURCE.rglob("*.py"))
        if re.search(r"^\s*(?:from|import) dataclasses\b", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert found == [
        "batches/starting_points.py",
        "batches/unchanged.py",
        "dspy/prompt_orchestrator.py",
        "foundation/report.py",
        "plans/plan_file.py",
        "prompts/prompt_memo.py",
        "sessions/clutter.py",
    ]


def clock_judgements(text: str) -> Iterator[int]:
    """Yield the line of each assertion on a time that has passed: a clock, less an earlier reading of it."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Assert) and any(map(_is_elapsed, ast.walk(node.test))):
            yield node.lineno


def _is_elapsed(node: ast.AST) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub) and _reads_clock(node.left)


def _reads_clock(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CLOCKS


def test_no_test_judges_by_the_clock() -> None:
    """A busy machine takes any time. Bound the work instead: `tests.support.patience.within_cpu_time`."""
    found = [
        f"{path.relative_to(TESTS)}:{line}: bound the work, not its time"
        for path in sorted(TESTS.rglob("*.py"))
        for line in clock_judgements(path.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize("clock", sorted(CLOCKS))
def test_the_rule_sees_each_clock(clock: str) -> None:
    assert list(clock_judgements(f"assert is_quick and time.{clock}() - begun < 5, 'slow'")) == [1]
    assert not list(clock_judgements(f"assert time.{clock}() < deadline"))


def test_source_files_are_ascii() -> None:
    """What is not ASCII is written as an escape, so that every editor and terminal shows what is there."""
    folders = (SOURCE, TESTS, TESTS.parent / "benchmarks", TESTS.parent / "docker")
    paths = [path for folder in folders for path in folder.rglob("*.py")]
    assert len(paths) > len(folders)
    assert [str(path) for path in paths if not path.read_bytes().isascii()] == []
