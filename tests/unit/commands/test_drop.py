"""`lw_coder drop` on real repositories: what it removes, what it keeps, and what it refuses to touch."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lw_coder.commands.drop import DropOptions, drop_command
from lw_coder.commands.take import TakeOptions, take_command
from lw_coder.foundation.errors import ExitCode, LwCoderError
from lw_coder.foundation.locks import plan_lock
from lw_coder.repository.git import identity
from lw_coder.repository.merging import How
from lw_coder.repository.private_git import create_private_git
from lw_coder.runs.scores import parse_score, write_score
from tests.support.finished_plan import BRANCH, FinishedPlan, finished_plan
from tests.support.forked import forked
from tests.support.git_repository import GitRepository, agent_git, make_repository
from tests.support.patience import wait_until
from tests.support.result_schema import document_of
from tests.support.sample_repository import PLAN_ID
from tests.support.snapshot import Snapshot, changes, snapshot
from tests.support.terminal import Terminal

COMMAND = str(Path(sys.executable).with_name("lw_coder"))


@pytest.fixture
def plan(tmp_path: Path) -> FinishedPlan:
    """A plan with one commit on its branch; the person has a stash and an edited file."""
    made = finished_plan(tmp_path / "sample")
    made.commit({"work.txt": "one\n"})
    made.person.write("README.md", "stashed\n")
    made.person.run("stash")
    made.person.write("README.md", "edited\n")
    return made


def drop(plan: FinishedPlan, *, runs: bool = False, yes: bool = True) -> ExitCode:
    return drop_command(plan.root, PLAN_ID, DropOptions(runs, yes))


def everything(plan: FinishedPlan) -> Snapshot:
    """Return all files of the repository, those of the plan too, and what git tells of it."""
    every = {name: state for name, state in snapshot(plan.root).items() if not name.startswith(".git/")}
    return {**every, **plan.files()}


def refused(plan: FinishedPlan, **more: bool) -> LwCoderError:
    before = everything(plan)
    with pytest.raises(LwCoderError) as raised:
        drop(plan, **more)
    assert changes(before, everything(plan)) == []
    return raised.value


def kept(plan: FinishedPlan) -> str:
    """Return the one ref of what was dropped."""
    (ref,) = plan.person.run("for-each-ref", "--format=%(refname)", "refs/lw_coder/dropped").split("\n")
    return ref


def of_the_person(plan: FinishedPlan) -> tuple[str, ...]:
    asked = (
        ("stash", "list"),
        ("reflog", "show", "main"),
        ("status", "--porcelain"),
        ("rev-parse", "HEAD", "stash"),
    )
    return tuple(plan.person.run(*words) for words in asked)


def test_the_worktree_and_the_branch_go_and_the_commits_stay(
    plan: FinishedPlan, capfd: pytest.CaptureFixture[str]
) -> None:
    tip, before = plan.agent.head(), of_the_person(plan)
    assert drop(plan) is ExitCode.OK
    assert not plan.worktree.path.exists()
    assert plan.person.run("worktree", "list", "--porcelain").count("worktree ") == 1
    assert plan.person.sha(f"refs/heads/{BRANCH}") == ""
    assert plan.person.run("rev-parse", kept(plan)) == tip
    assert plan.run.folder.is_dir()
    assert of_the_person(plan) == before
    plan.person.run("-c", "gc.reflogExpire=now", "gc", "--quiet", "--prune=now")
    plan.check()
    said = capfd.readouterr().err
    assert "1 of its commits is on none of your branches" in said
    plan.person.run("branch", BRANCH, kept(plan))
    assert f"git branch {BRANCH} {kept(plan)}" in said
    assert drop(plan) is ExitCode.OK


def test_a_drop_that_is_killed_while_it_removes_files_is_done_by_the_next_one(plan: FinishedPlan) -> None:
    for folder in range(30):
        plan.agent.write(f"data-{folder}/file", "a result\n")
        for number in range(100):
            (plan.worktree.path / f"data-{folder}/{number}").touch()
    command = [COMMAND, "drop", PLAN_ID, "--yes"]
    with subprocess.Popen(command, cwd=plan.root, stderr=subprocess.DEVNULL) as process:
        pointer = plan.worktree.path / ".git"
        wait_until(lambda: not pointer.exists() or process.poll() is not None, "the removal")
        process.kill()
    assert drop(plan) is ExitCode.OK
    assert not plan.worktree.path.exists()
    assert [path.name for path in plan.worktree.path.parent.iterdir()] == [".gitignore"]
    assert plan.person.run("worktree", "list", "--porcelain").count("worktree ") == 1
    assert plan.person.sha(f"refs/heads/{BRANCH}") == ""
    plan.check()


def test_there_is_nothing_left_to_drop(plan: FinishedPlan, capfd: pytest.CaptureFixture[str]) -> None:
    drop(plan)
    before = everything(plan)
    assert drop(plan) is ExitCode.OK
    assert "nothing to drop of sample-plan, except its runs (1): --runs" in capfd.readouterr().err
    assert changes(before, everything(plan)) == []


def test_uncommitted_files_are_kept_as_commits_and_no_filter_runs(
    plan: FinishedPlan, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    proof = tmp_path / "proof"
    plan.person.run("config", "filter.evil.clean", f"touch {proof}; cat")
    plan.person.run("config", "filter.evil.smudge", f"touch {proof}; cat")
    tip, agent = plan.agent.head(), plan.agent
    agent.write(".gitignore", "*.log\n")
    agent.write("work.txt", "staged\n")
    agent.run("add", "work.txt")
    agent.write("work.txt", "changed\n")
    agent.write(".gitattributes", "*.txt filter=evil\n")
    agent.write("new/deep\x1b[2J.txt", "new\n")
    agent.write("lost.log", "ignored\n")
    (plan.worktree.path / "greeting.py").unlink()
    (plan.worktree.path / "link").symlink_to("/etc/passwd")
    os.mkfifo(plan.worktree.path / "pipe")
    drop(plan)
    ref = kept(plan)
    assert not proof.exists()
    assert plan.person.run("show", f"{ref}:work.txt") == "changed"
    assert plan.person.run("show", f"{ref}~1:work.txt") == "staged"
    assert plan.person.run("rev-parse", f"{ref}~2") == tip
    names = plan.person.run("ls-tree", "-r", "-z", "--name-only", ref).split("\0")
    assert {"new/deep\x1b[2J.txt", "link", ".gitattributes"} <= set(names)
    assert not {"greeting.py", "lost.log", "pipe"} & set(names)
    assert plan.person.run("show", "-s", "--format=%an", ref) == "Sample Person"
    plan.check()
    said = capfd.readouterr().err
    assert "LOST: 1 ignored file or folder: lost.log" in said
    assert "kept as a commit: " in said
    assert "\x1b[2J" not in said


@pytest.mark.parametrize("kind", ["assume-unchanged", "skip-worktree"])
def test_changes_that_git_does_not_see_are_kept_too(plan: FinishedPlan, kind: str) -> None:
    plan.agent.run("update-index", f"--{kind}", "work.txt", "README.md")
    plan.agent.write("work.txt", "precious\n")
    drop(plan)
    ref = kept(plan)
    assert plan.person.run("show", f"{ref}:work.txt") == "precious"
    assert plan.person.run("diff", "--name-only", f"{ref}~1", ref) == "work.txt"


def test_a_squashed_branch_is_said_to_be_merged(
    plan: FinishedPlan, capfd: pytest.CaptureFixture[str]
) -> None:
    take_command(plan.root, PLAN_ID, TakeOptions(How.SQUASH, yes=True, unverified=True))
    capfd.readouterr()
    drop(plan)
    assert "on none of your branches, but their changes are" in capfd.readouterr().err


@pytest.mark.parametrize("answer", ["n\r", "\x04", "y\r"])
def test_a_person_is_asked_once(plan: FinishedPlan, answer: str) -> None:
    before = everything(plan)
    with Terminal([COMMAND, "drop", PLAN_ID], plan.root, dict(os.environ)) as terminal:
        terminal.wait_for(f"Drop {PLAN_ID}?")
        terminal.type(answer)
        code = terminal.wait()
    assert code == (0 if answer == "y\r" else 1)
    assert bool(changes(before, everything(plan))) == (answer == "y\r")


def test_without_a_terminal_nobody_is_asked(plan: FinishedPlan) -> None:
    assert refused(plan, yes=False).remedy == "add --yes"


def test_a_session_is_running(plan: FinishedPlan) -> None:
    with plan_lock(plan.root / ".git", PLAN_ID):
        assert "already running" in refused(plan).message


def test_a_branch_that_the_person_has_checked_out_stays(
    plan: FinishedPlan, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    linked = tmp_path / "linked"
    plan.person.run("worktree", "add", "--quiet", "--force", str(linked), BRANCH)
    GitRepository(linked).write("mine.txt", "mine\n")
    plan.agent.write("uncommitted.txt", "x\n")
    tip = plan.agent.head()
    drop(plan)
    assert not plan.worktree.path.exists()
    assert plan.person.run("rev-parse", BRANCH) == tip
    assert (linked / "mine.txt").is_file()
    assert plan.person.run("show", f"{kept(plan)}:uncommitted.txt") == "x"
    assert f"stays: it is checked out at {linked}" in capfd.readouterr().err
    plan.check()


def test_worktrees_in_a_state_of_the_persons(plan: FinishedPlan) -> None:
    plan.person.run("worktree", "lock", str(plan.worktree.path))
    assert "is locked" in refused(plan).message
    plan.person.run("worktree", "unlock", str(plan.worktree.path))
    plan.agent.run("switch", "--quiet", "--detach")
    assert "is on no branch" in refused(plan).message
    plan.agent.run("switch", "--quiet", BRANCH)
    plan.agent.run("merge", "--no-commit", "--no-ff", "main", check=False)
    assert "in the middle of a merge" in refused(plan).message


def test_another_git_process_is_at_work(plan: FinishedPlan) -> None:
    lock = plan.worktree.git_dir / "index.lock"
    lock.touch()
    assert refused(plan).remedy == f"wait until it has ended; if none is running, type: rm {lock}"
    lock.write_bytes(b"lw_coder\n")  # of an import that was killed
    assert drop(plan) is ExitCode.OK


def test_a_plan_is_dropped_from_a_linked_worktree_as_from_the_main_one(
    plan: FinishedPlan, tmp_path: Path
) -> None:
    plan.person.run("worktree", "add", "--quiet", "-b", "feature", str(tmp_path / "linked"))
    assert drop_command(tmp_path / "linked", PLAN_ID, DropOptions(runs=True, yes=True)) is ExitCode.OK
    assert not plan.worktree.path.exists()
    assert not plan.run.folder.exists()
    assert plan.person.sha(BRANCH) == ""


def test_a_folder_that_is_not_ours(plan: FinishedPlan, tmp_path: Path) -> None:
    plan.person.run("worktree", "remove", str(plan.worktree.path))
    make_repository(plan.worktree.path)
    assert "not a worktree of this repository" in refused(plan).message
    shutil.rmtree(plan.worktree.path)
    (tmp_path / "elsewhere").mkdir()
    plan.worktree.path.symlink_to(tmp_path / "elsewhere")
    assert "not a worktree of this repository" in refused(plan).message


def test_nested_repositories_can_have_commits_of_their_own(plan: FinishedPlan) -> None:
    make_repository(plan.worktree.path / "vendor/nested")
    assert "nested repositories, or links to some: vendor/nested/.git" in refused(plan).message


def test_a_folder_that_is_gone_already(plan: FinishedPlan) -> None:
    shutil.rmtree(plan.worktree.path)
    assert drop(plan) is ExitCode.OK
    assert plan.person.run("worktree", "list", "--porcelain").count("worktree ") == 1
    assert plan.person.sha(f"refs/heads/{BRANCH}") == ""


def test_an_incomplete_worktree_keeps_files_of_the_person(plan: FinishedPlan) -> None:
    for name in ("index", "COMMIT_EDITMSG"):
        (plan.worktree.git_dir / name).unlink()
    plan.agent.write("mine.txt", "mine\n")
    assert drop(plan) is ExitCode.OK
    assert not plan.worktree.path.exists()
    aside = plan.worktree.path.with_name(f"{PLAN_ID}.unfinished-1")
    assert (aside / "mine.txt").read_text(encoding="ascii") == "mine\n"


def test_runs_go_if_that_is_asked_for(plan: FinishedPlan, capfd: pytest.CaptureFixture[str]) -> None:
    write_score(plan.run, parse_score("0.5", ""))
    other = plan.person.run("commit-tree", "HEAD^{tree}", "-m", "of a session")
    plan.person.run("update-ref", f"refs/lw_coder/{plan.run.identity}/heads/other", other)
    drop(plan, runs=True)
    assert not plan.run.folder.parent.exists()
    assert "Runs:     LOST: 1, of which 1 have a score" in capfd.readouterr().err
    refs = dict(
        line.split(" ")
        for line in plan.person.run("for-each-ref", "--format=%(refname) %(objectname)").split("\n")
    )
    (aside,) = (name for name in refs if name.endswith(f".runs/{plan.run.name}/heads/other"))
    assert aside.startswith(f"refs/lw_coder/dropped/{PLAN_ID}/")
    assert refs[aside] == other
    assert f"refs/lw_coder/{plan.run.identity}/heads/other" not in refs


def test_runs_with_commits_that_are_nowhere_else_stay(plan: FinishedPlan) -> None:
    session = create_private_git(
        plan.repository, plan.worktree, plan.run.folder, identity(plan.worktree.place)
    )
    agent = agent_git(session.folder, session.worktree_name, plan.worktree.path)
    agent.run("commit", "--quiet", "--allow-empty", "--message", "unseen")
    assert f"lw_coder runs import {plan.run.identity}" in refused(plan, runs=True).remedy
    assert drop(plan) is ExitCode.OK
    assert plan.run.folder.is_dir()


def test_what_was_dropped_long_ago_expires(plan: FinishedPlan, capfd: pytest.CaptureFixture[str]) -> None:
    def name(days: int, suffix: str = "") -> str:
        return (
            f"refs/lw_coder/dropped/other/{datetime.now(UTC) - timedelta(days=days):%Y%m%dT%H%M%SZ}{suffix}"
        )

    old = [name(31), name(40, "-2"), name(50, ".runs/20200101T000000Z/heads/x")]
    young = [name(29), "refs/lw_coder/dropped/20200101T000000Z/heads/run-of-a-plan-called-dropped"]
    others = ["refs/lw_coder/dropped/other/a-name", "refs/lw_coder/other/20200101T000000Z/heads/x"]
    for ref in [*old, *young, *others]:
        plan.person.run("update-ref", ref, "HEAD")
    drop(plan)
    refs = plan.person.run("for-each-ref", "--format=%(refname)").split("\n")
    assert set(old).isdisjoint(refs)
    assert {*young, *others} <= set(refs)
    assert "Expired:  3 refs" in capfd.readouterr().err


def test_one_document_is_printed(plan: FinishedPlan) -> None:
    def typed(*arguments: str) -> tuple[int, dict[str, object]]:
        done = forked("drop", PLAN_ID, "--json", *arguments, cwd=plan.root)
        return done.returncode, document_of("drop", done.stdout)

    code, document = typed()
    assert (code, document["outcome"], document["unmerged"]) == (1, "error", 1)
    code, document = typed("--yes", "--runs")
    assert (code, document["outcome"], document["runs"]) == (0, "dropped", [plan.run.identity])
    assert document["ref"] == kept(plan)


def test_plans_of_which_there_is_nothing(plan: FinishedPlan) -> None:
    for name in ("no-such-plan", "../..", "@plan", "", "/", "worktrees"):
        with pytest.raises(LwCoderError):
            drop_command(plan.root, name, DropOptions(runs=True, yes=True))
    assert plan.worktree.path.is_dir()
