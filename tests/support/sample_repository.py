"""A small repository with a config, a Dockerfile, an env file and a plan: what a user would have."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SAMPLE = Path(__file__).parent / "sample"
PLAN_ID = "sample-plan"
PLAN = Path(".lw_coder/tasks/sample-plan.md")
KEY = "sk-or-sample-key"

# Fixed, so that the commit, and with it the plan and its prompts, are the same everywhere. A person's
# own configuration could sign the commit, choose another hash, or add hooks by a template.
_FIXED = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Sample Person",
    "GIT_AUTHOR_EMAIL": "sample@example.com",
    "GIT_AUTHOR_DATE": "2025-10-01T12:00:00+00:00",
    "GIT_COMMITTER_NAME": "Sample Person",
    "GIT_COMMITTER_EMAIL": "sample@example.com",
    "GIT_COMMITTER_DATE": "2025-10-01T12:00:00+00:00",
}


@dataclass(frozen=True)
class SampleRepository:
    """A repository on disk; `sha` is the commit that its plan starts from."""

    root: Path
    sha: str

    @property
    def plan(self) -> Path:
        return self.root / PLAN

    def git(self, *args: str) -> str:
        """Run git in the main worktree, as the person would."""
        return run_git(self.root, *args)

    def write_env(self, base_url: str, name: str = ".env", **more: str) -> None:
        values = {"OPENROUTER_API_KEY": KEY, "OPENROUTER_BASE_URL": base_url, **more}
        text = "".join(f"{key}={value}\n" for key, value in values.items())
        (self.root / name).write_text(text, encoding="utf-8")


def make_sample_repository(root: Path) -> SampleRepository:
    """Make the sample repository in a folder that does not exist yet, or is empty."""
    made = _made()
    root.mkdir(parents=True, exist_ok=True)
    for name, mode, content in made.files:
        path = root / name
        if content is None:
            path.mkdir()
        else:
            path.write_bytes(content)
        path.chmod(mode)
    run_git(root, "update-index", "-q", "--refresh")  # these are other files than those that git wrote
    return SampleRepository(root, made.sha)


@dataclass(frozen=True)
class _Made:
    """The sample repository with all that is in its folder, `.git` too.

    Attributes:
        sha: the commit that its plan starts from.
        files: name, mode and content of each, a folder before what is in it; a folder has no content.
    """

    sha: str
    files: tuple[tuple[Path, int, bytes | None], ...]


@cache
def _made() -> _Made:
    """Make it with git, once in a process: that takes ten commands, which always write the same."""
    with tempfile.TemporaryDirectory(prefix="sample-") as folder:
        root = Path(folder, "sample")
        sha = _make(root)
        paths = sorted(root.rglob("*"))
        return _Made(sha, tuple((path.relative_to(root), *_read(path)) for path in paths))


def _read(path: Path) -> tuple[int, bytes | None]:
    return stat.S_IMODE(path.stat().st_mode), None if path.is_dir() else path.read_bytes()


def _make(root: Path) -> str:
    """Make it in a folder that does not exist yet; return the commit that its plan starts from."""
    shutil.copytree(SAMPLE, root)
    plan_text = (root / PLAN).read_text(encoding="utf-8")
    (root / PLAN).unlink()
    run_git(root, "init", "--quiet", "--initial-branch=main", "--object-format=sha1", "--template=")
    run_git(root, "config", "user.name", "Sample Person")
    run_git(root, "config", "user.email", "sample@example.com")
    sha = _commit_all(root, "Greet by name")
    (root / PLAN).parent.mkdir(parents=True, exist_ok=True)
    (root / PLAN).write_text(plan_text.replace("@GIT_SHA@", sha), encoding="utf-8")
    _commit_all(root, "Plan to greet the world")
    return sha


def run_git(folder: Path, *args: str) -> str:
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    result = subprocess.run(
        ["git", *args], cwd=folder, env={**env, **_FIXED}, check=True, capture_output=True, text=True
    )
    return result.stdout.strip()


def _commit_all(root: Path, message: str) -> str:
    run_git(root, "add", "--all")
    run_git(root, "commit", "--quiet", "--message", message)
    return run_git(root, "rev-parse", "HEAD")
