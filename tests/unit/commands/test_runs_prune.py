"""`lw_coder runs prune`, typed among runs of several ages; and what the start of a session prunes."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lw_coder.containers.labels import PLAN_RUNS
from lw_coder.foundation.locks import plan_lock
from lw_coder.plans.plan_file import read_plan
from lw_coder.repository.git import find_repository, identity
from lw_coder.repository.private_git import create_private_git
from lw_coder.repository.temporary_worktrees import temporary_worktree
from lw_coder.repository.worktrees import ensure_worktree
from lw_coder.runs.pruning import NO_SCORED_DATA, NO_TRAINING_DATA, prune
from lw_coder.runs.run_folders import Run, list_runs, open_run, seal_run, write_record
from lw_coder.runs.scores import parse_score, write_score
from tests.support.forked import forked
from tests.support.old_runs import old_run
from tests.support.sample_repository import PLAN_ID, SampleRepository, make_sample_repository

RECORD = {"schema": 1, "signature": None, "ended": None}


@dataclass(frozen=True)
class Made:
    """A repository with runs that are 3, 40, 50 and 60 days old; the one of 50 days has a score."""

    sample: SampleRepository
    runs: dict[int, Run]

    def types(self, *arguments: str) -> str:
        done = forked("runs", "prune", *arguments, cwd=self.sample.root)
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        return done.stderr

    def left(self) -> set[int]:
        return {days for days, run in self.runs.items() if run.folder.is_dir()}


def made_run(root: Path, days: int, plan_id: str = PLAN_ID) -> Run:
    return old_run(root, plan_id, datetime.now(UTC) - timedelta(days=days), RECORD)


@pytest.fixture
def made(tmp_path: Path) -> Made:
    sample = make_sample_repository(tmp_path / "sample")
    runs = {days: made_run(sample.root, days) for days in (3, 40, 50, 60)}
    write_score(runs[50], parse_score("0.5", "Half of it."))
    return Made(sample, runs)


def test_old_runs_without_a_score_are_removed_and_what_that_means_is_said(made: Made) -> None:
    said = made.types()
    assert said.splitlines() == [
        f"Pruned:   {made.runs[60].identity}",
        f"Kept:     {made.runs[50].identity}: it has a score; --scored removes it",
        f"Pruned:   {made.runs[40].identity}",
        NO_TRAINING_DATA,
    ]
    assert "training data" in said
    assert "lw_coder runs export" in said
    assert made.left() == {3, 50}


def test_a_dry_run_removes_nothing(made: Made) -> None:
    said = made.types("--dry-run", "--scored", "--older-than", "45")
    assert [line for line in said.splitlines() if ": " in line] == [
        f"To prune: {made.runs[days].identity}" for days in (60, 50)
    ]
    assert made.left() == {3, 40, 50, 60}


def test_scored_runs_are_removed_if_that_is_asked_for(made: Made) -> None:
    said = made.types("--scored", "--older-than", "0")
    assert said.splitlines()[-1] == NO_SCORED_DATA  # no advice to score what is gone
    assert made.left() == set()


def test_the_newest_runs_of_each_plan_are_kept(made: Made) -> None:
    other = made_run(made.sample.root, 70, "other")
    said = made.types("--keep", "2", "--dry-run").splitlines()
    assert [line for line in said if ": " in line] == [
        f"To prune: {made.runs[60].identity}",
        f"Kept:     {made.runs[50].identity}: it has a score; --scored removes it",
    ]
    assert made.left() == {3, 40, 50, 60}
    made.types("--keep", "1", "--scored", "--older-than", "45")  # both hold
    assert made.left() == {3, 40}
    made.types("--keep", "1")
    assert made.left() == {3}
    assert other.folder.is_dir()
    made.types("--keep", "0")
    assert made.left() == set()
    assert not other.folder.exists()


def test_there_is_nothing_to_prune(made: Made) -> None:
    assert made.types("--older-than", "36500") == "There is no run to prune.\n"


def test_an_age_that_is_none(made: Made) -> None:
    for typed in ("-1", "many", "99999999999"):
        done = forked("runs", "prune", "--older-than", typed, cwd=made.sample.root)
        assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert made.left() == {3, 40, 50, 60}


def test_runs_in_use_stay(made: Made) -> None:
    repository = find_repository(made.sample.root)
    with (
        plan_lock(made.sample.root / ".git", PLAN_ID),
        temporary_worktree(repository, made.sample.sha) as worktree,
    ):
        run = open_run(made.sample.root, PLAN_RUNS)
        create_private_git(repository, worktree, run.folder, identity(worktree.place))
        write_record(run, RECORD)
        planning = seal_run(run)
        said = made.types("--older-than", "0", "--scored").splitlines()
        assert said[0] == f"Kept:     {planning.identity}: its session may be running"
        assert {line.partition(": ")[2].partition(": ")[2] for line in said[1:]} == {"its plan is in use"}
    assert made.types("--older-than", "0").splitlines()[0] == f"Pruned:   {planning.identity}"


def test_runs_with_commits_that_are_nowhere_else_stay(made: Made) -> None:
    repository = find_repository(made.sample.root)
    worktree = ensure_worktree(repository, read_plan(made.sample.plan).metadata)
    run = made.runs[3]
    session = create_private_git(repository, worktree, run.folder, identity(worktree.place))
    git_dir = session.folder / "worktrees" / session.worktree_name
    command = [
        "git",
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@b",
        "commit",
        "--quiet",
        "--allow-empty",
        "-m",
        "x",
    ]
    subprocess.run(
        command, cwd=worktree.path, env={"GIT_DIR": str(git_dir), "PATH": "/usr/bin:/bin"}, check=True
    )
    said = made.types("--older-than", "0", "--scored")
    assert f"Kept:     {run.identity}: it has commits that are not in the repository" in said
    assert made.left() == {3}


def test_a_sessions_start_keeps_scored_runs_without_a_word(made: Made) -> None:
    repository = find_repository(made.sample.root)
    lines = prune(repository, keep=made.runs[3])
    assert lines == [*(f"Pruned:   {made.runs[days].identity}" for days in (60, 40)), NO_TRAINING_DATA]
    assert prune(repository, keep=made.runs[3]) == []
    assert [run.identity for run in list_runs(made.sample.root)] == [
        made.runs[days].identity for days in (50, 3)
    ]
