"""Commands that are killed, or ended by a signal, at each of their steps."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Lock

from lw_coder.foundation.errors import ExitCode
from lw_coder.runs.run_folders import list_runs
from tests.support.sample_repository import PLAN_ID
from tests.support.sealed_runs import sealed_records
from tests.torture.cases import Case, Extent
from tests.torture.commands import (
    BRANCH,
    COMMANDS,
    FILES,
    HEADLESS,
    IN_LARGE,
    MANY_FILES,
    Command,
    has_branch,
)
from tests.torture.engines import own_engines
from tests.torture.health import in_the_engine, left, not_imported, sick, temporary
from tests.torture.scenes import CONFINING, Persons, Scene
from tests.torture.strikes import SIGNALS, WHEN, Ended, Sight, Strike

POINTS = 15  # of each command
RANDOM = 300
WORKERS = 3  # most of a command's time is waiting
_FEW = 0.1  # of all strikes; more scenes would then take longer than they save

_RUNS = f".lw_coder/runs/{PLAN_ID}"
_WORKTREE = f".lw_coder/worktrees/{PLAN_ID}"


def _sight(what: str, *patterns: str) -> Sight:
    return Sight(what, lambda root: any(any(root.glob(pattern)) for pattern in patterns))


SIGHTS = (
    _sight("the folder of the run is there", f"{_RUNS}/2*"),
    _sight("its compose.yml is there", f"{_RUNS}/2*/compose.yml"),
    _sight("its record is there", f"{_RUNS}/2*/run.json"),
    Sight("the run is sealed", lambda root: bool(sealed_records(root, PLAN_ID))),
    _sight("the agent has begun", f"{_WORKTREE}/work-*"),
    _sight("the agent has committed", f"{_RUNS}/2*/git/{BRANCH}"),
    _sight("the import has begun", f"{_RUNS}/2*/quarantine-*"),
    _sight("the commits are imported", f".git/refs/lw_coder/{PLAN_ID}/*/heads"),
)
# While git checks files out, it keeps the worktree locked.
CHECKOUTS = (
    _sight("git has begun a worktree", f".git/worktrees/{PLAN_ID}/locked"),
    *(_sight(f"git has written data/{number}", f"{_WORKTREE}/data/{number}") for number in (10, 15, 22, 29)),
    _sight("git has written the last file", f"{_WORKTREE}/test_greeting.py"),
    _sight("git has written the index", f".git/worktrees/{PLAN_ID}/index"),
)


@dataclass(frozen=True)
class Measured:
    """How many programs a command starts, and how many seconds it takes."""

    programs: int
    seconds: float


@dataclass(frozen=True)
class Planned:
    """A strike that is to be made.

    Attributes:
        what: its row in the table.
        name: which one it is.
        command: the command.
        strike: makes it, once it is known what the command does.
    """

    what: str
    name: str
    command: Command
    strike: Callable[[Measured], Strike]


class Stage:
    """Scenes, and what is known of the commands; each is made when it is needed first.

    Args:
        folder: an empty one.
        host: DOCKER_HOST of an engine whose base image is the stand-in.
        workers: how many scenes of a size there may be.
    """

    def __init__(self, folder: Path, host: str, workers: int) -> None:
        self._folder, self._host, self._workers = folder, host, workers
        self._scenes: dict[int, SimpleQueue[Scene]] = {FILES: SimpleQueue(), MANY_FILES: SimpleQueue()}
        self._made = {FILES: 0, MANY_FILES: 0}
        self._measured: dict[str, Measured] = {}
        self._lock, self._measuring = Lock(), Lock()

    @contextmanager
    def scene(self, files: int) -> Iterator[Scene]:
        """Yield a scene with so many files that no other worker has."""
        with self._lock:
            is_new = self._made[files] < self._workers
            self._made[files] += is_new
            number = self._made[files]
        one = self._new_scene(files, number) if is_new else self._scenes[files].get()
        try:
            yield one
        finally:
            self._scenes[files].put(one)

    def _new_scene(self, files: int, number: int) -> Scene:
        folder = self._folder / f"scene-{files}-{number}"
        return made_scene(folder, self._host) if files == FILES else Scene(folder, self._host, files)

    def measured(self, command: Command) -> Measured:
        """Run a command to its end, if that has not been done."""
        with self._measuring:
            if command.name not in self._measured:
                self._measured[command.name] = self._measure(command)
            return self._measured[command.name]

    def _measure(self, command: Command) -> Measured:
        with self.scene(command.files) as scene:
            scene.restore(command.begins)
            ended = scene.types(*command.words, at_terminal=command.at_terminal)
            assert ended.status == 0, f"{command.words}: {ended.status}\n{ended.shown}"
            wrong = [*sick(scene), *left(scene), *command.is_done(scene)]
            assert not wrong, wrong
            return Measured(len(ended.programs), ended.seconds)


def made_scene(folder: Path, host: str) -> Scene:
    """Make a scene with all the states that the commands begin in."""
    scene = Scene(folder, host, FILES)
    _to_the_end(scene, ("code", PLAN_ID, "--headless"))
    scene.keep("finished")
    _to_the_end(scene, ("take", PLAN_ID, "--yes"))
    (run,) = list_runs(scene.root, PLAN_ID)
    for left_over in ("quarantine-left", "../.partial-20250101T000000Z-removed"):
        (run.folder / left_over).mkdir()
    scene.keep("old")
    scene.restore("fresh")
    scene.add_plan("another-plan")
    scene.keep("several")
    scene.restore("fresh")
    (scene.root / ".lw_coder/config.toml").write_text(CONFINING, encoding="ascii")
    scene.keep("confined")
    return scene


def _to_the_end(scene: Scene, words: tuple[str, ...]) -> None:
    ended = scene.types(*words)
    assert ended.status == 0, f"{words}: {ended.status}\n{ended.shown}"


@contextmanager
def opened(folder: Path, extent: Extent) -> Iterator[Sequence[Case]]:
    """Start an engine whose base image is a stand-in; strike in several scenes at once."""
    workers = WORKERS if extent.share > _FEW else 1
    with own_engines(folder) as cluster, _at_once(workers) as pool:
        stage = Stage(folder, cluster.manager.host, workers)
        yield [
            Case(
                planned.what,
                f"{planned.command.name}, {planned.name}, seed {extent.seed}",
                pool.submit(struck, stage, planned, number).result,
            )
            for number, planned in enumerate(chosen(extent))
        ]


@contextmanager
def _at_once(workers: int) -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(workers)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def chosen(extent: Extent) -> list[Planned]:
    """Choose as many of all strikes as are wanted."""
    every = [*_at_each_step(), *_at_sights(), *_at_random_times(extent)]
    numbers = sorted(extent.random().sample(range(len(every)), extent.of(len(every))))
    return [every[number] for number in numbers]


def _at_each_step() -> Iterator[Planned]:
    """SIGKILL at each point of each command, and another signal; these take turns."""
    for turn, command in enumerate(COMMANDS):
        for point in range(POINTS):
            for kind in (0, 1 + (point + turn) % (len(SIGNALS) - 1)):
                when = WHEN[(point + kind) % len(WHEN)]
                name = f"{SIGNALS[kind].name} {when} step {point + 1} of {POINTS}"
                strike = partial(_at_program, kind=kind, point=point, when=when)
                yield Planned(command.name, name, command, strike)


def _at_program(measured: Measured, *, kind: int, point: int, when: str) -> Strike:
    """Spread the points over all programs, and let the signals differ in where each falls."""
    program = 1 + int((point + kind / len(SIGNALS)) * measured.programs / POINTS)
    return Strike(SIGNALS[kind], min(program, measured.programs), when)


def _at_sights() -> Iterator[Planned]:
    """SIGKILL at each sight, for lw_coder and for all that it has started, and another signal in turns."""
    others = SIGNALS[1:]
    for command, sights in ((HEADLESS, SIGHTS), (IN_LARGE, CHECKOUTS)):
        for turn, sight in enumerate(sights):
            strikes = [Strike(number, sight=sight) for number in (signal.SIGKILL, others[turn % len(others)])]
            for strike in (*strikes, Strike(signal.SIGKILL, sight=sight, all_of_them=True)):
                yield Planned(command.name, str(strike), command, partial(_as_it_is, strike=strike))


def _as_it_is(_: Measured, *, strike: Strike) -> Strike:
    return strike


def _at_random_times(extent: Extent) -> Iterator[Planned]:
    chance = extent.random()
    for count in range(RANDOM):
        (command,) = chance.choices(COMMANDS, [one.weight for one in COMMANDS])
        number, part = SIGNALS[count % len(SIGNALS)], chance.random()
        name = f"{number.name} after {part:.4f} of its time"
        yield Planned("a random time", name, command, partial(_in_time, number=number, part=part))


def _in_time(measured: Measured, *, number: signal.Signals, part: float) -> Strike:
    return Strike(number, seconds=part * measured.seconds)


def struck(stage: Stage, planned: Planned, number: int) -> list[str]:
    """Strike a command; return what is wrong afterwards, and after the next one, as far as that is run."""
    command, strike = planned.command, planned.strike(stage.measured(planned.command))
    with stage.scene(command.files) as scene:
        late = list(in_the_engine(scene))
        scene.restore(command.begins)
        before, runs, was_left = scene.persons(), len(list_runs(scene.root)), set(left(scene))
        # Git goes on with a large checkout: the next start comes at once.
        waits = command is not IN_LARGE or strike.number != signal.SIGKILL
        ended = scene.types(*command.words, strike=strike, at_terminal=command.at_terminal, waits=waits)
        in_session = len(list_runs(scene.root)) > runs
        # Ctrl+C lets the runs of a batch go on, and one that comes in a session is the agent's key.
        is_late = ended.runs > runs or (command.name == "batch" and strike.number == signal.SIGINT)
        found = _after(scene, command, strike, ended, is_late=is_late) if waits else ()
        wrong = [*(one for one in found if one not in was_left), *command.changes(scene, before)]
        wrong += [f"left by what was struck before, after its end: {one}" for one in late]
        if strike.number == signal.SIGKILL or in_session or not number % 4:
            wrong += _after_the_next(scene, command, before)
        return [f"{command.name}: {one}" for one in wrong] + ([ended.shown] if wrong else [])


def _after(scene: Scene, command: Command, strike: Strike, ended: Ended, *, is_late: bool) -> Iterator[str]:
    if ended.status is None:
        yield "the signal was lost: it did not end"
    elif not _is_expected(scene, command, strike, ended, is_late=is_late):
        yield f"its status is {ended.status}"
    if "Traceback" in ended.shown and not ended.by_default:
        yield "it showed a traceback"
    yield from (f"it left the process {one}" for one in ended.outlived)
    yield from sick(scene)
    if strike.number != signal.SIGKILL:
        yield from (*left(scene), *temporary(scene))
        if command.has_session:
            yield from not_imported(scene) if list_runs(scene.root) else _made(scene)


def _is_expected(scene: Scene, command: Command, strike: Strike, ended: Ended, *, is_late: bool) -> bool:
    """Tell whether a status is the signal's, or that of a command which had done its work before."""
    if ended.status == 128 + strike.number and ended.is_struck:
        return True
    is_done = not command.has_session and not command.is_done(scene)
    return ended.status == ExitCode.OK and (is_late or is_done or not ended.is_struck)


def _made(scene: Scene) -> Iterator[str]:
    """Name what a session's start has made, and has not removed."""
    if has_branch(scene):
        yield f"{BRANCH} is there"
    yield from (f"left: {path}" for path in scene.root.glob(".lw_coder/worktrees/*/"))
    yield from (f"left: {path}" for path in scene.root.glob(".lw_coder/runs/*/*"))


def _after_the_next(scene: Scene, command: Command, before: Persons) -> list[str]:
    ended = scene.types(*command.words, at_terminal=command.at_terminal)
    wrong = [] if ended.status == ExitCode.OK else [f"its status is {ended.status}:\n{ended.shown}"]
    wrong += [*sick(scene), *left(scene), *command.is_done(scene), *not_imported(scene)]
    return [f"after the next one: {one}" for one in [*wrong, *command.changes(scene, before)]]
