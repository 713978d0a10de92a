"""What follows a session, on a real repository: its exit code, its record, and ends that nobody saw."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from lw_coder.commands.session_report import exit_code, shell_path
from lw_coder.foundation.errors import ExitCode, RunError
from lw_coder.plans.plan_file import PlanMetadata
from lw_coder.repository.git import Identity, Repository, find_repository
from lw_coder.repository.importing.commits import ImportResult
from lw_coder.repository.private_git import create_private_git
from lw_coder.repository.worktrees import ensure_worktree
from lw_coder.runs.pruning import prune
from lw_coder.runs.run_folders import Run, open_run, read_record, seal_run, write_record
from lw_coder.runs.run_record import complete
from lw_coder.runs.session_result import SessionResult
from lw_coder.sessions.unfinished import (
    import_unfinished_run,
    import_unfinished_runs,
    unfinished_runs,
)
from tests.support.git_repository import GitRepository, agent_git, make_repository

PLAN_ID = "sample-plan"
BRANCH = f"lw/task/{PLAN_ID}"
NOON = datetime(2025, 1, 2, 12, tzinfo=UTC)
WELL = SessionResult(0, NOON, NOON)


@dataclass(frozen=True)
class Killed:
    """A run whose lw_coder was killed, with a commit in it."""

    made: GitRepository
    repository: Repository
    run: Run
    tip: str


@pytest.fixture
def killed(tmp_path: Path) -> Killed:
    made = make_repository(tmp_path / "repo")
    repository = find_repository(made.path)
    worktree = ensure_worktree(repository, PlanMetadata(PLAN_ID, made.head(), "ready", (), "Do it."))
    run = open_run(made.path, PLAN_ID)
    git = create_private_git(repository, worktree, run.folder, Identity("An Agent", "agent@example.invalid"))
    write_record(run, {"schema": 1, "ended": None})
    run = seal_run(run)
    git = replace(git, run_folder=run.folder)
    tip = agent_git(git.folder, git.worktree_name, worktree.path).commit("work")
    return Killed(made, repository, run, tip)


def test_a_killed_run_is_brought_home_later(killed: Killed, capsys: pytest.CaptureFixture[str]) -> None:
    (run,) = unfinished_runs(killed.repository, PLAN_ID)
    import_unfinished_run(killed.repository, run)
    assert capsys.readouterr().err == f"Earlier run {run.identity}: 1 commit imported\n"
    assert killed.made.sha(BRANCH) == killed.tip
    ended = read_record(run)["ended"]
    assert (ended["status"], ended["ended_at"], ended["commits"]) == (None, None, 1)
    assert ended["notes"] == ["interrupted"]
    assert unfinished_runs(killed.repository, PLAN_ID) == []


def test_a_killed_run_that_was_imported_is_only_recorded(
    killed: Killed, capsys: pytest.CaptureFixture[str]
) -> None:
    import_unfinished_run(killed.repository, killed.run)
    write_record(killed.run, {"schema": 1, "ended": None})
    capsys.readouterr()
    import_unfinished_run(killed.repository, killed.run)
    assert capsys.readouterr().err == ""
    assert unfinished_runs(killed.repository, PLAN_ID) == []


def test_a_killed_run_whose_worktree_is_gone(killed: Killed, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(killed.made.path / ".lw_coder/worktrees" / PLAN_ID)
    import_unfinished_run(killed.repository, killed.run)
    home = f"refs/lw_coder/{killed.run.identity}"
    assert capsys.readouterr().err == f"Earlier run {killed.run.identity}: imported as {home}\n"
    assert killed.made.sha(f"{home}/heads/{BRANCH}") == killed.tip


def _lose_the_record(run: Run) -> None:
    (run.folder / "git-refs.json").unlink()


def _break_the_refs(run: Run) -> None:
    (run.folder / "git/reftable").mkdir()
    (run.folder / "git/reftable/x").touch()


@pytest.mark.parametrize("damage", [_lose_the_record, _break_the_refs])
def test_a_killed_run_that_cannot_be_read_is_told_each_time(
    killed: Killed, damage: Callable[[Run], None], capsys: pytest.CaptureFixture[str]
) -> None:
    damage(killed.run)
    import_unfinished_run(killed.repository, killed.run)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"warning: earlier run {killed.run.identity}: ")
    assert unfinished_runs(killed.repository, PLAN_ID) == [killed.run]


def test_a_record_that_cannot_be_read_is_no_unended_run(killed: Killed) -> None:
    killed.run.record.write_text("{", encoding="ascii")
    assert unfinished_runs(killed.repository, PLAN_ID) == []


def test_commits_that_did_not_come_home_are_an_error(killed: Killed) -> None:
    home = ImportResult(problem="no room")
    complete(killed.run, WELL, home)
    assert read_record(killed.run)["ended"]["problem"] == "no room"
    with pytest.raises(RunError) as caught:
        exit_code(killed.run, WELL, home)
    assert caught.value.message == f"{killed.run.identity}: no room"
    assert f"lw_coder runs import {killed.run.identity}" in caught.value.remedy


def test_a_signals_end_is_the_commands(killed: Killed) -> None:
    with pytest.raises(SystemExit) as caught:
        exit_code(killed.run, replace(WELL, status=143, signalled=143), ImportResult())
    assert caught.value.code == 143


@pytest.mark.parametrize(("status", "code"), [(0, ExitCode.OK), (143, ExitCode.SESSION)])
def test_the_sessions_own_end(killed: Killed, status: int, code: ExitCode) -> None:
    assert exit_code(killed.run, replace(WELL, status=status), ImportResult()) == code


def test_a_record_that_cannot_be_written_is_a_warning(
    killed: Killed, capsys: pytest.CaptureFixture[str]
) -> None:
    (killed.run.folder / ".run.json.tmp").mkdir()
    complete(killed.run, WELL, ImportResult())
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"warning: {killed.run.record}: how the session ended could not be recorded: ")


def test_an_old_run_that_cannot_be_removed_stays(killed: Killed) -> None:
    old = seal_run(open_run(killed.made.path, "old-plan", NOON))
    (old.folder.with_name(f".partial-{old.name}-removed") / "in-the-way").mkdir(parents=True)
    (line,) = prune(killed.repository, keep=killed.run)
    assert line.startswith(f"Kept:     {old.identity}: it cannot be removed: Directory not empty; check ")


def test_a_path_behind_a_link_is_shown_whole(tmp_path: Path) -> None:
    assert shell_path(tmp_path, tmp_path / "a b") == "'a b'"
    assert shell_path(tmp_path / "repo", tmp_path / "disk") == str(tmp_path / "disk")


def goes_on(killed: Killed, ended: dict[str, object]) -> str:
    """Have a run whose record says how it ended, and a commit that came afterwards."""
    import_unfinished_run(killed.repository, killed.run)
    write_record(killed.run, {"schema": 1, "ended": {**read_record(killed.run)["ended"], **ended}})
    folder = killed.run.folder / "git"
    agent = agent_git(folder, PLAN_ID, killed.made.path / ".lw_coder/worktrees" / PLAN_ID)
    return agent.commit("after the end", "late.txt")


def test_commits_that_came_after_the_end_are_imported(
    killed: Killed, capsys: pytest.CaptureFixture[str]
) -> None:
    tip = goes_on(killed, {"status": 0})
    capsys.readouterr()
    import_unfinished_runs(killed.repository, "identity", PLAN_ID)
    assert capsys.readouterr().err == f"Earlier run {killed.run.identity}: 1 commit imported\n"
    assert killed.made.sha(BRANCH) == tip
    ended = read_record(killed.run)["ended"]
    assert (ended["status"], ended["commits"], ended["tip"]) == (0, 2, tip)
    import_unfinished_runs(killed.repository, "identity", PLAN_ID)
    assert capsys.readouterr().err == ""


def test_commits_that_did_not_fit_on_the_disk_are_imported_later_and_also_of_an_older_run(
    killed: Killed, capsys: pytest.CaptureFixture[str]
) -> None:
    tip = goes_on(killed, {"status": 0, "problem": "commits were not copied: No space left on device"})
    newer = open_run(killed.made.path, PLAN_ID)
    write_record(newer, {"schema": 1, "ended": {"status": 0}})
    seal_run(newer)
    capsys.readouterr()
    import_unfinished_runs(killed.repository, "identity", PLAN_ID)
    assert killed.made.sha(BRANCH) == tip
    assert read_record(killed.run)["ended"]["problem"] is None
    assert "1 commit imported" in capsys.readouterr().err
