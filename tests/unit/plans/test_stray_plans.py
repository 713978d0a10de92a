"""What is kept of a worktree that is about to go, and what is left alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lw_coder.plans.plan_file import MAX_PLAN_BYTES
from lw_coder.plans.stray_plans import KEPT, MOST_KEPT, keep_stray_plans
from lw_coder.repository.git import committed_files, find_repository
from tests.support.git_repository import make_repository

COMMITTED = {"README.md": "da2bdc1b30ad8d1a827b1f81f14f674716f00927"}


@pytest.fixture
def worktree(tmp_path: Path) -> Path:
    folder = tmp_path / "worktree"
    folder.mkdir()
    (folder / "README.md").write_text("committed")
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    return folder


def test_new_markdown_is_kept_as_it_lay(worktree: Path, run: Path) -> None:
    (worktree / "plans/deep").mkdir(parents=True)
    (worktree / "PLAN.MD").write_text("one")
    (worktree / "plans/deep/two.md").write_text("two")
    (worktree / "code.py").write_text("no plan")
    left = keep_stray_plans(worktree, COMMITTED, run)
    assert left.kept == ("PLAN.MD", "plans/deep/two.md")
    assert left.lost == 0
    assert (run / KEPT / "plans/deep/two.md").read_text() == "two"
    assert sorted(path.name for path in (run / KEPT).rglob("*.*")) == ["PLAN.MD", "two.md"]


def test_nothing_new_makes_no_folder(worktree: Path, run: Path) -> None:
    assert keep_stray_plans(worktree, COMMITTED, run).kept == ()
    assert not list(run.iterdir())


def test_no_link_or_pipe_is_followed_and_nothing_large_is_kept(worktree: Path, run: Path) -> None:
    outside = worktree.parent / "outside"
    outside.mkdir()
    (outside / "secret.md").write_text("secret")
    (worktree / "link.md").symlink_to(outside / "secret.md")
    (worktree / "folder").symlink_to(outside)
    os.mkfifo(worktree / "pipe.md")
    (worktree / "large.md").write_text("x" * (MAX_PLAN_BYTES + 1))
    left = keep_stray_plans(worktree, COMMITTED, run)
    assert (left.kept, left.lost) == ((), 3)
    assert not [path for path in run.rglob("*") if path.is_file()]


def test_the_nearest_are_kept_and_the_rest_is_counted(worktree: Path, run: Path) -> None:
    (worktree / "many").mkdir()
    for number in range(MOST_KEPT + 5):
        (worktree / f"many/{number}.md").write_text("x")
    (worktree / "near.md").write_text("x")
    left = keep_stray_plans(worktree, COMMITTED, run)
    assert left.kept[0] == "near.md"
    assert (len(left.kept), left.lost) == (MOST_KEPT, 6)


def test_a_path_that_is_too_long_or_too_deep_stops_nothing(worktree: Path, run: Path) -> None:
    (worktree / "near.md").write_text("x")
    _nest(worktree, "x" * 250, 5)
    _nest(worktree, "d", 100)
    left = keep_stray_plans(worktree, COMMITTED, run)
    assert (left.kept, left.lost) == (("near.md",), 1)


def _nest(folder: Path, name: str, depth: int) -> None:
    handle = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=handle)
        inner = os.open(name, os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = inner
    os.close(os.open("PLAN.md", os.O_CREAT | os.O_WRONLY, dir_fd=handle))
    os.close(handle)


@pytest.mark.parametrize("object_format", ["sha1", "sha256"])
def test_a_committed_file_that_was_changed_is_kept(tmp_path: Path, run: Path, object_format: str) -> None:
    made = make_repository(tmp_path / "repository", f"--object-format={object_format}")
    made.commit("Plan", "PLAN.md", "as it was")
    sha = made.commit("Another", "other.md", "left alone")
    (made.path / "PLAN.md").write_text("as the session wrote it")
    committed = committed_files(find_repository(made.path), sha)
    assert keep_stray_plans(made.path, committed, run).kept == ("PLAN.md",)
    assert (run / KEPT / "PLAN.md").read_text() == "as the session wrote it"
