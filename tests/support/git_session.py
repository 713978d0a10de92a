"""A run's git as it stands while the agent works: git on its folder plays the container's git."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lw_coder.plans.plan_file import PlanMetadata
from lw_coder.repository.git import Identity, Repository, find_repository
from lw_coder.repository.importing.commits import ImportResult, import_commits, pending
from lw_coder.repository.private_git import CONTAINER_GIT, PrivateGit, create_private_git
from lw_coder.repository.worktrees import Worktree, ensure_worktree
from tests.support.git_repository import GitRepository, agent_git

RUN = "sample-plan/20250102T030405Z"
PREFIX = f"refs/lw_coder/{RUN}"
BRANCH = "lw/task/sample-plan"
AGENT = Identity("An Agent", "agent@example.invalid")


@dataclass(frozen=True)
class Session:
    """The person's side, and the agent's git."""

    made: GitRepository
    repository: Repository
    worktree: Worktree
    git: PrivateGit
    agent: GitRepository

    @property
    def host(self) -> GitRepository:
        """Git as the person types it in the worktree."""
        return GitRepository(self.worktree.path, self.made.env)

    def end(self, run: str = RUN, *, yes: bool = False) -> ImportResult:
        """Import what the agent did."""
        return import_commits(self.repository, self.worktree, self.git, run, yes=yes)

    def pending(self) -> bool:
        """Tell whether there is something to import."""
        return pending(self.repository, self.git)


def start(made: GitRepository, run_folder: Path, sha: str | None = None) -> Session:
    """Begin a session of the plan, from HEAD or another commit."""
    repository = find_repository(made.path)
    plan = PlanMetadata("sample-plan", sha or made.head(), "ready", (), "Do it.")
    return begin(made, repository, ensure_worktree(repository, plan), run_folder)


def begin(made: GitRepository, repository: Repository, worktree: Worktree, run_folder: Path) -> Session:
    """Begin a session in a worktree."""
    run_folder.mkdir()
    git = create_private_git(repository, worktree, run_folder, AGENT)
    return Session(made, repository, worktree, git, _agents_git(git, worktree, run_folder))


def _agents_git(git: PrivateGit, worktree: Worktree, run_folder: Path) -> GitRepository:
    """Return git that knows nothing of this machine's configuration, and finds what is below /repo-git."""
    played = agent_git(git.folder, git.worktree_name, worktree.path)
    home = {"HOME": str(run_folder), "XDG_CONFIG_HOME": "", "GIT_CONFIG_GLOBAL": "/dev/null"}
    played = dataclasses.replace(played, env=(*played.env, *home.items(), ("GIT_CONFIG_NOSYSTEM", "1")))
    listed = played.run("config", "--null", "--list").split("\0")
    entries = (entry.partition("\n") for entry in listed)
    inside = {name: value for name, _, value in entries if value.startswith(f"{CONTAINER_GIT}/")}
    paths = {name: f"{git.folder}{value.removeprefix(CONTAINER_GIT)}" for name, value in inside.items()}
    return dataclasses.replace(played, env=(*played.env, *_settings(list(paths.items()))))


def _settings(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    numbered = list(enumerate(pairs))
    return [
        ("GIT_CONFIG_COUNT", str(len(numbered))),
        *((f"GIT_CONFIG_KEY_{number}", name) for number, (name, _) in numbered),
        *((f"GIT_CONFIG_VALUE_{number}", value) for number, (_, value) in numbered),
    ]
