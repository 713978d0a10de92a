"""A repository after a session of its plan: a branch with commits, a worktree, and a run with a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from lw_coder.plans.plan_file import read_plan
from lw_coder.repository.git import Repository, find_repository
from lw_coder.repository.worktrees import Worktree, ensure_worktree
from lw_coder.runs.run_folders import Run, read_record, write_record
from tests.support.git_repository import GitRepository
from tests.support.old_runs import old_run
from tests.support.sample_repository import PLAN_ID, SampleRepository, make_sample_repository
from tests.support.snapshot import Snapshot, snapshot

BRANCH = f"lw/task/{PLAN_ID}"
_RECORD = {"schema": 1, "signature": None, "ended": None}


@dataclass(frozen=True)
class FinishedPlan:
    """The repository, the plan's worktree, and its only run.

    Attributes:
        sample: the repository as the person has it.
        worktree: the plan's.
        run: the run, whose record has no verdict yet.
    """

    sample: SampleRepository
    worktree: Worktree
    run: Run

    @property
    def root(self) -> Path:
        return self.sample.root

    @property
    def repository(self) -> Repository:
        return find_repository(self.root)

    @property
    def person(self) -> GitRepository:
        """Git in the person's worktree."""
        return GitRepository(self.root)

    @property
    def agent(self) -> GitRepository:
        """Git in the plan's worktree."""
        return GitRepository(self.worktree.path)

    def commit(self, files: Mapping[str, str | bytes | None], message: str = "Do the work") -> str:
        """Commit files on the plan's branch (None removes one); return the commit's id."""
        for name, content in files.items():
            path = self.worktree.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                path.unlink()
            else:
                path.write_bytes(content.encode() if isinstance(content, str) else content)
        self.agent.run("add", "--all", "--force")
        self.agent.run("commit", "--quiet", "--no-verify", "--message", message)
        return self.agent.head()

    def judge(self, *, passed: bool = True, tip: str = "", **more: Any) -> None:
        """Give the run a verdict on a commit, by default on the branch's tip."""
        reasons = [] if passed else ["failed: pytest"]
        verdict = {"passed": passed, "reasons": reasons, "tip": tip or self.agent.head(), "changes": []}
        write_record(self.run, {**read_record(self.run), "verdict": {**verdict, **more}})

    def files(self) -> Snapshot:
        """Return what the person has in the worktree and in git: files, refs, index, stash and reflog."""
        state = {name: entry for name, entry in snapshot(self.root).items() if not _is_left_out(name)}
        refs = self.person.run("for-each-ref", "--format=%(refname) %(objectname)")
        told = [
            refs,
            self.person.run("status", "--porcelain"),
            self.person.run("reflog", "--all", "--format=%H %gD"),
        ]
        return {
            **state,
            "git": ("refs", self.person.run("symbolic-ref", "-q", "HEAD", check=False), "\n".join(told)),
        }

    def check(self) -> None:
        """Have git check the repository."""
        self.person.run("fsck", "--strict", "--no-dangling")


def finished_plan(root: Path, days: int = 0) -> FinishedPlan:
    """Make it in a folder that does not exist yet.

    Args:
        root: the folder.
        days: how old the run is.
    """
    sample = make_sample_repository(root)
    worktree = ensure_worktree(find_repository(root), read_plan(sample.plan).metadata)
    return FinishedPlan(sample, worktree, made_run(root, days))


def made_run(root: Path, days: int = 0, plan_id: str = PLAN_ID) -> Run:
    """Make a run that is so many days old."""
    return old_run(root, plan_id, datetime.now(UTC) - timedelta(days=days), _RECORD)


def _is_left_out(name: str) -> bool:
    """Leave out git's own files, which the other values describe, and what belongs to lw_coder."""
    return name == ".git" or name.startswith((".git/", ".lw_coder/runs", ".lw_coder/worktrees"))
