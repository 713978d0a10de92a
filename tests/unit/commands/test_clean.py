"""`lw_coder clean` on real repositories: what it finds, removes and leaves, apart from images."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lw_coder.commands.take import TakeOptions, take_command
from lw_coder.containers.labels import REPLAY_RUNS
from lw_coder.foundation.disk import readable_size, size_of
from lw_coder.foundation.locks import plan_lock
from lw_coder.repository.git import find_repository, identity
from lw_coder.repository.merging import How
from lw_coder.repository.private_git import create_private_git
from lw_coder.repository.temporary_worktrees import temporary_worktree
from lw_coder.runs.run_folders import open_run, read_record, remove_run, write_record
from lw_coder.runs.scores import parse_score, write_score
from tests.support.finished_plan import BRANCH, FinishedPlan, finished_plan, made_run
from tests.support.forked import forked
from tests.support.git_repository import agent_git
from tests.support.result_schema import document_of
from tests.support.sample_repository import PLAN_ID
from tests.support.snapshot import changes, snapshot
from tests.support.terminal import Terminal

COMMAND = str(Path(sys.executable).with_name("lw_coder"))


@pytest.fixture
def plan(tmp_path: Path) -> FinishedPlan:
    """A plan with one commit, whose run is 40 days old."""
    made = finished_plan(tmp_path / "sample", days=40)
    write_record(made.run, {**read_record(made.run), "plan": {"git_sha": made.sample.sha}})
    made.commit({"work.txt": "one\n"})
    return made


def cleaned(plan: FinishedPlan, *arguments: str, code: int = 0) -> dict[str, Any]:
    """Type the command with --json, without an engine, and return its document."""
    # No test may remove what others have made on the engine of this machine.
    environment = {**os.environ, "DOCKER_HOST": "unix:///nowhere.sock"}
    done = forked("clean", "--json", *arguments, cwd=plan.root, env=environment)
    assert done.returncode == code, done.stderr
    document: dict[str, Any] = document_of("clean", done.stdout)
    assert document["engine"] is False
    return document


def items(document: dict[str, Any], kind: str) -> list[str]:
    return [item["name"] for item in document["items"] if item["kind"] == kind]


def kept(document: dict[str, Any]) -> dict[tuple[str, str], str]:
    return {(each["kind"], each["name"]): each["why"] for each in document["kept"]}


def test_an_unfinished_plan_is_left_alone(plan: FinishedPlan) -> None:
    document = cleaned(plan, "--yes", "--older-than", "50")
    assert (document["outcome"], document["items"], document["kept"]) == ("nothing", [], [])
    plan.person.run("reset", "--quiet", "--hard", plan.sample.sha)
    plan.agent.run("reset", "--quiet", "--hard", plan.sample.sha)
    document = cleaned(plan, "--yes", "--older-than", "50")
    assert document["items"] == [], "a branch without commits is not a merged one"
    assert plan.worktree.path.is_dir()


@pytest.mark.parametrize("how", [How.MERGE, How.SQUASH])
def test_a_merged_plan_goes_and_its_commits_stay(plan: FinishedPlan, how: How) -> None:
    tip = plan.agent.head()
    take_command(plan.root, PLAN_ID, TakeOptions(how, yes=True, unverified=True))
    before = plan.files()
    document = cleaned(plan, "--dry-run", "--older-than", "50")
    assert (document["outcome"], items(document, "worktree")) == ("listed", [PLAN_ID])
    assert document["bytes"] >= size_of(plan.worktree.path) > 0
    assert changes(before, plan.files()) == []
    document = cleaned(plan, "--yes", "--older-than", "50")
    assert [item["removed"] for item in document["items"]] == [True]
    assert not plan.worktree.path.exists()
    assert plan.person.sha(f"refs/heads/{BRANCH}") == ""
    assert plan.person.run("for-each-ref", "--format=%(objectname)", "refs/lw_coder/dropped") == tip
    plan.check()


def test_what_a_killed_removal_of_a_worktree_left_goes(plan: FinishedPlan) -> None:
    left = plan.worktree.path.with_name(f".removed-{PLAN_ID}")
    (left / "data").mkdir(parents=True)
    name = f".lw_coder/worktrees/.removed-{PLAN_ID}"
    assert items(cleaned(plan, "--dry-run", "--older-than", "50"), "folder") == [name]
    with plan_lock(plan.root / ".git", PLAN_ID):
        assert items(cleaned(plan, "--yes", "--older-than", "50"), "folder") == []
    assert items(cleaned(plan, "--yes", "--older-than", "50"), "folder") == [name]
    assert not left.exists()
    assert plan.worktree.path.is_dir()


def test_a_branch_that_was_only_pushed_is_not_merged(plan: FinishedPlan, tmp_path: Path) -> None:
    plan.person.run("init", "--quiet", "--bare", str(tmp_path / "remote"))
    plan.person.run("remote", "add", "origin", str(tmp_path / "remote"))
    plan.person.run("push", "--quiet", "--set-upstream", "origin", BRANCH)
    plan.person.run("branch", "lw/task/another-plan", BRANCH)
    assert cleaned(plan, "--yes", "--older-than", "50")["items"] == []


def test_merged_worktrees_with_work_in_them_stay(plan: FinishedPlan) -> None:
    take_command(plan.root, PLAN_ID, TakeOptions(yes=True, unverified=True))
    plan.agent.write("new.txt", "mine\n")
    why = kept(cleaned(plan, "--yes", "--older-than", "50"))["worktree", PLAN_ID]
    assert why == f"it is merged, but has uncommitted files; to remove it, type: lw_coder drop {PLAN_ID}"
    (plan.worktree.path / "new.txt").unlink()
    plan.person.run("worktree", "lock", str(plan.worktree.path))
    assert "is locked" in kept(cleaned(plan, "--yes", "--older-than", "50"))["worktree", PLAN_ID]
    plan.person.run("worktree", "unlock", str(plan.worktree.path))
    with plan_lock(plan.root / ".git", PLAN_ID):
        document = cleaned(plan, "--yes")
        assert kept(document) == {
            ("worktree", PLAN_ID): "its plan is in use",
            ("run", plan.run.identity): "its plan is in use",
        }
    assert plan.worktree.path.is_dir()


def test_a_merged_plan_without_a_record_of_its_start(plan: FinishedPlan) -> None:
    take_command(plan.root, PLAN_ID, TakeOptions(yes=True, unverified=True))
    plan.run.record.write_text("{", encoding="ascii")
    assert items(cleaned(plan, "--dry-run", "--older-than", "50"), "worktree") == [PLAN_ID]
    text = plan.sample.plan.read_text(encoding="utf-8")
    plan.sample.plan.write_text(text.replace(plan.sample.sha, plan.agent.head()), encoding="utf-8")
    assert cleaned(plan, "--yes", "--older-than", "50")["items"] == [], "it has not begun yet"
    plan.sample.plan.unlink()
    why = kept(cleaned(plan, "--yes", "--older-than", "50"))["worktree", PLAN_ID]
    assert why.startswith("all of its commits are on your branches, but neither a run nor the plan tells")
    assert why.endswith(f"; to remove it, type: lw_coder drop {PLAN_ID}")
    remove_run(plan.run)
    assert ("worktree", PLAN_ID) in kept(cleaned(plan, "--yes", "--older-than", "50"))
    assert plan.worktree.path.is_dir()


def test_worktrees_that_are_not_on_their_plans_branch_are_told(plan: FinishedPlan) -> None:
    take_command(plan.root, PLAN_ID, TakeOptions(yes=True, unverified=True))
    plan.person.run("branch", "--move", BRANCH, "my-name-for-it")
    (plan.root / ".lw_coder/worktrees/only-a-folder").mkdir()
    told = kept(cleaned(plan, "--yes", "--older-than", "50"))
    assert f"is on my-name-for-it, not on {BRANCH}" in told["worktree", PLAN_ID]
    folder = plan.root / ".lw_coder/worktrees/only-a-folder"
    assert told["worktree", "only-a-folder"].endswith(
        f"has no branch; check its contents, then type: rm -rf {folder}"
    )
    plan.agent.run("checkout", "--quiet", "--detach")
    plan.person.run("branch", "--move", "my-name-for-it", BRANCH)
    told = kept(cleaned(plan, "--yes", "--older-than", "50"))
    assert f"is on no branch, not on {BRANCH}" in told["worktree", PLAN_ID]
    assert plan.worktree.path.is_dir()


def test_old_runs_go_and_those_of_worth_stay(plan: FinishedPlan) -> None:
    young, scored = made_run(plan.root, 29), made_run(plan.root, 60)
    write_score(scored, parse_score("1", ""))
    pending = made_run(plan.root, 70)
    session = create_private_git(
        plan.repository, plan.worktree, pending.folder, identity(plan.worktree.place)
    )
    agent = agent_git(session.folder, session.worktree_name, plan.worktree.path)
    agent.run("commit", "--quiet", "--allow-empty", "--message", "unseen")
    document = cleaned(plan, "--yes")
    assert items(document, "run") == [plan.run.identity]
    assert not plan.run.folder.exists()
    assert kept(document) == {
        ("run", scored.identity): "it has a score; --scored removes it",
        ("run", pending.identity): "it has commits that are not in the repository",
    }
    assert all(run.folder.is_dir() for run in (young, scored, pending))


def test_what_killed_commands_left(plan: FinishedPlan, tmp_path: Path) -> None:
    runs = plan.run.folder.parent
    left = [
        runs / ".partial-20260101T000000Z-removed",
        plan.run.folder / "quarantine-a1",
        plan.run.folder / "index-b2",
    ]
    for folder in left:
        (folder / "deep").mkdir(parents=True)
        (folder / "deep/file").write_bytes(b"x" * 10_000)
        (folder / "deep").chmod(0o500)
    (tmp_path / "precious").mkdir()
    (left[1] / "link").symlink_to(tmp_path / "precious")
    (plan.run.folder / "sessions").mkdir()
    with plan_lock(plan.root / ".git", PLAN_ID):
        assert cleaned(plan, "--yes", "--older-than", "50")["items"] == []
    document = cleaned(plan, "--yes", "--older-than", "50")
    assert set(items(document, "folder")) == {str(folder.relative_to(plan.root)) for folder in left}
    assert document["bytes"] >= 30_000
    assert not any(folder.exists() for folder in left)
    assert (plan.run.folder / "sessions").is_dir()
    assert (tmp_path / "precious").is_dir()


def test_what_a_fresh_replay_may_be_preparing_stays(plan: FinishedPlan) -> None:
    prepared = open_run(plan.root, REPLAY_RUNS)
    (prepared.folder / "file").touch()
    with temporary_worktree(find_repository(plan.root), plan.sample.sha):
        assert cleaned(plan, "--yes", "--older-than", "50")["items"] == []
    assert prepared.is_there()
    (name,) = items(cleaned(plan, "--yes", "--older-than", "50"), "folder")
    assert name == str(prepared.folder.relative_to(plan.root))
    assert not prepared.is_there()


def test_expired_refs(plan: FinishedPlan) -> None:
    old = datetime.now(UTC) - timedelta(days=31)
    plan.person.run("update-ref", f"refs/lw_coder/dropped/x/{old:%Y%m%dT%H%M%SZ}", "HEAD")
    assert items(cleaned(plan, "--yes", "--older-than", "50"), "refs") == ["1 ref"]
    assert plan.person.run("for-each-ref", "refs/lw_coder/dropped") == ""


def test_nothing_is_removed_without_a_yes(plan: FinishedPlan) -> None:
    document = cleaned(plan, code=1)
    assert (document["outcome"], document["error"]["remedy"]) == ("error", "add --yes")
    assert plan.run.folder.is_dir()


@pytest.mark.parametrize("answer", ["n\r", "y\r"])
def test_a_person_is_asked_once(plan: FinishedPlan, answer: str) -> None:
    before = snapshot(plan.root)
    environment = {**os.environ, "DOCKER_HOST": "unix:///nowhere.sock"}
    with Terminal([COMMAND, "clean"], plan.root, environment) as terminal:
        terminal.wait_for("Remove these 1?")
        assert plan.run.identity in terminal.text
        assert "Docker's build cache is shared" in terminal.text
        terminal.type(answer)
        assert terminal.wait() == (0 if answer == "y\r" else 1)
    assert bool(changes(before, snapshot(plan.root))) == (answer == "y\r")


def test_a_run_that_has_got_a_score_since_the_list_stays(plan: FinishedPlan) -> None:
    environment = {**os.environ, "DOCKER_HOST": "unix:///nowhere.sock"}
    with Terminal([COMMAND, "clean"], plan.root, environment) as terminal:
        terminal.wait_for("Remove these 1?")
        write_score(plan.run, parse_score("1", ""))
        terminal.type("y\r")
        assert terminal.wait() == 1
        assert f"run {plan.run.identity}: {plan.run.identity}: it has a score" in " ".join(
            terminal.text.split()
        )
    assert plan.run.folder.is_dir()


def test_what_cannot_be_removed_is_told(plan: FinishedPlan) -> None:
    if os.getuid() == 0:  # whom no permission stops
        subprocess.run(["chattr", "+i", str(plan.run.record)], check=False, capture_output=True)
        if subprocess.run(["rm", str(plan.run.record)], check=False, capture_output=True).returncode == 0:
            pytest.skip("this file system has no immutable files")
    else:
        plan.run.folder.parent.chmod(0o500)
    try:
        document = cleaned(plan, "--yes", code=1)
        assert document["outcome"] == "cleaned"
        assert [item["removed"] for item in document["items"]] == [False]
    finally:
        plan.run.folder.parent.chmod(0o700)
        subprocess.run(["chattr", "-R", "-i", str(plan.root)], check=False, capture_output=True)


def test_sizes() -> None:
    assert [readable_size(size) for size in (0, 999, 1000, 9_949, 10_000, 740_123_456, 2 << 50)] == [
        *("0 B", "999 B", "1.0 kB", "9.9 kB", "10 kB", "740 MB", "2252 TB")
    ]


def test_a_folder_is_measured_without_following_links(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/file").write_bytes(b"x" * 50_000)
    (tmp_path / "elsewhere").write_bytes(b"x" * 500_000)
    (tmp_path / "a/link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "a/around").symlink_to(tmp_path / "a")
    assert 50_000 <= size_of(tmp_path / "a") < 200_000
    assert size_of(tmp_path / "missing") == 0


def test_several_remove_the_same_at_once(plan: FinishedPlan) -> None:
    take_command(plan.root, PLAN_ID, TakeOptions(yes=True, unverified=True))
    for days in range(100, 120):
        made_run(plan.root, days=days)
    command = [COMMAND, "clean", "--yes"]
    environment = {**os.environ, "DOCKER_HOST": "unix:///nowhere.sock"}
    started = [
        subprocess.Popen(command, cwd=plan.root, env=environment, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    said = [process.communicate()[1] for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], "\n".join(said)
    assert not [line for line in "".join(said).splitlines() if "session is already running" in line]
    assert not plan.worktree.path.exists()
