"""The commands that are struck: what each begins with, and what it should have done at its end."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from lw_coder.runs.run_folders import list_runs
from tests.support.sample_repository import PLAN_ID
from tests.torture.health import changed
from tests.torture.scenes import Persons, Scene

FILES, MANY_FILES = 200, 5000
BRANCH = f"refs/heads/lw/task/{PLAN_ID}"


@dataclass(frozen=True)
class Command:
    """A command that is struck.

    Attributes:
        name: in the table.
        words: what is typed.
        begins: the kept state that the repository is in before.
        at_terminal: whether it needs one.
        has_session: whether an agent works in it; a signal then ends the agent, and the commits are imported.
        is_done: names what the command, once it was run to its end, should have done and has not.
        changes: whether it may change what the person has, and what is wrong with the change.
        weight: its share of the random moments.
        files: how many files the repository has.
    """

    name: str
    words: tuple[str, ...]
    begins: str
    is_done: Callable[[Scene], list[str]]
    at_terminal: bool = False
    has_session: bool = False
    changes: Callable[[Scene, Persons], list[str]] = changed
    weight: int = 1
    files: int = FILES


def _has_commits(scene: Scene) -> list[str]:
    files = scene.git("ls-tree", "--name-only", BRANCH).stdout
    return [] if "work-" in files else [f"{BRANCH} has no commit of a session"]


def _is_planned(scene: Scene) -> list[str]:
    runs = list_runs(scene.root, "@plan")
    return [] if runs else ["there is no run of plan"]


def _is_taken(scene: Scene) -> list[str]:
    asked = scene.git("merge-base", "--is-ancestor", BRANCH, "refs/heads/main")
    return ["main has not the result"] if asked.returncode else []


def _changed_by_take(scene: Scene, before: Persons) -> list[str]:
    """All of the person's is as before, or the result is merged; nothing is between the two."""
    if not _is_taken(scene):
        status = scene.git("status", "--porcelain").stdout
        parents = scene.git("rev-parse", "main^1").stdout.strip()
        wrong = [] if status == "?? notes.txt\n" else [f"after the merge git status shows: {status}"]
        return wrong + ([] if parents == before.refs["refs/heads/main"] else ["main has other parents"])
    return changed(scene, before)


def _is_dropped(scene: Scene) -> list[str]:
    worktree = scene.root / ".lw_coder/worktrees" / PLAN_ID
    wrong = [f"{BRANCH} is there"] if has_branch(scene) else []
    return [*wrong, *([f"{worktree} is there"] if worktree.exists() else [])]


def has_branch(scene: Scene) -> bool:
    return scene.git("rev-parse", "--verify", "--quiet", BRANCH).returncode == 0


def _is_clean(scene: Scene) -> list[str]:
    return [f"{run.identity} is there" for run in list_runs(scene.root)]


CODE = Command(
    "code",
    ("code", PLAN_ID, "--no-checks"),
    "fresh",
    _has_commits,
    at_terminal=True,
    has_session=True,
    weight=3,
)
HEADLESS = Command(
    "code --headless", ("code", PLAN_ID, "--headless"), "fresh", _has_commits, has_session=True, weight=3
)
CONFINED = dataclasses.replace(HEADLESS, name="code with a proxy", begins="confined", weight=1)
IN_LARGE = dataclasses.replace(HEADLESS, name="code in a large repository", files=MANY_FILES)
COMMANDS = (
    CODE,
    HEADLESS,
    CONFINED,
    Command(
        *("plan", ("plan", "--text", "An idea"), "fresh", _is_planned),
        at_terminal=True,
        has_session=True,
        weight=2,
    ),
    Command("batch", ("batch", PLAN_ID, "another-plan"), "several", _has_commits, has_session=True),
    Command("verify", ("verify", PLAN_ID), "finished", _has_commits, weight=2),
    Command("take", ("take", PLAN_ID, "--yes"), "finished", _is_taken, changes=_changed_by_take, weight=2),
    Command("drop", ("drop", PLAN_ID, "--yes"), "finished", _is_dropped, weight=2),
    Command("clean", ("clean", "--yes", "--older-than", "0"), "old", _is_clean, weight=2),
)
