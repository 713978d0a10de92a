"""The files of a plan's worktree, whose session ran on a node, when lw_coder is killed while it imports."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from lw_coder.engines.late_results import follow_after_kill, note_untouched
from lw_coder.plans.plan_file import PlanMetadata
from lw_coder.repository.git import find_repository
from lw_coder.repository.worktrees import ensure_worktree
from tests.support.git_repository import GitRepository, make_repository

PLAN_ID = "sample-plan"


@dataclass(frozen=True)
class Killed:
    """A repository whose plan's branch and index have the node's commit; the files have not followed."""

    made: GitRepository
    worktree: Path

    def follow(self) -> str:
        """Do what the plan's next start does; return what git says of the worktree afterwards."""
        follow_after_kill(find_repository(self.made.path), PLAN_ID)
        return GitRepository(self.worktree).run("status", "--porcelain")


@pytest.fixture
def killed(tmp_path: Path) -> Killed:
    made = make_repository(tmp_path / "repo")
    made.write("work.txt", "before\n")
    made.run("add", ".")
    made.run("commit", "--quiet", "--message", "files")
    plan = PlanMetadata(PLAN_ID, made.head(), "ready", (), "Do it.")
    worktree = ensure_worktree(find_repository(made.path), plan)
    assert note_untouched(worktree)
    made.write("work.txt", "after\n")
    made.write("new.txt", "new\n")
    made.run("add", ".")
    made.run("commit", "--quiet", "--message", "work on a node")
    made.run("update-ref", f"refs/heads/lw/task/{PLAN_ID}", "HEAD")
    GitRepository(worktree.path).run("read-tree", "HEAD")
    return Killed(made, worktree.path)


def test_the_files_follow_at_the_next_start(killed: Killed) -> None:
    assert killed.follow() == ""
    assert (killed.worktree / "work.txt").read_text() == "after\n"
    assert (killed.worktree / "new.txt").read_text() == "new\n"
    (killed.worktree / "work.txt").write_text("the person's\n")
    assert killed.follow() == " M work.txt", "it is done once"


@pytest.mark.parametrize("name", ["work.txt", "new.txt"])
def test_what_a_person_wrote_since_then_stays(
    killed: Killed, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (killed.worktree / name).write_text("the person's\n")
    killed.follow()
    assert (killed.worktree / name).read_text() == "the person's\n"
    assert "was changed meanwhile" in capsys.readouterr().err
