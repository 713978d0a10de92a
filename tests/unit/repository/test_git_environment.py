"""Variables of the shell that a checkout needs reach it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from lw_coder.foundation.errors import GitError
from lw_coder.plans.plan_file import PlanMetadata
from lw_coder.repository.git import find_repository
from lw_coder.repository.worktrees import ensure_worktree
from tests.support.git_repository import GitRepository, make_repository

FAR = '#!/bin/sh\nshift\nexec sh -c "$*"\n'


def checked_out(made: GitRepository, name: str) -> str:
    """Have a session's worktree, and read a file of it."""
    plan = PlanMetadata("sample-plan", made.head(), "ready", (), "Do it.")
    return (ensure_worktree(find_repository(made.path), plan).path / name).read_text()


@pytest.mark.parametrize(
    ("name", "value"),
    [("GIT_LFS_SKIP_SMUDGE", "1"), ("GIT_SSH_COMMAND", "ssh -x"), ("GIT_SSL_CAINFO", "/ca.pem")],
)
def test_a_filter_sees_what_the_shell_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    made = make_repository(tmp_path / "repo")
    made.write(".gitattributes", "*.big filter=big\n")
    made.run("add", ".gitattributes")
    made.commit("big", "file.big", "pointer")
    made.run("config", "filter.big.smudge", f'printf "%s" "${name}"')
    monkeypatch.setenv(name, value)
    assert checked_out(made, "file.big") == value


def test_a_filter_of_the_shells_configuration_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_repository(tmp_path / "repo")
    made.write(".gitattributes", "*.big filter=big\n")
    made.run("add", ".gitattributes")
    made.commit("big", "file.big", "pointer")
    head = made.head()
    for key, text in {"COUNT": "1", "KEY_0": "filter.big.smudge", "VALUE_0": "tr a-z A-Z"}.items():
        monkeypatch.setenv(f"GIT_CONFIG_{key}", text)
    assert made.head() == head
    assert checked_out(made, "file.big") == "POINTER"


def test_a_partial_clone_fetches_by_the_persons_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = make_repository(tmp_path / "source")
    source.run("config", "uploadpack.allowFilter", "true")
    source.run("config", "uploadpack.allowAnySHA1InWant", "true")
    ssh = tmp_path / "far"
    ssh.write_text(FAR)
    ssh.chmod(0o755)
    way = {"GIT_SSH_COMMAND": str(ssh), "GIT_SSH_VARIANT": "simple"}
    options = ("--quiet", "--filter=blob:none", "--no-checkout")
    subprocess.run(
        ["git", "clone", *options, f"far:{source.path}", str(tmp_path / "clone")],
        env={**os.environ, **way},
        check=True,
    )
    clone = GitRepository(tmp_path / "clone")
    with pytest.raises(GitError):
        checked_out(clone, "README.md")
    for name, value in way.items():
        monkeypatch.setenv(name, value)
    assert checked_out(clone, "README.md") == "hello\n"
