"""Other homes and users, and clocks that go back."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

from lw_coder.containers.images import base_fingerprint
from lw_coder.runs.run_folders import list_runs, read_record
from tests.support.patience import within_cpu_time
from tests.support.stand_in import give_base_image
from tests.torture.scenes import Scene
from tests.torture.weather.folders import done_under, mounted
from tests.torture.weather.place import BRANCH, Kind, Place, recovered, waiting
from tests.torture.weather.running import CODE, DONE, REFUSED, ran, unusual

_UID = 64321
_ROOT = Path(__file__).parents[3]


def _private(_: Scene) -> tuple[str, ...]:
    return ("sh", "-c", 'umask 077; exec "$@"', "sh")


def another_home(place: Place, name: str) -> Iterator[str]:
    """Somebody with other folders begins the same plan: they are refused, and the first session goes on."""
    with place.scene() as scene, waiting(scene) as session:
        other = place.folder / "other-home"
        other.mkdir(exist_ok=True)
        told = ran(scene, *CODE, **{name: str(other)})
        yield from unusual(told, REFUSED)
        if f"(process {session.command.pid}, since " not in told.shown:
            yield f"the second one is not told who is first:\n{told.shown}"
        session.let_go()
        yield from unusual(session.command.end(), DONE)
        yield from session.recovered()


def clock_between(place: Place, shift: timedelta) -> Iterator[str]:
    """The clock is behind what an earlier run saw."""
    with place.scene() as scene, _shifted(place) as clock:
        before = scene.persons()
        yield from unusual(ran(scene, *CODE), DONE)
        clock.set_back(shift)
        yield from unusual(ran(scene, *CODE, **clock.variables), DONE)
        yield from _times(scene, runs=2)
        yield from recovered(scene, before, commits=2)


def clock_within(place: Place, shift: timedelta) -> Iterator[str]:
    """The clock goes back while an agent is at work."""
    with place.scene() as scene, _shifted(place) as clock:
        with waiting(scene, clock.variables) as session:
            clock.set_back(shift)
            session.let_go()
            yield from unusual(session.command.end(), DONE)
        yield from _times(scene, runs=1)
        yield from session.recovered()
        yield from _times(scene, runs=2)


@dataclass(frozen=True)
class _Clock:
    """A time of day that can be set back, for the programs that have these variables."""

    file: Path
    variables: Mapping[str, str]

    def set_back(self, shift: timedelta) -> None:
        self.file.write_text(f"{-shift.total_seconds():.0f}", encoding="ascii")


@contextmanager
def _shifted(place: Place) -> Iterator[_Clock]:
    library, file = place.folder / "clock.so", place.folder / "clock-shift"
    source = str(Path(__file__).with_name("clock.c"))
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library), source, "-ldl"], check=True)
    file.write_text("0", encoding="ascii")
    yield _Clock(file, {"LD_PRELOAD": str(library), "CLOCK_SHIFT": str(file)})


def _times(scene: Scene, runs: int) -> Iterator[str]:
    """Name what is wrong with the order of the runs, and with their times."""
    found = list_runs(scene.root)
    ends = [read_record(run)["ended"] for run in found]
    if len(found) != runs:
        yield f"there are {len(found)} runs, not {runs}"
    if any(end["ended_at"] < end["started_at"] for end in ends):
        yield f"a session ended before it began: {ends}"
    tips = [end["tip"] for end in ends]
    if tips[-1] != scene.sample.git("rev-parse", BRANCH):
        yield f"the newest run is not the one that ended last: {tips}"


def ordinary_user(place: Place, mask: str) -> Iterator[str]:
    """Somebody without root's rights, who may use the engine's socket."""
    with place.scene() as scene:
        before = scene.persons()
        _give(scene, _UID)
        (place.engine.folder / "sock").chmod(0o666)
        give_base_image(place.engine.host, place.folder / "image-of-user", within_cpu_time(60, _fingerprint))
        script = f'umask {mask}; exec setpriv --reuid {_UID} --regid {_UID} --clear-groups "$@"'
        under = (*mounted(*_reachable()), "sh", "-c", script, "sh")
        yield from unusual(ran(scene, *CODE, under=under), DONE)
        yield from unusual(ran(scene, *CODE, under=under), DONE)
        _give(scene, 0)
        give_base_image(place.engine.host, place.folder / "image")
        yield from recovered(scene, before, commits=2)


def _give(scene: Scene, user: int) -> None:
    for path in (scene.folder, *scene.folder.rglob("*")):
        os.chown(path, user, user, follow_symlinks=False)


def _fingerprint() -> str:
    os.setresgid(_UID, 0, 0)  # who it is changes, and not what it may read
    os.setresuid(_UID, 0, 0)
    return base_fingerprint()


def _reachable() -> Iterator[str]:
    """Let everybody reach lw_coder and its Python, also if they are in a home that is closed to others."""
    needed = {_ROOT, Path(sys.base_prefix).resolve()}
    closed = {path.parents[-2] for path in needed if not path.parents[-2].stat().st_mode & 0o001}
    for home in sorted(closed):
        inside = [path for path in sorted(needed) if path.is_relative_to(home)]
        for number, path in enumerate(inside):
            yield f"mkdir -p /run/lw-{number}; mount --bind {shlex.quote(str(path))} /run/lw-{number}"
        yield f"mount -t tmpfs -o mode=755 tmpfs {home}"
        for number, path in enumerate(inside):
            yield f"mkdir -p {shlex.quote(str(path))}; mount --bind /run/lw-{number} {shlex.quote(str(path))}"


def kinds() -> Iterator[Kind]:
    yield "users and clocks", "umask 077", partial(done_under, under=_private)
    for name in ("HOME", "XDG_STATE_HOME"):
        yield "users and clocks", f"another {name}", partial(another_home, name=name)
    for mask in ("022", "077"):
        yield "users and clocks", f"an ordinary user, umask {mask}", partial(ordinary_user, mask=mask)
    for shift in (timedelta(hours=2), timedelta(days=400)):
        yield (
            "users and clocks",
            f"the clock goes back between runs, {shift}",
            partial(clock_between, shift=shift),
        )
        yield (
            "users and clocks",
            f"the clock goes back in a session, {shift}",
            partial(clock_within, shift=shift),
        )
