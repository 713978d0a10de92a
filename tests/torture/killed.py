"""Commands that are killed, or ended by a signal, at each of their steps."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

from lw_coder.foundation.errors import ExitCode
from lw_coder.runs.run_folders import list_runs
from tests.support.sample_repository import PLAN_ID
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
from tests.torture.scenes import Persons, Scene
from tests.torture.strikes import SIGNALS, WHEN, Ended, Sight, Strike

POINTS = 15  # of each command, for each signal
RANDOM = 300
WORKERS = 3  # most of a command's time is waiting

CONFINING = '[code]\nallow_hosts = []\nchecks = ["true"]\n'
_RUNS = f".lw_coder/runs/{PLAN_ID}"
_WORKTREE = f".lw_coder/worktrees/{PLAN_ID}"


def _sight(what: str, *patterns: str) -> Sight:
    return Sight(what, lambda root: any(any(root.glob(pattern)) for pattern in patterns))


SIGHTS = (
    _sight("the folder of the run is there", f"{_RUNS}/.partial-*"),
    _sight("its compose.yml is there", f"{_RUNS}/.partial-*/compose.yml"),
    _sight("the run is sealed", f"{_RUNS}/2*/run.json"),
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


@dataclass
class Stage:
    """Scenes for the workers, and what is known of the commands.

    Attributes:
        scenes: those that no worker has, by the number of their files.
        programs: how many each command starts.
        seconds: how long each takes.
    """

    scenes: dict[int, SimpleQueue[Scene]]
    programs: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def scene(self, files: int) -> Iterator[Scene]:
        """Yield a scene with so many files that no other worker has."""
        one = self.scenes[files].get()
        try:
            yield one
        finally:
            self.scenes[files].put(one)


def made_scene(folder: Path, host: str) -> Scene:
    """Make a scene with all the states that the commands begin in."""
    scene = Scene(folder, host, FILES)
    _to_the_end(scene, ("code", PLAN_ID, "--headless"))
    scene.keep("finished")
    _to_the_end(scene, ("take", PLAN_ID, "--yes"))
    (run,) = list_runs(scene.root, PLAN_ID)
    for left_over in (run.folder / "quarantine-left", run.folder.with_name(".partial-20250101T000000Z")):
        left_over.mkdir()
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
    with own_engines(folder) as cluster:
        scenes: dict[int, SimpleQueue[Scene]] = {FILES: SimpleQueue(), MANY_FILES: SimpleQueue()}
        for number in range(WORKERS):
            scenes[FILES].put(made_scene(folder / f"scene-{number}", cluster.manager.host))
        scenes[MANY_FILES].put(Scene(folder / "large", cluster.manager.host, MANY_FILES))
        stage = Stage(scenes)
        for command in (*COMMANDS, IN_LARGE):
            _measure(stage, command)
        with _at_once() as pool:
            yield [
                Case(
                    what,
                    f"{command.name}, {strike}, seed {extent.seed}",
                    pool.submit(struck, stage, command, strike, number).result,
                )
                for number, (what, command, strike) in enumerate(_planned(stage, extent))
            ]


@contextmanager
def _at_once() -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(WORKERS)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _measure(stage: Stage, command: Command) -> None:
    """Find how many programs a command starts, and how long it takes."""
    with stage.scene(command.files) as scene:
        scene.restore(command.begins)
        ended = scene.types(*command.words, at_terminal=command.at_terminal)
        assert ended.status == 0, f"{command.words}: {ended.status}\n{ended.shown}"
        wrong = [*sick(scene), *left(scene), *command.is_done(scene)]
        assert not wrong, wrong
        stage.programs[command.name] = len(ended.programs)
        stage.seconds[command.name] = ended.seconds


Planned = tuple[str, Command, Strike]


def _planned(stage: Stage, extent: Extent) -> list[Planned]:
    """Choose as many of all strikes as are wanted."""
    every = [*_at_each_step(stage), *_at_sights(), *_at_random_times(stage, extent)]
    chosen = sorted(extent.random().sample(range(len(every)), extent.of(len(every))))
    return [every[number] for number in chosen]


def _at_each_step(stage: Stage) -> Iterator[Planned]:
    for command in COMMANDS:
        for kind in range(len(SIGNALS)):
            for point in range(POINTS):
                when = WHEN[(point + kind) % len(WHEN)]
                yield command.name, command, _at_program(stage.programs[command.name], kind, point, when)


def _at_sights() -> Iterator[Planned]:
    for command, sights in ((HEADLESS, SIGHTS), (IN_LARGE, CHECKOUTS)):
        for sight in sights:
            yield from ((command.name, command, Strike(number, sight=sight)) for number in SIGNALS)
            yield command.name, command, Strike(signal.SIGKILL, sight=sight, all_of_them=True)


def _at_random_times(stage: Stage, extent: Extent) -> Iterator[Planned]:
    chance = extent.random()
    for count in range(RANDOM):
        (command,) = chance.choices(COMMANDS, [one.weight for one in COMMANDS])
        moment = chance.random() * stage.seconds[command.name]
        yield "a random time", command, Strike(SIGNALS[count % len(SIGNALS)], seconds=moment)


def _at_program(programs: int, kind: int, point: int, when: str) -> Strike:
    """Spread the points over all programs, and let the signals differ in where each falls."""
    program = 1 + int((point + kind / len(SIGNALS)) * programs / POINTS)
    return Strike(SIGNALS[kind], min(program, programs), when)


def struck(stage: Stage, command: Command, strike: Strike, number: int) -> list[str]:
    """Strike a command; return what is wrong afterwards, and after the next one, as far as that is run."""
    with stage.scene(command.files) as scene:
        late = list(in_the_engine(scene))
        scene.restore(command.begins)
        before, runs, was_left = scene.persons(), len(list_runs(scene.root)), set(left(scene))
        # Git goes on with a large checkout: the next start comes at once.
        waits = command is not IN_LARGE or strike.number != signal.SIGKILL
        ended = scene.types(*command.words, strike=strike, at_terminal=command.at_terminal, waits=waits)
        in_session = len(list_runs(scene.root)) > runs
        found = _after(scene, command, strike, ended, in_session=in_session) if waits else ()
        wrong = [*(one for one in found if one not in was_left), *command.changes(scene, before)]
        wrong += [f"left by what was struck before, after its end: {one}" for one in late]
        if strike.number == signal.SIGKILL or in_session or not number % 4:
            wrong += _after_the_next(scene, command, before)
        return [f"{command.name}: {one}" for one in wrong] + ([ended.shown] if wrong else [])


def _after(
    scene: Scene, command: Command, strike: Strike, ended: Ended, *, in_session: bool
) -> Iterator[str]:
    if ended.status is None:
        yield "the signal was lost: it did not end"
    elif not _is_expected(scene, command, strike, ended, in_session=in_session):
        yield f"its status is {ended.status}"
    if "Traceback" in ended.shown and not ended.by_default:
        yield "it showed a traceback"
    yield from (f"it left the process {one}" for one in ended.outlived)
    yield from sick(scene)
    if strike.number != signal.SIGKILL:
        yield from (*left(scene), *temporary(scene))
        if command.has_session:
            yield from not_imported(scene) if in_session else _made(scene)


def _is_expected(scene: Scene, command: Command, strike: Strike, ended: Ended, *, in_session: bool) -> bool:
    """Tell whether a status is the signal's, or that of a command which had done its work before."""
    if ended.status == 128 + strike.number and ended.is_struck:
        return True
    is_late = not ended.is_struck or in_session or (not command.has_session and not command.is_done(scene))
    return is_late and ended.status == ExitCode.OK


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
