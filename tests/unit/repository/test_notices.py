"""What a session does without is said, and what is typed then helps: each command is typed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from lw_coder.plans.plan_file import PlanMetadata
from lw_coder.repository.git import find_repository
from lw_coder.repository.git_settings import read_configuration
from lw_coder.repository.notices import session_notices
from lw_coder.repository.worktrees import ensure_worktree
from tests.support.git_repository import GitRepository, make_repository

HOOK = '#!/bin/sh\necho "$0 $(git diff --cached --name-only)" >> {log}\n'


@pytest.fixture
def made(tmp_path: Path) -> GitRepository:
    made = make_repository(tmp_path / "repo")
    made.run("config", "user.name", "A Person")
    made.run("config", "user.email", "person@example.invalid")
    return made


def notices(made: GitRepository) -> list[str]:
    repository = find_repository(made.path)
    worktree = ensure_worktree(repository, PlanMetadata("sample-plan", made.head(), "ready", (), "Do it."))
    return session_notices(repository, read_configuration(worktree.place), made.head(), worktree.path)


def type_it(made: GitRepository, notice: str) -> None:
    """Type the command that a notice ends with, as a person would: in a shell, from the top folder."""
    command = notice.partition("type: ")[2]
    subprocess.run(command, shell=True, cwd=made.path, check=True, capture_output=True)  # noqa: S602


def in_worktree(made: GitRepository) -> GitRepository:
    return GitRepository(made.path / ".lw_coder/worktrees/sample-plan")


def test_nothing_is_said_of_a_plain_repository(made: GitRepository) -> None:
    (made.path / ".git/hooks/pre-commit.sample").write_text(HOOK)
    assert notices(made) == []


@pytest.mark.parametrize("url", ["{library}", "../library"])
def test_empty_submodules_can_be_filled(made: GitRepository, tmp_path: Path, url: str) -> None:
    library = make_repository(tmp_path / "library")
    made.run("submodule", "--quiet", "add", "--name", "odd name", url.format(library=library.path), "lib/one")
    made.run("commit", "--quiet", "-m", "with a submodule")
    made.run("submodule", "--quiet", "deinit", "--all", "--force")
    (line,) = notices(made)
    assert line.startswith("the submodules lib/one are empty in the session")
    type_it(made, line)
    assert (in_worktree(made).path / "lib/one/README.md").read_text() == "hello\n"
    assert notices(made) == []


def test_relative_addresses_are_those_of_the_remote(made: GitRepository, tmp_path: Path) -> None:
    library = make_repository(tmp_path / "server/library")
    made.run("submodule", "--quiet", "add", str(library.path), "lib")
    made.run("config", "--file", ".gitmodules", "submodule.lib.url", "../library")
    made.run("commit", "--quiet", "--all", "-m", "with a submodule")
    made.run("clone", "--quiet", "--bare", str(made.path), str(tmp_path / "server/app"))
    subprocess.run(["git", "clone", "-q", str(tmp_path / "server/app"), str(tmp_path / "clone")], check=True)
    clone = GitRepository(tmp_path / "clone")
    (line,) = notices(clone)
    type_it(clone, line)
    assert (in_worktree(clone).path / "lib/README.md").read_text() == "hello\n"


def test_a_partial_clone_can_be_completed(made: GitRepository, tmp_path: Path) -> None:
    made.commit("second", "README.md", "changed\n")
    made.run("config", "uploadpack.allowFilter", "true")
    source = f"file://{made.path}"
    clone = GitRepository(tmp_path / "clone")
    subprocess.run(["git", "clone", "-q", "--filter=blob:none", source, str(clone.path)], check=True)
    (line,) = notices(clone)
    assert line.startswith("in a partial clone, sessions cannot fetch missing objects")
    assert "?" in clone.run("rev-list", "--all", "--objects", "--missing=print")
    type_it(clone, line)
    assert "?" not in clone.run("rev-list", "--all", "--objects", "--missing=print")
    assert notices(clone) == []


def test_commits_can_be_signed_afterwards(made: GitRepository, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    for name, value in {"commit.gpgSign": "yes", "gpg.format": "ssh", "user.signingKey": str(key)}.items():
        made.run("config", name, value)
    (line,) = notices(made)
    assert line.startswith("commits of the session are not signed (ssh)")
    agent = in_worktree(made)
    agent.write("new.txt", "new")
    agent.run("add", "new.txt")
    agent.run("-c", "commit.gpgSign=false", "commit", "--quiet", "-m", "unsigned")
    assert "gpgsig" not in agent.run("cat-file", "commit", "HEAD")
    type_it(made, line)
    assert "gpgsig" in agent.run("cat-file", "commit", "HEAD")


@pytest.mark.parametrize("folder", [".git/hooks", "own hooks", "{home}/shared"])
def test_hooks_can_be_run_afterwards(made: GitRepository, tmp_path: Path, folder: str) -> None:
    hooks = Path(made.path, folder.format(home=tmp_path))
    hooks.mkdir(parents=True, exist_ok=True)
    if folder != ".git/hooks":
        made.run("config", "core.hooksPath", str(hooks))
    log = tmp_path / "log"
    for name in ("pre-commit", "commit-msg"):
        (hooks / name).write_text(HOOK.format(log=log))
        (hooks / name).chmod(0o755)
    (hooks / "post-commit").write_text("not executable")
    (line,) = notices(made)
    assert "your hooks pre-commit, commit-msg do not run in the session" in line
    agent = in_worktree(made)
    commits = [agent.commit(name, f"{name}.txt") for name in ("one", "two")]
    assert not log.exists()
    type_it(made, line)
    said = log.read_text().split("\n")
    assert [words.rpartition(" ")[2] for words in said if "pre-commit" in words] == ["one.txt", "two.txt"]
    assert agent.run("log", "--format=%s", f"{made.head()}..") == "two\none"
    assert agent.run("diff", "--stat", commits[-1], "HEAD") == ""


@pytest.mark.parametrize("value", ["false", "0", "off"])
def test_what_is_switched_off_is_not_told(made: GitRepository, value: str) -> None:
    made.run("config", "commit.gpgsign", value)
    made.run("config", "core.hooksPath", os.devnull)
    assert notices(made) == []
