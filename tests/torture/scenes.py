"""A repository with a home of its own, in which commands are struck; and what the person has there."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lw_coder.containers.image_names import repo_hash
from lw_coder.plans.plan_file import TASKS_FOLDER, read_plan
from lw_coder.repository.git import Repository, find_repository, root_commit
from lw_coder.runs.run_folders import remove_tree
from tests.integration.known_prompts import know_plan_prompts
from tests.support.installed import LW_CODER
from tests.support.plan_files import text
from tests.support.sample_repository import PLAN_ID, make_sample_repository
from tests.support.stand_in import SCRIPT
from tests.torture.strikes import Ended, Strike, Watched

MODEL = "http://model.example.com/v1"  # the stand-in asks none
# What the agent does: each session commits a file of its own, and takes a moment more.
COMMITS = (
    "sleep 0.3; name=$(date +%s%N); echo $name > work-$name.txt; git add work-$name.txt; "
    "git commit --quiet --message Work-$name; sleep 0.4"
)
CONFINING = '[code]\nallow_hosts = []\nchecks = ["true"]\n'  # a configuration
_OURS = ("runs", "worktrees", "temp-worktrees", "batches")


@dataclass(frozen=True)
class Persons:
    """What the person has in the repository, which no command may change but those that say so.

    Attributes:
        refs: all but those that lw_coder makes.
        files: the contents of the working tree, without what lw_coder keeps in its folder.
        git: HEAD, the index, the stash, the configuration.
    """

    refs: Mapping[str, str]
    files: Mapping[str, str]
    git: Mapping[str, str]

    def changes(self, other: Persons) -> list[str]:
        """Name what differs."""
        pairs = ((self.refs, other.refs), (self.files, other.files), (self.git, other.git))
        return [
            f"{name} of the person's changed: {old.get(name)} -> {new.get(name)}"
            for old, new in pairs
            for name in sorted(old.keys() | new.keys())
            if old.get(name) != new.get(name)
        ]


class Scene:
    """A repository whose commands are struck, in a folder of its own.

    Args:
        folder: an empty one.
        host: DOCKER_HOST of an engine whose base image is the stand-in.
        files: how many files the repository has.
        commits: what the agent runs.
    """

    def __init__(self, folder: Path, host: str, files: int, commits: str = COMMITS) -> None:
        self.folder, self.host = folder, host
        self.home, self.tmp = folder / "home", folder / "tmp"
        self.home.mkdir(parents=True)
        self.tmp.mkdir()
        self.sample = make_sample_repository(folder / "repository")
        self._fill(files, commits)
        self.env = {
            **{name: os.environ[name] for name in ("PATH", "SSL_CERT_FILE") if name in os.environ},
            "HOME": str(self.home),
            "TMPDIR": str(self.tmp),
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "DOCKER_HOST": host,
        }
        self.watched = Watched(folder / "watched", self.env, self.root)
        self.keep("fresh")

    @property
    def root(self) -> Path:
        return self.sample.root

    @property
    def repository(self) -> Repository:
        return find_repository(self.root)

    @property
    def identity(self) -> str:
        """The repository's, as the labels of its containers have it."""
        return repo_hash(root_commit(self.repository), self.repository.common_dir)

    def _fill(self, files: int, commits: str) -> None:
        for number in range(files):
            path = self.root / "data" / str(number % 30) / f"{number}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{number}\n" * 50, encoding="ascii")
        (self.root / ".lw_coder/code.Dockerfile").write_text("FROM lw_coder_droid:latest\n", encoding="ascii")
        (self.root / ".lw_coder/config.toml").write_text('[code]\nchecks = ["true"]\n', encoding="ascii")
        self.sample.git("add", "--all")
        self.sample.git("commit", "--quiet", "--message", "Data")
        self.sample.git("branch", "of-the-person")
        self.sample.write_env(MODEL, **{SCRIPT: f"'{commits}'"})
        self.add_plan(PLAN_ID)
        self.sample.git("add", "--all")
        self.sample.git("commit", "--quiet", "--message", "Plan")
        (self.root / "notes.txt").write_text("not committed\n", encoding="ascii")

    def add_plan(self, plan_id: str) -> None:
        """Write a plan that starts from HEAD, whose prompts are known."""
        path = self.root / TASKS_FOLDER / f"{plan_id}.md"
        head = self.sample.git("rev-parse", "HEAD")
        path.write_text(text(f"# Do {plan_id}\n", plan_id=plan_id, git_sha=head), encoding="utf-8")
        know_plan_prompts(self.home, read_plan(path).metadata, MODEL)

    def keep(self, state: str) -> None:
        """Keep the repository as it is now under a name."""
        shutil.copytree(self.root, self.folder / "states" / state, symlinks=True)

    def restore(self, state: str) -> None:
        """Let the repository be as it was kept, and nothing be in the folder of temporary files."""
        remove_tree(self.root)
        shutil.copytree(self.folder / "states" / state, self.root, symlinks=True)
        for path in self.tmp.iterdir():
            remove_tree(path) if path.is_dir() else path.unlink()

    def types(
        self, *words: str, strike: Strike | None = None, at_terminal: bool = False, waits: bool = True
    ) -> Ended:
        """Type an lw_coder command, and wait for its end; with `waits`, also for what it leaves running."""
        return self.watched.run([LW_CODER, *words], strike, at_terminal=at_terminal, waits=waits)

    def git(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run git in the person's worktree; it may fail."""
        return subprocess.run(
            ["git", *words], cwd=self.root, env=self.env, capture_output=True, text=True, check=False
        )

    def persons(self) -> Persons:
        """Return what the person has."""
        listed = self.git("for-each-ref", "--format=%(refname) %(objectname)").stdout.splitlines()
        refs = dict(line.split(" ", 1) for line in listed)
        ours = ("refs/heads/lw/task/", "refs/lw_coder/")
        asked = (("symbolic-ref", "HEAD"), ("ls-files", "--stage"), ("stash", "list"), ("config", "--list"))
        return Persons(
            {name: sha for name, sha in refs.items() if not name.startswith(ours)},
            self._files(),
            {" ".join(words): _digest(self.git(*words).stdout.encode()) for words in asked},
        )

    def _files(self) -> dict[str, str]:
        found = {}
        for folder, folders, names in os.walk(self.root):
            below = Path(folder).relative_to(self.root)
            left_out = {".": (".git",), ".lw_coder": _OURS}.get(str(below), ())
            folders[:] = [name for name in folders if name not in left_out]
            for name in names:
                found[str(below / name)] = _digest((self.root / below / name).read_bytes())
        return found


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]
