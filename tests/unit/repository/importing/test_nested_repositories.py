"""Repositories that an agent left in a worktree or among the plans are found without running git."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lw_coder.repository.importing import nested_repositories
from lw_coder.repository.importing.nested_repositories import (
    MOST_FINDINGS,
    find_nested_repositories,
    find_repositories_in,
    is_dot_git,
)
from tests.support.patience import within_cpu_time


@pytest.mark.parametrize(
    "name", [".git", ".GIT", "git~1", ".git ", ".git.", ".g\u200cit", ".git::$INDEX_ALLOCATION"]
)
def test_variants_of_dot_git(name: str) -> None:
    assert is_dot_git(name)


@pytest.mark.parametrize("name", [".gitignore", "git", ".github", ".git2", "x.git", ".gitmodules"])
def test_what_is_no_dot_git(name: str) -> None:
    assert not is_dot_git(name)


def test_the_search_follows_no_links_and_reports_what_it_cannot_enter(tmp_path: Path) -> None:
    top = tmp_path / "top"
    (top / "sub/.git").mkdir(parents=True)
    (top / ".git").touch()
    (top / "link").symlink_to(top / "sub")
    (top / "loop").symlink_to(top)
    assert find_nested_repositories(top) == ("sub/.git",)
    inner = top / "far"
    inner.mkdir()
    handle = os.open(inner, os.O_RDONLY)
    for _ in range(30):
        os.mkdir("d" * 200, dir_fd=handle)
        deeper = os.open("d" * 200, os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = deeper
    os.close(handle)
    found = find_nested_repositories(top)
    assert len(found) == 2
    assert found[0].startswith("far/ddd")


@pytest.mark.parametrize("names", [("HEAD", "objects", "refs"), ("head", "commondir")])
def test_the_search_finds_what_is_laid_out_like_a_bare_repository(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    for top in (tmp_path, tmp_path / "sub", tmp_path / "half"):
        top.mkdir(exist_ok=True)
        for name in names[: 1 if top.name == "half" else None]:
            (top / name).mkdir()
    assert find_nested_repositories(tmp_path) == (f"sub/{names[0]}",)


@pytest.fixture
def worktree(tmp_path: Path) -> Path:
    top = tmp_path / ".lw_coder/worktrees/a"
    top.mkdir(parents=True)
    return top


@pytest.mark.parametrize(
    "target",
    [
        "../../runs/a/20250101T000000Z/sessions",
        "../../runs/a/x/git",
        "../b/sub",
        "sub/hop",
        "{absolute}/tasks",
    ],
)
def test_a_link_to_what_agents_write_elsewhere_is_found(worktree: Path, target: str) -> None:
    (worktree / "sub").mkdir()
    (worktree / "sub/hop").symlink_to("../../b")
    (worktree / "docs").symlink_to(target.format(absolute=worktree.parent.parent))
    assert find_nested_repositories(worktree) == ("docs", "sub/hop")


@pytest.mark.parametrize("target", ["sub", "/etc", "nowhere", "docs", "../../../src", "../a/sub"])
def test_other_links_are_left_alone(worktree: Path, target: str) -> None:
    (worktree / "sub").mkdir()
    (worktree / "docs").symlink_to(target)
    assert find_nested_repositories(worktree) == ()


def test_links_are_not_followed_for_as_long_as_an_agent_likes(worktree: Path) -> None:
    (worktree / "d").mkdir()
    (worktree / "0").symlink_to("d")
    for number in range(1, 2000):
        (worktree / str(number)).symlink_to(str(number - 1))
    assert find_nested_repositories(worktree) == ()  # where the kernel does not go, nobody does
    for number in range(100):
        (worktree / f"long-{number}").symlink_to("d/../" * 800 + "d")
    found = within_cpu_time(60, lambda: find_nested_repositories(worktree))
    assert len(found) == MOST_FINDINGS


def test_a_link_through_another_is_seen_through(worktree: Path) -> None:
    (worktree / "root").symlink_to("../../..")
    (worktree / "docs").symlink_to("root/.lw_coder/runs/a/x/sessions")
    assert find_nested_repositories(worktree) == ("docs",)


def test_more_than_can_be_searched_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nested_repositories, "MAX_ENTRIES", 10)
    for number in range(11):
        (tmp_path / str(number)).touch()
    assert find_nested_repositories(tmp_path) == (".",)


@pytest.mark.parametrize("names", [(".git",), ("sub/.git",), ("HEAD", "objects", "refs")])
def test_among_the_plans_nothing_of_gits_is_expected(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        (tmp_path / name).mkdir(parents=True)
    assert find_repositories_in(tmp_path) == (names[0],)
