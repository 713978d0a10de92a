"""Commands without a session, whose engine is frozen before they begin."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from lw_coder.runs.run_folders import list_runs
from tests.support.engine import docker
from tests.support.patience import wait_until
from tests.support.sample_repository import PLAN_ID
from tests.torture.scenes import COMMITS, Scene
from tests.torture.weather.engine import untold
from tests.torture.weather.place import BRANCH, Kind, Place, agent, recovered, waiting
from tests.torture.weather.running import CODE, DONE, LONGEST_END, Running, ran, started, unusual

_A_WHILE = 10  # seconds: longer than it takes until something is said of the engine's silence


def frozen_before_another(place: Place, words: tuple[str, ...]) -> Iterator[str]:
    """A signal ends a command that waits for the engine; the next one waits until it answers again."""
    with place.scene() as scene:
        yield from unusual(ran(scene, *CODE), DONE)
        yield from _frozen_before(place, scene, words, scene.git("rev-parse", BRANCH).stdout.strip())


def frozen_before_import(place: Place) -> Iterator[str]:
    """As `frozen_before_another`; the commits are those of a session whose lw_coder was killed."""
    with place.scene() as scene, waiting(scene) as session:
        session.command.send_signal(signal.SIGKILL)
        session.command.end()
        session.let_go()
        wait_until(lambda: not docker("--host", place.engine.host, "ps", "--quiet"), "the session's end")
        (run,) = list_runs(scene.root, PLAN_ID)
        tip = (run.folder / "git/refs/heads" / BRANCH).read_text(encoding="ascii").strip()
        agent(scene, COMMITS)
        yield from _frozen_before(place, scene, ("runs", "import", run.identity), tip)


def _frozen_before(place: Place, scene: Scene, words: tuple[str, ...], tip: str) -> Iterator[str]:
    before = scene.persons()
    with place.engine.frozen():
        first = started(scene, *words)
        first.wait_until(lambda: _asks_docker(first), "a question for the engine")
        first.send_signal(signal.SIGTERM)
        yield from unusual(first.end(LONGEST_END), {128 + signal.SIGTERM})
        second = started(scene, *words)
        time.sleep(_A_WHILE)
        yield from untold(second)
    yield from unusual(second.end(), DONE)
    yield from _lost(scene, tip)
    yield from recovered(scene, before)


def frozen_beside_take(place: Place) -> Iterator[str]:
    """What needs no engine is done at once."""
    with place.scene() as scene:
        yield from unusual(ran(scene, *CODE), DONE)
        with place.engine.frozen():
            yield from unusual(ran(scene, "take", PLAN_ID, "--yes"), DONE)
        yield from _lost(scene, scene.git("rev-parse", "main^2").stdout.strip())
        yield from recovered(scene, scene.persons())


def _asks_docker(running: Running) -> bool:
    children = Path(f"/proc/{running.pid}/task").glob("*/children")
    with suppress(OSError):  # one has ended meanwhile
        pids = [pid for file in children for pid in file.read_text(encoding="ascii").split()]
        return any("docker" in Path(f"/proc/{pid}/comm").read_text() for pid in pids)
    return False


def _lost(scene: Scene, commit: str) -> Iterator[str]:
    if not scene.git("for-each-ref", "--contains", commit).stdout:
        yield f"no ref has the commit {commit}"


def kinds() -> Iterator[Kind]:
    for words in (("drop", PLAN_ID, "--yes", "--runs"), ("verify", PLAN_ID)):
        yield "engine frozen", f"before {words[0]}", partial(frozen_before_another, words=words)
    yield "engine frozen", "before runs import", frozen_before_import
    yield "engine frozen", "before take", frozen_beside_take
