"""The commits that plans start from, in real repositories."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lw_coder.foundation.errors import GitError
from lw_coder.repository.commit_ids import (
    object_kinds,
    require_commit,
    require_no_sessions_commit,
    suggested_line,
)
from lw_coder.repository.git import changed_since, find_repository
from tests.support.git_repository import GitRepository, make_repository


@pytest.fixture
def made(tmp_path: Path) -> GitRepository:
    return make_repository(tmp_path / "repo")


def test_require_commit_tells_what_an_id_is(made: GitRepository) -> None:
    repository = find_repository(made.path)
    made.run("tag", "-a", "-m", "a tag", "v1")
    require_commit(repository, made.head())
    for name, kind in (("v1", "annotated tag"), ("HEAD^{tree}", "tree"), ("HEAD:README.md", "blob")):
        with pytest.raises(GitError, match=rf"git_sha: .* is an? {kind}"):
            require_commit(repository, made.sha(name))
    with pytest.raises(GitError, match=r"git_sha: 0{40} is not in this repository"):
        require_commit(repository, "0" * 40)


def test_require_commit_names_the_shallow_clone(made: GitRepository, tmp_path: Path) -> None:
    first = made.head()
    made.commit("second")
    made.run("clone", "--quiet", "--depth=1", made.path.as_uri(), str(tmp_path / "shallow"))
    with pytest.raises(GitError) as caught:
        require_commit(find_repository(tmp_path / "shallow"), first)
    assert "unshallow" in caught.value.remedy


def test_a_sha1_id_is_no_prefix_of_a_sha256_one(tmp_path: Path) -> None:
    made = make_repository(tmp_path / "repo", "--object-format=sha256")
    repository = find_repository(made.path)
    require_commit(repository, made.head())
    with pytest.raises(GitError, match="has 40 digits; commit ids here have 64"):
        require_commit(repository, made.head()[:40])


def test_what_was_committed_in_a_session_alone_is_no_start(made: GitRepository) -> None:
    repository, first = find_repository(made.path), made.head()
    sessions = made.run("commit-tree", "-p", "HEAD", "-m", "hidden", "HEAD^{tree}")
    made.run("update-ref", "refs/lw_coder/@plan/20250101T000000Z/heads/x", sessions)
    with pytest.raises(GitError, match=r"^p\.md: git_sha: \w{40} is on none of your branches") as caught:
        require_no_sessions_commit(repository, sessions, "p.md: git_sha")
    assert "refs/lw_coder/@plan/20250101T000000Z/heads/x" in caught.value.message
    assert f"git branch <name> {sessions}" in caught.value.remedy
    require_no_sessions_commit(repository, first, "p.md: git_sha")
    made.run("worktree", "add", "--quiet", "--detach", "../linked", sessions)
    require_no_sessions_commit(find_repository(made.path.parent / "linked"), sessions, "p.md: git_sha")
    amended = made.run("commit-tree", "-m", "dangling", "HEAD^{tree}")
    require_no_sessions_commit(repository, amended, "p.md: git_sha")
    made.run("branch", "taken", sessions)
    require_no_sessions_commit(repository, sessions, "p.md: git_sha")
    made.run("symbolic-ref", "HEAD", "refs/heads/unborn")
    require_no_sessions_commit(repository, first, "p.md: git_sha")


def test_a_fetch_is_advised_only_where_there_is_a_remote(made: GitRepository) -> None:
    repository, head = find_repository(made.path), made.head()
    assert remedy(made, "0" * 40) == f"write git_sha: {head} (that is HEAD)"
    made.run("remote", "add", "upstream", "https://example.invalid/x.git")
    assert remedy(made, "0" * 40) == f"type: git fetch, or write git_sha: {head} (that is HEAD)"
    assert object_kinds(repository, ["0" * 40, head]) == {head: "commit"}


def remedy(made: GitRepository, sha: str) -> str:
    with pytest.raises(GitError) as caught:
        require_commit(find_repository(made.path), sha)
    return caught.value.remedy


def test_the_line_to_write_instead(made: GitRepository) -> None:
    first, head = made.head(), made.commit("second")
    made.run("tag", "-a", "-m", "a tag", "v1", first)
    repository, at_head = find_repository(made.path), f"git_sha: {head} (that is HEAD)"
    for written in (
        "",
        "HEAD",
        "main",
        head[:7],
        "TODO",
        "<git sha>",
        "--all",
        "$(git rev-parse HEAD)",
        "\0",
    ):
        assert suggested_line(repository, written) == f"write {at_head}"
    for written in (first[:8], first[:12].upper(), "v1"):
        line = suggested_line(repository, written)
        assert line == f"write git_sha: {first} (that is {written}), or {at_head}"


def test_without_a_commit_there_is_no_line_to_write(tmp_path: Path) -> None:
    empty = GitRepository(tmp_path)
    empty.run("init", "--quiet")
    assert suggested_line(find_repository(tmp_path), "HEAD").startswith("make a first commit")


def test_head_is_that_of_the_persons_worktree(made: GitRepository) -> None:
    made.run("worktree", "add", "--quiet", "--detach", "../linked")
    made.commit("second")
    linked = GitRepository(made.path.parent / "linked")
    assert linked.head() in suggested_line(find_repository(linked.path), "HEAD")


def test_files_that_are_not_as_in_a_commit(made: GitRepository) -> None:
    repository, first = find_repository(made.path), made.head()
    assert changed_since(repository, first, ["."]) == {}
    made.commit("second", "committed.lock")
    made.write("README.md", "changed\n")
    made.write("untracked.lock", "new\n")
    made.write(".gitignore", "*.log\n")
    made.write("ignored.log", "\n")
    locks = {"committed.lock": True, "untracked.lock": True}
    assert changed_since(repository, first, ["."]) == {".gitignore": True, "README.md": False, **locks}
    assert changed_since(repository, first, [":(glob)*.lock"]) == locks
    (made.path / "README.md").unlink()
    assert changed_since(repository, first, ["README.md"]) == {"README.md": False}


def test_looking_for_what_has_changed_leaves_the_index_alone(made: GitRepository) -> None:
    index = made.path / ".git/index"
    before = index.read_bytes()
    os.utime(made.path / "README.md", (1, 1))  # git would note the new time in the index
    assert changed_since(find_repository(made.path), made.head(), ["."]) == {}
    assert index.read_bytes() == before
