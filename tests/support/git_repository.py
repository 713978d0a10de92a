"""Real repositories whose commits have the same ids on every machine, and git as an agent runs it."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

_WHEN = "2025-01-02T03:04:05+00:00"
_WHO = {
    "GIT_AUTHOR_NAME": "A Person",
    "GIT_AUTHOR_EMAIL": "person@example.invalid",
    "GIT_COMMITTER_NAME": "A Person",
    "GIT_COMMITTER_EMAIL": "person@example.invalid",
    "GIT_AUTHOR_DATE": _WHEN,
    "GIT_COMMITTER_DATE": _WHEN,
}
_LOCAL_CLONES = ("-c", "protocol.file.allow=always")


@dataclass(frozen=True)
class GitRepository:
    """A folder to run git in, by default with fixed author and dates.

    Attributes:
        path: where git is started.
        env: further variables, such as GIT_DIR and GIT_WORK_TREE.
    """

    path: Path
    env: tuple[tuple[str, str], ...] = ()

    def run(self, *args: str, stdin: str = "", check: bool = True) -> str:
        """Run git; return what it printed on stdout, without the last line feed."""
        done = subprocess.run(
            ["git", *_LOCAL_CLONES, *args],
            cwd=self.path,
            env={**os.environ, **_WHO, **dict(self.env)},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"git {' '.join(args)}: {done.stderr}")
        return done.stdout.removesuffix("\n")

    def write(self, name: str, text: str) -> Path:
        """Write a file below the folder, with the folders that it needs."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def commit(self, message: str = "a change", name: str = "file.txt", text: str | None = None) -> str:
        """Write a file and commit it; return the commit's id."""
        self.write(name, message if text is None else text)
        self.run("add", "--", name)
        self.run("commit", "--quiet", "--no-verify", "--message", message)
        return self.head()

    def head(self) -> str:
        """Return the id of the commit that is checked out."""
        return self.run("rev-parse", "HEAD")

    def sha(self, name: str) -> str:
        """Return the id that a name has, or "" if it has none."""
        return self.run("rev-parse", "--verify", "--quiet", name, check=False)


def make_repository(path: Path, *options: str) -> GitRepository:
    """Make a repository on branch main with one commit of README.md; options are those of `git init`."""
    path.mkdir(parents=True)
    repository = GitRepository(path)
    repository.run("init", "--quiet", "--initial-branch=main", *options)
    repository.commit("first", "README.md", "hello\n")
    return repository


def agent_git(git_folder: Path, worktree_name: str, worktree: Path) -> GitRepository:
    """Return git on a run's private folder and a worktree, as the agent has it in the container."""
    git_dir = git_folder / "worktrees" / worktree_name
    return GitRepository(worktree, (("GIT_DIR", str(git_dir)), ("GIT_WORK_TREE", str(worktree))))
