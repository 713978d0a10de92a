"""A hostile agent in a real session: whatever it tries, the host stays as it was.

The attempts and what must hold afterwards are in escapes.py and leavings.py. Most are made again in a
container without the protection, where the same check must fail, or met without care on the host: so each is
known to be able to succeed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.escape.escapes import EVERY
from tests.integration.escape.leavings import (
    BROKEN,
    BURIED,
    LAST,
    LINKED,
    NESTED,
    ODD_FOLDER,
    PIPED,
    PLANNED,
)
from tests.integration.escape.scene import WORKTREE, Attempt, quiet
from tests.integration.escape.stage import Stage, host_process, loopback, staged

pytestmark = pytest.mark.escape

CONTROLLED = [attempt for attempt in EVERY if isinstance(attempt.control, tuple)]


def name(attempt: object) -> str:
    return attempt.name if isinstance(attempt, Attempt) else ""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with loopback() as number, host_process():
        yield number


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[Stage]:
    """A session whose commits come home, after which the person's git runs in both places."""
    with staged(tmp_path_factory.mktemp("usual")) as made:
        made.play(EVERY, port)
        made.scene.look_with_git(".", WORKTREE)
        yield made


@pytest.mark.parametrize("attempt", EVERY, ids=name)
def test_it_does_not_get_out(usual: Stage, attempt: Attempt) -> None:
    attempt.judge(usual.scene)
    quiet(usual.scene, attempt.name)


@pytest.mark.parametrize("attempt", CONTROLLED, ids=name)
def test_it_would_without_the_protection(usual: Stage, port: int, attempt: Attempt) -> None:
    scene = usual.control(attempt, port)
    with pytest.raises(AssertionError):
        attempt.check(scene, attempt.name)
    assert scene.proof(attempt.name).exists() == ("@TRAP@" in attempt.command)


def test_the_attempts_are_made_as_the_agent(usual: Stage) -> None:
    as_agent, as_exec = ((usual.scene.worktree / name).read_text() for name in ("as-agent", "as-exec"))
    assert len(as_agent.splitlines()) > 8
    assert as_agent == as_exec


def test_the_honest_commit_came_home(usual: Stage) -> None:
    assert "Commits:  1 new on lw/task/sample-plan" in usual.scene.shown
    assert "honest.txt" in usual.scene.git("ls-tree", "--name-only", "lw/task/sample-plan")
    assert "broken" not in usual.scene.git("fsck", "--no-dangling")


@pytest.fixture(scope="module")
def nested(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A session that leaves repositories in the worktree: there the person is told not to run git."""
    with staged(tmp_path_factory.mktemp("nested")) as made:
        made.play_headless([attempt for _, attempt in NESTED])
        made.scene.look_with_git(".")
        yield made


@pytest.mark.parametrize(("folder", "attempt"), NESTED, ids=name)
def test_a_planted_repository_is_told_of(nested: Stage, folder: str, attempt: Attempt) -> None:
    proof = nested.scene.proof(attempt.name)
    attempt.judge(nested.scene)
    nested.scene.git("status", at=f"{WORKTREE}/{folder}")
    assert proof.exists(), "the trap is none"
    proof.unlink()


def test_the_names_of_planted_ones_are_escaped(nested: Stage) -> None:
    assert ODD_FOLDER not in nested.scene.shown
    assert "evil\\x1b]0;pwned\\x07[red]<b>/.git" in "".join(nested.scene.shown.splitlines())


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A session whose objects would harm whoever checks them out."""
    with staged(tmp_path_factory.mktemp("broken")) as made:
        made.play_headless(BROKEN, status=1)  # its commits do not come home
        made.scene.look_with_git(".", WORKTREE)
        yield made


@pytest.mark.parametrize("attempt", BROKEN, ids=name)
def test_what_breaks_the_check_stays_away(broken: Stage, attempt: Attempt, tmp_path: Path) -> None:
    scene = broken.scene
    attempt.judge(scene)
    fetch = ("fetch", "--quiet", str(scene.run / "git"), f"bad-{attempt.name}:taken")
    clone = tmp_path / "clone"
    scene.git("clone", "--quiet", str(scene.root), str(clone))
    assert "fsck" in scene.git("-c", "fetch.fsckObjects=true", *fetch, at=str(clone))
    scene.git(*fetch, at=str(clone))
    assert "taken" in scene.git("branch", at=str(clone)), "without the check nothing stops it"


@pytest.fixture(scope="module")
def piped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A session with pipes in its git folder, and with deep folders beside its transcripts."""
    with staged(tmp_path_factory.mktemp("piped")) as made:
        made.play_headless(PIPED)
        yield made


@pytest.mark.parametrize("attempt", PIPED, ids=name)
def test_pipes_and_deep_folders_lead_nowhere(piped: Stage, attempt: Attempt) -> None:
    attempt.judge(piped.scene)


@pytest.mark.parametrize("attempt", LINKED, ids=name)
def test_links_lead_nowhere(tmp_path: Path, attempt: Attempt) -> None:
    """Each in a session of its own: where one part of a git folder is gone, the others are not met."""
    with staged(tmp_path) as made:
        made.play_headless([attempt], status=attempt.status)
        attempt.judge(made.scene)
        assert attempt.weakening
        made.scene.import_weakened(attempt.weakening)
        with pytest.raises(AssertionError):
            attempt.check(made.scene, attempt.name)


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A session of `lw_coder plan`, which may write among the plans."""
    with staged(tmp_path_factory.mktemp("planned")) as made:
        made.plan(PLANNED)
        made.scene.look_with_git(".")
        yield made


@pytest.mark.parametrize("attempt", PLANNED, ids=name)
def test_what_is_left_among_the_plans_is_told_of(planned: Stage, attempt: Attempt) -> None:
    attempt.judge(planned.scene)


@pytest.mark.parametrize("attempt", BURIED, ids=name)
def test_no_change_of_a_plan_is_buried(tmp_path: Path, attempt: Attempt) -> None:
    with staged(tmp_path) as made:
        made.plan([attempt])
        attempt.judge(made.scene)


@pytest.fixture(scope="module")
def last(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A session that is stopped for what it writes, and has committed a submodule before."""
    with staged(tmp_path_factory.mktemp("last")) as made:
        made.play(LAST, 0, status=4, is_stopped=True)
        made.scene.look_with_git(".", WORKTREE)
        yield made


@pytest.mark.parametrize("attempt", LAST, ids=name)
def test_a_flood_ends_and_a_submodule_stays_out(last: Stage, attempt: Attempt) -> None:
    attempt.judge(last.scene)
