"""What a session left without a commit is counted, and no program is run for it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lw_coder.plans.plan_file import PlanMetadata
from lw_coder.repository.git import Identity, find_repository
from lw_coder.repository.importing.commits import import_commits
from lw_coder.repository.importing.uncommitted import MAX_COMPARED, Uncommitted, find_uncommitted
from lw_coder.repository.private_git import create_private_git
from lw_coder.repository.worktrees import ensure_worktree
from tests.support.git_repository import GitRepository, agent_git, make_repository


class Session:
    """A session whose agent can commit and leave files."""

    def __init__(self, folder: Path) -> None:
        self.made = make_repository(folder / "repo")
        self.made.write(".gitignore", "*.log\n")
        self.made.run("add", ".gitignore")
        self.made.commit("second", "tracked.txt", "text\n")
        self.run = folder / "run"

    def begin(self) -> GitRepository:
        self.repository = find_repository(self.made.path)
        plan = PlanMetadata("sample-plan", self.made.head(), "ready", (), "Do it.")
        self.worktree = ensure_worktree(self.repository, plan)
        self.run.mkdir()
        who = Identity("An Agent", "agent@example.invalid")
        self.private = create_private_git(self.repository, self.worktree, self.run, who)
        return agent_git(self.private.folder, self.private.worktree_name, self.worktree.path)

    def left(self) -> Uncommitted | None:
        run = "sample-plan/20250102T030405Z"
        imported = import_commits(self.repository, self.worktree, self.private, run)
        return find_uncommitted(self.worktree, imported)


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(tmp_path)


@pytest.mark.parametrize("commits", [0, 1])
def test_each_kind_is_counted(session: Session, commits: int) -> None:
    agent = session.begin()
    for number in range(commits):
        agent.commit(f"commit {number}", "done.txt")
    agent.write("tracked.txt", "changed\n")
    agent.write("staged \u2028.txt", "new")
    agent.run("add", "staged \u2028.txt")
    agent.write("new/one.txt", "1")
    agent.write("new/two.txt", "2")
    agent.write("ignored.log", "x")
    (agent.path / "README.md").unlink()
    found = session.left()
    assert found is not None
    # What the agent staged is staged in the worktree too, so it counts as changed.
    assert (found.changed, found.untracked, found.count) == (3, 1, 4)
    assert found.first == ("README.md", "staged \u2028.txt", "tracked.txt")


def test_nothing_is_left(session: Session) -> None:
    agent = session.begin()
    agent.commit("all", "done.txt")
    agent.write("x.log", "ignored")
    assert session.left() == Uncommitted()
    assert not session.left()


@pytest.mark.parametrize("kind", ["clean", "process"])
def test_no_filter_of_the_persons_runs(session: Session, tmp_path: Path, kind: str) -> None:
    proof = tmp_path / "proof"
    session.made.run("config", f"filter.a.B {kind}.{kind}", f"touch {proof}; cat")
    session.made.run("config", f"filter.of.{kind}.{kind}", f"touch {proof}; cat")
    session.made.run("config", f"filter.of.{kind}.required", "true")
    agent = session.begin()
    agent.write(".gitattributes", f"*.txt filter=of.{kind}\n*.md filter=of.{kind}\n")
    agent.write("tracked.txt", "tixt\n")
    found = session.left()
    assert found is not None
    assert (found.changed, found.untracked) == (1, 1)
    assert not proof.exists()
    GitRepository(agent.path).run("status", check=False)
    assert proof.exists()  # so it would have shown


def test_no_monitor_and_no_hook_runs(session: Session, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    session.made.run("config", "core.fsmonitor", f"touch {proof}; false")
    session.made.run("config", "core.hooksPath", "hooks")
    agent = session.begin()
    for name in ("post-index-change", "fsmonitor-watchman"):
        agent.write(f"hooks/{name}", f"#!/bin/sh\ntouch {proof}\n").chmod(0o755)
    assert session.left() == Uncommitted(0, 1, ("hooks/",))
    assert not proof.exists()


def test_where_a_repository_is_hidden_nothing_is_counted(session: Session, tmp_path: Path) -> None:
    agent = session.begin()
    nested = make_repository(agent.path / "vendor/library")
    nested.run("config", "core.fsmonitor", f"touch {tmp_path / 'proof'}; false")
    assert session.left() is None
    assert not (tmp_path / "proof").exists()


def test_a_branch_that_did_not_follow_is_not_compared_with(session: Session) -> None:
    agent = session.begin()
    agent.run("commit", "--quiet", "--amend", "-m", "rewritten")
    assert session.left() is None


def test_a_huge_file_is_not_read(session: Session) -> None:
    agent = session.begin()
    os.truncate(agent.path / "tracked.txt", MAX_COMPARED + 1)
    assert session.left() is None


def test_a_huge_new_file_is_not_read_either(session: Session) -> None:
    agent = session.begin()
    os.truncate(agent.write("huge.bin", ""), MAX_COMPARED * 8)
    os.mkfifo(agent.path / "pipe")
    assert session.left() == Uncommitted(0, 1, ("huge.bin",))


def test_what_the_person_ignores_everywhere_is_not_counted(session: Session, home: Path) -> None:
    (home / ".config/git").mkdir(parents=True)
    (home / ".config/git/ignore").write_text("*.swp\n")
    agent = session.begin()
    agent.write("x.swp", "editor")
    assert session.left() == Uncommitted()
