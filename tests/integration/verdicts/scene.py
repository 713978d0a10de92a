"""A repository with a plan's branch and a run on it, as a session leaves them, without the session."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lw_coder.containers.check_stub import CHECK_FILE
from lw_coder.containers.image_names import BASE_TAG, repo_hash
from lw_coder.containers.images import DOCKERFILE
from lw_coder.foundation.errors import ExitCode
from lw_coder.repository.git import find_repository, root_commit
from lw_coder.runs.run_folders import open_run, seal_run, write_file, write_record
from lw_coder.verdicts.stub import INCLUDED, write_stub
from tests.support.engine import containers, docker
from tests.support.forked import forked
from tests.support.json_schemas import validated
from tests.support.result_schema import require_verdict
from tests.support.sample_repository import run_git

PLAN_ID = "checked-plan"
BRANCH = f"lw/task/{PLAN_ID}"
_PLAN = """---
plan_id: {plan_id}
git_sha: {sha}
status: ready
evaluation_notes: {notes}
checks: {checks}
---

# Do it
"""


@dataclass
class Scene:
    """A repository, and what `lw_coder verify` says of it."""

    root: Path
    home: Path
    base: str = ""
    run: Path = field(default_factory=Path)
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        """The environment of whoever types."""
        own = {f"XDG_{name}_HOME": str(self.home / name) for name in ("CONFIG", "CACHE", "STATE", "DATA")}
        return {**os.environ, "HOME": str(self.home), **own, **self.extra}

    def git(self, *args: str) -> str:
        return run_git(self.root, *args)

    def commit(self, files: Mapping[str, str | None], message: str = "Change it") -> str:
        """Commit files on the current branch; None removes one."""
        for name, text in files.items():
            path = self.root / name
            if text is None:
                self.git("rm", "--quiet", name)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
                self.git("add", "--force", name)
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")

    def agent_commits(self, files: Mapping[str, str | None]) -> str:
        """Commit on the plan's branch, and come back to the main one."""
        self.git("switch", "--quiet", BRANCH)
        sha = self.commit(files)
        self.git("switch", "--quiet", "main")
        return sha

    def configure(
        self, *checks: str, plan: Sequence[str] = (), notes: Sequence[str] = (), **keys: Any
    ) -> None:
        """Write config.toml and the plan, in the main worktree alone."""
        lines = [
            f"{name} = {json.dumps(value)}\n" for name, value in {"checks": list(checks), **keys}.items()
        ]
        folder = self.root / ".lw_coder"
        (folder / "tasks").mkdir(parents=True, exist_ok=True)
        (folder / "config.toml").write_text("[code]\n" + "".join(lines), encoding="utf-8")
        text = _PLAN.format(
            plan_id=PLAN_ID, sha=self.base, notes=json.dumps(list(notes)), checks=json.dumps(list(plan))
        )
        (folder / f"tasks/{PLAN_ID}.md").write_text(text, encoding="utf-8")

    def verify(self, *options: str, name: str = PLAN_ID) -> tuple[int, str, str]:
        """Type the command; return its status, what it printed, and its messages."""
        done = forked("verify", *options, name, cwd=self.root, env=self.env)
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stdout, done.stderr

    def verdict(self, name: str = PLAN_ID) -> dict[str, Any]:
        """Verify, and return the verdict; its record, its status and its table agree."""
        status, text, messages = self.verify("--json", name=name)
        assert status in {ExitCode.OK, ExitCode.VERDICT}, messages
        found: dict[str, Any] = validated("verify", text)
        recorded = json.loads((self.run / "run.json").read_text())["verdict"]
        assert recorded == {key: value for key, value in found.items() if key != "run"}
        assert found["passed"] == (status == ExitCode.OK)
        require_verdict(recorded)
        return found

    def replay(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Type what the documentation says, with docker alone."""
        compose = (
            "docker",
            "compose",
            "--file",
            str(self.run / "compose.yml"),
            "run",
            "--rm",
            "check",
            *words,
        )
        return subprocess.run(compose, capture_output=True, text=True, check=False)

    def log(self, outcome: Mapping[str, Any]) -> str:
        return (self.run / str(outcome["log"])).read_text(errors="replace")


def make_scene(root: Path, home: Path, files: Mapping[str, str], image: str = BASE_TAG) -> Scene:
    """Make a repository whose first commit has these files, a plan that starts from it, and a sealed run."""
    root.mkdir()
    scene = Scene(root, home)
    scene.git("init", "--quiet", "--initial-branch=main", "--template=")
    scene.git("config", "user.name", "Sample Person")
    scene.git("config", "user.email", "sample@example.com")
    scene.base = scene.commit({"README.md": "# A repository\n", **files}, "Begin")
    scene.git("branch", BRANCH)
    scene.configure()
    scene.run = make_run(scene, image)
    return scene


def make_run(scene: Scene, image: str) -> Path:
    """Make a sealed run, as `lw_coder code` does."""
    run = open_run(scene.root, PLAN_ID)
    found = docker("image", "inspect", "--format", "{{.Id}}", image)
    base = docker("image", "inspect", "--format", "{{.Id}}", BASE_TAG)
    record = {
        "schema": 1,
        "kind": "code",
        "plan": {"plan_id": PLAN_ID, "git_sha": scene.base, "file": f"{PLAN_ID}.md"},
        "images": {"base": base, "repo": found},
        "ended": None,
        "signature": None,
    }
    write_record(run, record)
    write_file(run.folder, "compose.yml", f"name: lw-scene\ninclude:\n- path: {INCLUDED}\n")
    write_stub(run, found)
    if (dockerfile := scene.root / DOCKERFILE).is_file():
        write_file(run.folder, DOCKERFILE.name, dockerfile.read_text())
    assert (run.folder / INCLUDED).name == CHECK_FILE
    return seal_run(run).folder


def check_containers(root: Path, plan_id: str = PLAN_ID) -> list[str]:
    """List the containers of a plan's checks; the engine may hold others'."""
    repository = find_repository(root)
    identity = repo_hash(root_commit(repository), repository.common_dir)
    return containers(f"lw_coder.check={identity}/{plan_id}")


def told(verdict: Mapping[str, Any]) -> dict[str, str]:
    """Map each check's command to what its results mean."""
    return {check["command"]: check["result"] for check in verdict["checks"]}
