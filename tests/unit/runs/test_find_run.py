"""Runs are found by what a person types, and never a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from lw_coder.foundation.errors import RunError
from lw_coder.runs.find_run import find_run

RUNS = (
    "add-docs/20250101T000000Z",
    "add-tests/20250102T000000Z",
    "add-tests/20250102T000000Z-2",
    "add-tests/20250102T000000Z-10",
    "remove/20250101T000000Z",
    "remove/20250102T113000Z",
    "@plan/20250103T000000Z",
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for run in RUNS:
        (tmp_path / ".lw_coder/runs" / run).mkdir(parents=True)
    return tmp_path


def refused(root: Path, typed: str, plan_id: str | None = None) -> str:
    with pytest.raises(RunError) as caught:
        find_run(root, typed, plan_id)
    line = f"{caught.value.message}; {caught.value.remedy}"
    assert line.isprintable()
    assert len(line) < 1500
    return line


@pytest.mark.parametrize(
    ("typed", "run"),
    [
        *((run, run) for run in RUNS),
        ("latest", "remove/20250102T113000Z"),
        ("add-tests", "add-tests/20250102T000000Z-10"),
        ("add-tests/", "add-tests/20250102T000000Z-10"),
        ("rem", "remove/20250102T113000Z"),
        ("@p", "@plan/20250103T000000Z"),
        ("20250102T000000Z", "add-tests/20250102T000000Z"),
        ("20250102T11", "remove/20250102T113000Z"),
        ("20250102T000000Z-1", "add-tests/20250102T000000Z-10"),
        ("remove/20250102", "remove/20250102T113000Z"),
        ("add-d/2025", "add-docs/20250101T000000Z"),
    ],
)
def test_names_of_one_run(root: Path, typed: str, run: str) -> None:
    assert find_run(root, typed).identity == run


@pytest.mark.parametrize(
    ("typed", "candidates"),
    [
        ("add", "add-tests/20250102T000000Z-10, add-docs/20250101T000000Z;"),
        ("20250101T000000Z", "remove/20250101T000000Z, add-docs/20250101T000000Z;"),
        ("add-tests/2025", "add-tests/20250102T000000Z-10, add-tests/20250102T000000Z-2, "),
        ("remove/2025", "remove/20250102T113000Z, remove/20250101T000000Z;"),
    ],
)
def test_the_beginning_of_several(root: Path, typed: str, candidates: str) -> None:
    assert f"{typed}: is the beginning of several runs: {candidates}" in refused(root, typed)


def test_many_candidates_are_one_short_line(root: Path) -> None:
    for number in range(500):
        (root / f".lw_coder/runs/many/20240101T{number // 60:02}{number % 60:02}00Z").mkdir(parents=True)
    assert "and 490 more; type more of it" in refused(root, "many/2")


@pytest.mark.parametrize(
    "typed", ["", "/", "nothing", "x\x1b[31m", "20260101", "remove/2026", "../x", "a" * 5000]
)
def test_names_of_no_run(root: Path, typed: str) -> None:
    assert ": no such run; " in refused(root, typed)
    assert "there are runs of @plan, remove, add-tests, add-docs;" in refused(root, typed)


def test_a_name_with_a_mistake(root: Path) -> None:
    assert "did you mean add-tests" in refused(root, "add-testz")
    assert "did you mean latest " in refused(root, "lastest")


def test_without_runs(tmp_path: Path) -> None:
    assert refused(tmp_path, "latest") == "latest: no such run; there are no runs yet"


def test_the_runs_of_one_plan(root: Path) -> None:
    assert find_run(root, "latest", "add-docs").identity == "add-docs/20250101T000000Z"
    assert find_run(root, "2025", "add-docs").identity == "add-docs/20250101T000000Z"
    assert "there are runs of add-docs;" in refused(root, "remove", "add-docs")


def test_a_plan_that_is_called_latest(root: Path) -> None:
    (root / ".lw_coder/runs/latest/20200101T000000Z").mkdir(parents=True)
    assert find_run(root, "latest").identity == "latest/20200101T000000Z"
