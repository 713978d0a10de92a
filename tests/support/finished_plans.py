"""A repository after the sessions of several plans: branches with commits, and runs with verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lw_coder.repository.git import find_repository
from lw_coder.runs.run_folders import Run, read_record, write_record
from lw_coder.runs.taken import is_taken
from tests.support.finished_plan import made_run
from tests.support.git_repository import GitRepository, make_repository
from tests.support.plan_files import text, written


@dataclass
class FinishedPlans:
    """The repository, and the run of each plan.

    Attributes:
        git: git in the person's worktree; `main` is checked out.
        base: the commit that plans start from, if nothing else is said.
        runs: by the plan's id.
    """

    git: GitRepository
    base: str
    runs: dict[str, Run] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        return self.git.path

    def tip(self, plan_id: str) -> str:
        return self.git.run("rev-parse", f"lw/task/{plan_id}")

    def add(
        self,
        plan_id: str,
        files: Mapping[str, str],
        *,
        on: Sequence[str] = (),
        passed: bool | None = True,
        checks: Sequence[str] = (),
        **record: Any,
    ) -> str:
        """Add a plan whose session has committed files, on top of the results of others; return its tip."""
        content = text(
            plan_id=plan_id,
            git_sha=self.base,
            depends_on=f"[{', '.join(on)}]" if on else None,
            checks=f"[{', '.join(repr(check) for check in checks)}]" if checks else None,
        )
        written(self.root / ".lw_coder/tasks", content, f"{plan_id}.md")
        git = self.git
        git.run("switch", "--quiet", "--create", f"lw/task/{plan_id}", self.tip(on[0]) if on else self.base)
        for other in on[1:]:
            git.run("merge", "--quiet", "--no-edit", self.tip(other))
        for name, words in files.items():
            git.write(name, words)
            git.run("add", "--force", "--", name)
        git.run("commit", "--quiet", "--no-verify", "--message", f"Work on {plan_id}")
        git.run("switch", "--quiet", "main")
        self.runs[plan_id] = run = made_run(self.root, plan_id=plan_id)
        verdict = {"passed": passed, "reasons": [] if passed else ["broken: test"], "tip": self.tip(plan_id)}
        known = {"verdict": {**verdict, "changes": []}} if passed is not None else {}
        write_record(run, {**read_record(run), **known, **record})
        return self.tip(plan_id)

    def state(self) -> tuple[str, ...]:
        """Return what git has of the person: refs, index, files, stash and worktrees."""
        asked = (
            ("for-each-ref", "--format=%(refname) %(objectname)"),
            ("symbolic-ref", "HEAD"),
            ("status", "--porcelain", "--ignored"),
            ("diff", "HEAD"),
            ("stash", "list"),
            ("worktree", "list"),
            ("reflog", "HEAD", "--format=%H %gs"),
        )
        return tuple(self.git.run(*words, check=False) for words in asked)

    def is_taken(self, plan_id: str) -> bool:
        """Return whether lw_coder knows that the plan's result was merged."""
        return is_taken(find_repository(self.root), plan_id, self.tip(plan_id))

    def check(self) -> None:
        """Have git check the repository, and look for what should have been removed."""
        self.git.run("fsck", "--strict", "--no-dangling")
        assert not list((self.root / ".lw_coder").glob("temp-worktrees/*/"))
        assert self.git.run("worktree", "list").count("\n") == 0


def finished_plans(root: Path, files: Mapping[str, str] | None = None) -> FinishedPlans:
    """Make a repository without plans."""
    git = make_repository(root)
    git.run("config", "user.name", "A Person")
    git.run("config", "user.email", "person@example.invalid")
    for name, words in {".gitignore": ".lw_coder/\n", **(files or {})}.items():
        git.commit(f"Add {name}", name, words)
    return FinishedPlans(git, git.head())
