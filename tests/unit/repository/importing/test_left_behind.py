"""A merge, a rebase and the like that a session leaves unfinished are told, and nothing starts on them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lw_coder.foundation.errors import GitError
from lw_coder.plans.plan_file import PlanMetadata
from lw_coder.repository.worktrees import ensured_worktree
from tests.support.git_repository import GitRepository, make_repository
from tests.support.git_session import RUN, Session, start


@pytest.fixture
def made(tmp_path: Path) -> GitRepository:
    made = make_repository(tmp_path / "repo")
    made.commit("base", "shared.txt")
    made.run("checkout", "--quiet", "-b", "other")
    made.commit("theirs", "shared.txt")
    made.run("checkout", "--quiet", "main")
    return made


def leave(session: Session, kind: str) -> None:
    agent = session.agent
    ours = agent.commit("ours", "shared.txt")
    commands = {
        "merge": ("merge", "other"),
        "merge without a conflict": ("merge", "--no-commit", "--no-ff", "--strategy=ours", "other"),
        "rebase": ("rebase", "other"),
        "interactive rebase": ("rebase", "--interactive", "--exec", "false", "HEAD~1"),
        "cherry-pick": ("cherry-pick", "other"),
        "bisect": ("bisect", "start", ours, "main"),
    }
    if kind == "revert":
        agent.commit("later", "shared.txt")
        agent.run("revert", "--no-edit", ours, check=False)
    elif kind == "git am":
        agent.run("am", stdin=agent.run("format-patch", "--stdout", "-1", "other") + "\n", check=False)
    else:
        agent.run("-c", "sequence.editor=:", *commands[kind], check=False)


KINDS = (
    "merge",
    "merge without a conflict",
    "rebase",
    "interactive rebase",
    "cherry-pick",
    "revert",
    "bisect",
    "git am",
)


def begun_again(session: Session, *, yes: bool = False) -> None:
    plan = PlanMetadata("sample-plan", session.made.head(), "ready", (), "Do it.")
    with ensured_worktree(session.repository, plan, yes=yes):
        pass


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_told_and_the_next_session_does_not_start(
    made: GitRepository, tmp_path: Path, kind: str
) -> None:
    session = start(made, tmp_path / "run")
    leave(session, kind)
    notes = session.end().notes
    what = kind.removesuffix(" without a conflict").removeprefix("interactive ")
    told = f"the session left a {what} unfinished, with its files in the worktree; finish it in a replay"
    assert [note for note in notes if note.startswith(told)]
    with pytest.raises(GitError, match=f"the session {RUN} left a {what} unfinished") as caught:
        begun_again(session)
    assert f"lw_coder runs import {RUN}" in caught.value.remedy
    assert "lw_coder code --yes sample-plan" in caught.value.remedy
    begun_again(session, yes=True)
    begun_again(session)


def test_what_a_replay_finishes_is_finished(made: GitRepository, tmp_path: Path) -> None:
    session = start(made, tmp_path / "run")
    leave(session, "merge")
    session.end()
    session.agent.write("shared.txt", "settled")
    session.agent.run("commit", "--quiet", "--all", "--message", "merged")
    home = session.end()
    assert (home.moved, home.notes) == (True, ())
    assert made.run("rev-list", "--parents", "-1", "lw/task/sample-plan").count(" ") == 2
    begun_again(session)
    assert session.host.run("status", "--porcelain") == ""


@pytest.mark.parametrize("kind", ["rebase", "cherry-pick", "bisect"])
def test_hostile_state_does_not_come_to_the_host(made: GitRepository, tmp_path: Path, kind: str) -> None:
    session = start(made, tmp_path / "run")
    leave(session, kind)
    folder = session.git.worktree_folder
    (folder / "rebase-merge").mkdir(exist_ok=True)
    (folder / "rebase-merge/git-rebase-todo").write_text("exec touch ran\n", encoding="ascii")
    (folder / "sequencer").symlink_to("/etc")
    session.end()
    left = {path.name for path in session.worktree.git_dir.iterdir()}
    assert left & {"rebase-merge", "rebase-apply", "sequencer", "CHERRY_PICK_HEAD", "BISECT_LOG"} == set()


def test_conflicts_of_the_persons_are_refused(made: GitRepository, tmp_path: Path) -> None:
    first = start(made, tmp_path / "run")
    first.agent.commit("ours", "shared.txt")
    first.end()
    first.host.write("shared.txt", "mine")
    first.host.run("stash")
    first.host.commit("another", "shared.txt")
    first.host.run("stash", "pop", check=False)
    with pytest.raises(GitError, match=r"has conflicts, as in shared\.txt"):
        start(made, tmp_path / "later")
