"""Submodules that the person has populated in the plan's worktree."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.git_repository import GitRepository, make_repository
from tests.support.git_session import Session, start


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """The second session of a plan; in between, the person populated the submodules."""
    inner = make_repository(tmp_path / "inner")
    library = make_repository(tmp_path / "library")
    library.run("submodule", "--quiet", "add", str(inner.path), "inner")
    library.run("commit", "--quiet", "--message", "with a submodule")
    made = make_repository(tmp_path / "repo")
    for name in ("library", "folder/other"):
        made.run("submodule", "--quiet", "add", str(library.path), name)
    made.run("commit", "--quiet", "--message", "with submodules")
    first = start(made, tmp_path / "first")
    assert first.end().notes == ()
    first.host.run("submodule", "--quiet", "update", "--init", "--recursive", "library")
    assert (first.worktree.path / "library/inner/README.md").exists()
    return start(made, tmp_path / "run")


def test_its_git_file_is_covered_inside(session: Session) -> None:
    covered = {mount.target: mount for mount in session.git.mounts() if mount.source == Path("/dev/null")}
    assert set(covered) == {"/workspace/library/.git", "/workspace/library/inner/.git"}
    assert all(mount.read_only for mount in covered.values())


def test_it_is_not_taken_for_planted_and_stays_whole(session: Session) -> None:
    session.agent.commit("work")
    session.agent.write("library/new.txt", "x")
    home = session.end()
    assert (home.nested, home.notes, home.moved) == ((), (), True)
    assert session.host.run("status", "--porcelain") == " M library"
    assert session.host.run("submodule", "status", "library").startswith(" ")
    inside = GitRepository(session.worktree.path / "library")
    assert inside.run("status", "--porcelain") == "?? new.txt"


@pytest.mark.parametrize("text", ["gitdir: ../planted\n", None])
def test_one_that_the_agent_put_in_its_place_is_told(session: Session, text: str | None) -> None:
    pointer = session.worktree.path / "library/.git"
    pointer.unlink()
    if text is None:
        make_repository(session.worktree.path / "library/.git/..//.git/x").run("status")
    else:
        pointer.write_text(text, encoding="ascii")
    assert any(name.startswith("library/.git") for name in session.end().nested)


def test_one_that_was_moved_elsewhere_is_told(session: Session) -> None:
    (session.worktree.path / "library").rename(session.worktree.path / "elsewhere")
    assert set(session.end().nested) == {"elsewhere/.git", "elsewhere/inner/.git"}


def test_one_that_was_planted_in_an_earlier_session_is_told_again(session: Session, tmp_path: Path) -> None:
    make_repository(session.worktree.path / "folder/other/nested")
    (session.worktree.path / "folder/other/.git").write_text("gitdir: nested/.git\n", encoding="ascii")
    assert session.end().nested == ("folder/other/.git", "folder/other/nested/.git")
    again = start(session.made, tmp_path / "again")
    assert again.end("sample-plan/20250103T030405Z").nested == (
        "folder/other/.git",
        "folder/other/nested/.git",
    )
