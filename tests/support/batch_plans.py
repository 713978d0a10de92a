"""A repository with plans that depend on each other, and what sessions of them would have left."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lw_coder.batches.starting_points import StartingPoint, starting_point
from lw_coder.plans.plan_checks import load_plan
from lw_coder.plans.plan_file import TASKS_FOLDER
from lw_coder.repository.git import Repository, find_repository
from lw_coder.runs.run_folders import Run, open_run, read_record, seal_run, write_record
from tests.support.forked import forked
from tests.support.git_repository import GitRepository, make_repository
from tests.support.json_schemas import validated
from tests.support.plan_files import text

CHECK = "true"


@dataclass(frozen=True)
class BatchPlans:
    """A repository that is set up, with a check that each plan has.

    Attributes:
        made: git in the person's worktree.
    """

    made: GitRepository

    @property
    def root(self) -> Path:
        return self.made.path

    @property
    def repository(self) -> Repository:
        return find_repository(self.root)

    def plan(self, plan_id: str, *depends_on: str, body: str = "# Do it\n", **keys: str) -> None:
        """Write a plan that starts from HEAD."""
        given = {"plan_id": plan_id, "git_sha": self.made.head(), "depends_on": f"[{', '.join(depends_on)}]"}
        self.made.write(f"{TASKS_FOLDER}/{plan_id}.md", text(body, **{**given, **keys}))

    def start(self, plan_id: str) -> StartingPoint:
        """Return what a plan starts from."""
        return starting_point(self.repository, load_plan(self.repository, plan_id))

    def finish(self, plan_id: str, files: Mapping[str, str], *, passed: bool = True) -> str:
        """Leave what a session leaves that committed files, with its verdict; return the commit."""
        start = self.start(plan_id)
        tip = self._commit(plan_id, start.commit, files)
        verdict = {
            "passed": passed,
            "reasons": [] if passed else [f"failed: {CHECK}"],
            "tip": tip,
            "checks": [{"command": CHECK}],
        }
        run = open_run(self.root, plan_id)
        write_record(
            run,
            {
                "schema": 1,
                "plan": {"plan_id": plan_id, "git_sha": start.commit},
                "signature": {"inputs": {"plan": dataclasses.asdict(start.plan.metadata)}},
                "ended": {"outcome": "completed"},
                "verdict": verdict,
            },
        )
        seal_run(run)
        return tip

    def change_record(self, run: Run, **changed: Any) -> None:
        """Change a run's record."""
        write_record(run, {**read_record(run), **changed})

    def _commit(self, plan_id: str, base: str, files: Mapping[str, str]) -> str:
        """Commit on a plan's branch, without a worktree."""
        branch = f"refs/heads/lw/task/{plan_id}"
        parent = self.made.sha(branch) or base
        index = GitRepository(self.root, (("GIT_INDEX_FILE", str(self.root / ".git/of-a-test")),))
        index.run("read-tree", parent)
        for name, content in files.items():
            blob = self.made.run("hash-object", "-w", "--stdin", stdin=content)
            index.run("update-index", "--add", "--cacheinfo", f"100644,{blob},{name}")
        commit = index.run("commit-tree", index.run("write-tree"), "-p", parent, "-m", f"Do {plan_id}")
        self.made.run("update-ref", branch, commit)
        return commit

    def types(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Type a command, on a machine without Docker."""
        env = {**os.environ, "PATH": "/usr/bin:/bin", "DOCKER_HOST": "unix:///nowhere.sock"}
        return forked(*words, cwd=self.root, env=env)

    def foreseen(self, *words: str) -> dict[str, Any]:
        """Return what `lw_coder batch --dry-run --json` prints of each plan, in their order."""
        done = self.types("batch", "--dry-run", "--json", *words)
        assert done.returncode == 0, done.stderr
        return {plan["plan_id"]: plan for plan in validated("batch", done.stdout)["plans"]}


def batch_plans(root: Path) -> BatchPlans:
    """Make the repository, without a plan, in a folder that does not exist yet."""
    made = make_repository(root)
    made.run("config", "user.name", "A Person")
    made.run("config", "user.email", "person@example.invalid")
    made.write(".lw_coder/config.toml", f"[code]\nchecks = {json.dumps([CHECK])}\n")
    made.write(".gitignore", ".lw_coder/\n")
    made.commit("Ignore what lw_coder writes", ".gitignore", ".lw_coder/\n")
    return BatchPlans(made)
