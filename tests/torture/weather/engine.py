"""An engine that stops, or freezes and answers nothing, before a command and while it runs."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from lw_coder.foundation.errors import ExitCode
from lw_coder.runs.run_folders import list_runs, read_record
from tests.support.sample_repository import PLAN_ID
from tests.torture.health import changed, not_imported
from tests.torture.scenes import Scene
from tests.torture.weather.place import DOCKERFILE, Kind, Place, recovered, replaced, waiting
from tests.torture.weather.running import CODE, DONE, LONGEST_END, REFUSED, Running, ran, started, unusual

_EITHER = {ExitCode.OK, ExitCode.ERROR}
_STOPPED: Mapping[tuple[str, ...], set[ExitCode]] = {
    CODE: REFUSED,
    ("batch", "--json"): {ExitCode.ERROR, ExitCode.VERDICT},
    ("verify", PLAN_ID): REFUSED,
    ("drop", PLAN_ID, "--yes"): _EITHER,
    ("take", PLAN_ID, "--yes"): REFUSED,
    ("clean", "--yes"): _EITHER,
    ("doctor",): REFUSED,
}


def stopped_before(place: Place, words: tuple[str, ...], statuses: set[ExitCode]) -> Iterator[str]:
    with place.scene() as scene:
        before = scene.persons()
        place.engine.stop()
        yield from unusual(ran(scene, *words), statuses)
        yield from changed(scene, before)
        place.engine.start()
        yield from recovered(scene, before, commits=0)


def stopped_during_build(place: Place) -> Iterator[str]:
    with place.scene() as scene:
        before = scene.persons()
        with _building(scene, seconds=600) as running:
            place.engine.stop()
            yield from unusual(running.end(), REFUSED)
        place.engine.start()
        yield from recovered(scene, before, commits=0)


@contextmanager
def _building(scene: Scene, seconds: int) -> Iterator[Running]:
    """Start a session whose image takes so many seconds to build, and wait until it does."""

    def is_building() -> bool:
        logs = scene.home.glob(".local/state/lw_coder/log/build-*.log")
        return any("sleep 6" in log.read_text(errors="replace") for log in logs)

    line = f"RUN echo {time.time()}; sleep {seconds}\n"
    with replaced(scene, DOCKERFILE, lambda text: text + line):
        running = started(scene, *CODE)
        running.wait_until(is_building, "the build")
        yield running


def stopped_during_session(place: Place, *, terminal: bool) -> Iterator[str]:
    with place.scene() as scene, waiting(scene, terminal=terminal) as session:
        place.engine.stop()
        yield from unusual(session.command.end(), {ExitCode.SESSION})
        yield from _recorded_as_failed(scene)
        place.engine.start()
        yield from session.recovered()


def _recorded_as_failed(scene: Scene) -> Iterator[str]:
    ended = read_record(list_runs(scene.root, PLAN_ID)[-1])["ended"] or {}
    if ended.get("outcome") == "completed" or (ended.get("status") == 0 and "report" not in ended):
        yield f"a session that the engine took along is recorded as {ended}"


def killed_during_session(place: Place) -> Iterator[str]:
    with place.scene() as scene, waiting(scene) as session:
        place.engine.kill()
        place.engine.start()
        session.let_go()
        yield from unusual(session.command.end(), {ExitCode.OK, ExitCode.SESSION})
        yield from session.recovered()


def frozen_before(place: Place) -> Iterator[str]:
    with place.scene() as scene:
        before = scene.persons()
        with place.engine.frozen():
            running = started(scene, *CODE)
            time.sleep(place.minute)
            yield from untold(running)
        yield from unusual(running.end(), DONE)
        yield from recovered(scene, before, commits=1)


def untold(running: Running) -> Iterator[str]:
    """Name that a command has not said what it waits for."""
    if "does not answer yet" not in running.shown:
        yield f"nothing says what is waited for:\n{running.shown}"


def frozen_during_build(place: Place) -> Iterator[str]:
    with place.scene() as scene:
        before = scene.persons()
        with _building(scene, seconds=6) as running:
            with place.engine.frozen():
                time.sleep(place.minute)
            yield from unusual(running.end(), DONE)
        yield from recovered(scene, before, commits=1)


def frozen_during_session(place: Place) -> Iterator[str]:
    with place.scene() as scene, waiting(scene) as session:
        with place.engine.frozen():
            time.sleep(place.minute)
        session.let_go()
        yield from unusual(session.command.end(), DONE)
        yield from session.recovered()


def frozen_at_end(place: Place, number: signal.Signals, *, terminal: bool) -> Iterator[str]:
    """The engine stays frozen: lw_coder has to come to an end without it, and import the commits."""
    with place.scene() as scene, waiting(scene, terminal=terminal) as session:
        with place.engine.frozen():
            session.command.send_signal(number)
            yield from unusual(session.command.end(LONGEST_END), {128 + number})
            yield from not_imported(scene)
        yield from session.recovered()


def kinds() -> Iterator[Kind]:
    for words, statuses in _STOPPED.items():
        name = f"before {words[0]}"
        yield "engine stopped", name, partial(stopped_before, words=words, statuses=statuses)
    yield "engine stopped", "during the build", stopped_during_build
    yield "engine stopped", "during a session", partial(stopped_during_session, terminal=False)
    yield "engine stopped", "killed during a session", killed_during_session
    name = "during a session at a terminal"
    yield "engine stopped", name, partial(stopped_during_session, terminal=True)
    yield "engine frozen", "before", frozen_before
    yield "engine frozen", "during the build", frozen_during_build
    yield "engine frozen", "during a session", frozen_during_session
    for number in (signal.SIGTERM, signal.SIGHUP):
        for where, terminal in (("", False), (" at a terminal", True)):
            name = f"at the end{where}, {number.name}"
            yield "engine frozen", name, partial(frozen_at_end, number=number, terminal=terminal)
