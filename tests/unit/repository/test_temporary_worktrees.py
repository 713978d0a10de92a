"""Worktrees that are removed at the end of a command, or after it was killed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lw_coder.foundation.errors import GitError
from lw_coder.foundation.locks import exclusive
from lw_coder.plans.plan_file import PlanMetadata
from lw_coder.repository.git import Repository, find_repository
from lw_coder.repository.temporary_worktrees import (
    create_temp_worktree,
    remove_stale_temp_worktrees,
    remove_temp_worktree,
    temporary_worktree,
)
from lw_coder.repository.worktrees import ensure_worktree
from tests.support.git_repository import GitRepository, make_repository


@pytest.fixture
def made(tmp_path: Path) -> GitRepository:
    return make_repository(tmp_path / "repo")


@pytest.fixture
def repository(made: GitRepository) -> Repository:
    return find_repository(made.path)


def test_a_temporary_worktree_goes_at_the_end(made: GitRepository, repository: Repository) -> None:
    kept = ensure_worktree(repository, PlanMetadata("sample-plan", made.head(), "ready", (), "Do it."))
    before = made.run("for-each-ref"), made.run("worktree", "list", "--porcelain")
    with temporary_worktree(repository, made.head()) as found:
        assert found.path.parent == made.path / ".lw_coder/temp-worktrees"
        assert (found.branch, found.head) == (None, made.head())
        assert found.has_own_pointer()
        assert made.run("status", "--porcelain") == ""
    assert not found.path.exists()
    assert before == (made.run("for-each-ref"), made.run("worktree", "list", "--porcelain"))
    assert list(found.path.parent.iterdir()) == [found.path.parent / ".gitignore"]
    assert kept.path.exists()


def test_a_temporary_worktree_goes_after_a_failure_too(made: GitRepository, repository: Repository) -> None:
    with pytest.raises(KeyboardInterrupt), temporary_worktree(repository, made.head()) as found:
        raise KeyboardInterrupt
    assert not found.path.exists()
    with pytest.raises(GitError, match="git_sha"), temporary_worktree(repository, "0" * 40):
        pass
    assert not list(found.path.parent.glob("plan-*"))


def test_removal_follows_no_links_and_gets_into_read_only_folders(
    made: GitRepository, repository: Repository, tmp_path: Path
) -> None:
    keep = tmp_path / "keep"
    (keep / "inner").mkdir(parents=True)
    with temporary_worktree(repository, made.head()) as found:
        (found.path / "link").symlink_to(keep)
        (found.path / "shut/in").mkdir(parents=True)
        (found.path / "shut/in/file").touch()
        (found.path / "shut").chmod(0o500)
        (found.path / "shut/in").chmod(0)
        (found.path / ".git").unlink()
    assert not found.path.exists()
    assert (keep / "inner").exists()


def test_only_temporary_worktrees_that_nobody_uses_are_stale(
    made: GitRepository, repository: Repository
) -> None:
    kept = ensure_worktree(repository, PlanMetadata("sample-plan", made.head(), "ready", (), "Do it."))
    with temporary_worktree(repository, made.head()) as used:
        left = create_temp_worktree(repository, made.head(), "left-over")
        assert remove_stale_temp_worktrees(repository) == ("left-over",)
        assert used.path.exists()
    assert not left.path.exists()
    assert kept.path.exists()
    assert "left-over" not in made.run("worktree", "list")
    assert remove_stale_temp_worktrees(repository) == ()


def test_a_lock_of_another_process_counts(made: GitRepository, repository: Repository) -> None:
    found = create_temp_worktree(repository, made.head(), "theirs")
    with exclusive(found.path.with_name("theirs.lock")):
        assert remove_stale_temp_worktrees(repository) == ()
    assert remove_stale_temp_worktrees(repository) == ("theirs",)


@pytest.mark.parametrize("name", ["../worktrees/x", "", ".", "..", "a/b", "/etc", "x.lock"])
def test_a_name_never_leads_out_of_the_folder(made: GitRepository, repository: Repository, name: str) -> None:
    for call in (remove_temp_worktree, lambda where, what: create_temp_worktree(where, made.head(), what)):
        with pytest.raises(GitError, match="is not a valid worktree name"):
            call(repository, name)


def test_a_taken_name_is_refused(made: GitRepository, repository: Repository) -> None:
    create_temp_worktree(repository, made.head(), "taken")
    with pytest.raises(GitError, match="already exists"):
        create_temp_worktree(repository, made.head(), "taken")


@pytest.mark.parametrize("files_are_gone", [False, True])
def test_a_killed_removal_is_finished(
    made: GitRepository, repository: Repository, *, files_are_gone: bool
) -> None:
    before = made.run("worktree", "list", "--porcelain")
    path = made.path / ".lw_coder/temp-worktrees/plan-0123456789ab"
    if files_are_gone:
        shutil.rmtree(create_temp_worktree(repository, made.head(), path.name).path)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f"{path.name}.lock")
    lock.touch()
    with exclusive(lock):
        assert remove_stale_temp_worktrees(repository) == ()
        assert lock.exists()
    assert remove_stale_temp_worktrees(repository) == ()
    assert not lock.exists()
    assert made.run("worktree", "list", "--porcelain") == before
