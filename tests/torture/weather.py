"""Engines that stop or freeze, full disks, folders that cannot be used, clocks, other homes and users."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from lw_coder.containers.images import base_fingerprint
from lw_coder.foundation.errors import ExitCode
from lw_coder.runs.run_folders import list_runs, read_record
from tests.support.agent_script import prompt_answer
from tests.support.installed import LW_CODER
from tests.support.patience import PATIENCE, wait_until, within_cpu_time
from tests.support.sample_repository import PLAN_ID
from tests.support.scripted_model import ScriptedModel
from tests.support.second_engine import SecondEngine, an_engine
from tests.support.stand_in import SCRIPT, give_base_image
from tests.support.terminal import Terminal
from tests.torture.cases import Case, Extent
from tests.torture.health import changed, left, not_imported, sick
from tests.torture.scenes import COMMITS, MODEL, Persons, Scene

BRANCH = f"lw/task/{PLAN_ID}"
CODE = ("code", PLAN_ID, "--headless")
LONGEST_END = 400  # seconds that an end may take while the engine is silent, on a busy machine
PAGE = 4096
# Of a whole start the repository's disk gets under 60 pages; the others are written at its end.
PAGES = (0, 1, 2, 4, 6, 8, 11, 14, 18, 24, 30, 40, 56, 100)
_DONE = {ExitCode.OK}
_REFUSED = {ExitCode.ERROR}


@dataclass(frozen=True)
class Told:
    """How a command ended: its status, -9 if it had to be killed, and all that it printed."""

    status: int
    shown: str


@dataclass
class Place:
    """Where the weather is.

    Attributes:
        folder: an empty one, for scenes.
        disk: a small disk of its own.
        engine: which can be stopped and frozen.
        minute: seconds that it is frozen.
    """

    folder: Path
    disk: Path
    engine: SecondEngine
    minute: float
    stack: ExitStack
    _made: int = 0
    _on_disk: dict[bool, Scene] = field(default_factory=dict)

    def on_disk(self, *, whole: bool) -> Scene:
        """Return the scene on the small disk, whose image is there; the home is on it too, or elsewhere."""
        if whole not in self._on_disk:
            scene = self.stack.enter_context(self.scene(self.disk))
            if not whole:
                elsewhere = self.folder / "elsewhere"
                shutil.copytree(scene.home, elsewhere)
                scene.env |= {"HOME": str(elsewhere), "TMPDIR": str(elsewhere)}
            assert ran(scene, *CODE).status == ExitCode.OK
            self._on_disk[whole] = scene
        return self._on_disk[whole]

    @contextmanager
    def scene(self, on: Path | None = None) -> Iterator[Scene]:
        """Make a scene; its engine is running."""
        self._made += 1
        folder = (on or self.folder) / f"scene-{self._made}"
        if self.engine.process is None:
            self.engine.start()
        one = Scene(folder, self.engine.host, files=20)
        shutil.rmtree(folder / "states")
        try:
            yield one
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Running:
    """A command that was started, without a terminal."""

    process: subprocess.Popen[str]
    _shown: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self._shown.append(line)

    @property
    def shown(self) -> str:
        return "".join(self._shown)

    def end(self, seconds: float = PATIENCE) -> Told:
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self._reader.join(10)
        return Told(status, self.shown)


def started(scene: Scene, *words: str, under: Sequence[str] = (), **variables: str | None) -> Running:
    """Start an lw_coder command.

    Args:
        scene: where.
        words: what is typed.
        under: a command that runs it.
        variables: of its environment, in addition to the scene's; None removes one.
    """
    env = {name: value for name, value in {**scene.env, **variables}.items() if value is not None}
    return Running(
        subprocess.Popen(
            [*under, LW_CODER, *words],
            cwd=scene.root,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    )


def ran(scene: Scene, *words: str, under: Sequence[str] = (), **variables: str | None) -> Told:
    """Run an lw_coder command to its end."""
    return started(scene, *words, under=under, **variables).end()


def unusual(told: Told, statuses: set[ExitCode] | set[int]) -> list[str]:
    """Name what no command may do whatever the weather."""
    found = [] if told.status in statuses else [f"status {told.status}, not one of {sorted(statuses)}"]
    found += [word for word in ("Traceback", "a bug in lw_coder") if word in told.shown]
    if told.status == ExitCode.ERROR and not {"error:", "wrong "} & {
        line[:6] for line in told.shown.splitlines()
    }:
        found.append("no line says what is wrong")
    return [f"{one}:\n{told.shown}" for one in found]


def recovered(scene: Scene, before: Persons, *, commits: int | None = None) -> Iterator[str]:
    """Name what is wrong after the weather, and after the next run, which has to work.

    Args:
        scene: where.
        before: what the person had.
        commits: how many sessions have committed before the next one.
    """
    yield from sick(scene)
    again = ran(scene, *CODE)
    yield from unusual(again, _DONE)
    for wrong in (*sick(scene), *left(scene), *not_imported(scene)):
        yield f"after the next run: {wrong}\n{again.shown}"
    yield from changed(scene, before)
    made = scene.git("rev-list", "--count", f"main..{BRANCH}").stdout.strip()
    if commits is not None and made != str(commits + 1):
        yield f"{made} commits were imported, not {commits + 1}"


def agent(scene: Scene, script: str) -> None:
    """Let the scene's agent run a script."""
    scene.sample.write_env(MODEL, **{SCRIPT: f"'{script}'"})


def waiting_agent(scene: Scene) -> None:
    """Let the agent commit, and then wait; see `has_committed`."""
    agent(scene, f"{COMMITS}; touch committed; while [ ! -e go ]; do sleep 0.2; done; rm -f committed go")


def _worktree(scene: Scene) -> Path:
    return scene.root / ".lw_coder/worktrees" / PLAN_ID


def await_commit(scene: Scene, running: Running) -> None:
    """Wait until the agent has committed."""
    marker = _worktree(scene) / "committed"
    wait_until(lambda: marker.exists() or running.process.poll() is not None, "the agent's commit")
    assert running.process.poll() is None, running.shown


def let_go(scene: Scene) -> None:
    """Let the agent that waits go on."""
    (_worktree(scene) / "go").touch()


def _usual(scene: Scene) -> None:
    agent(scene, COMMITS)
    for name in ("committed", "go"):
        (_worktree(scene) / name).unlink(missing_ok=True)


# The engine


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
        dockerfile = scene.root / ".lw_coder/code.Dockerfile"
        text = dockerfile.read_text(encoding="ascii")
        before = scene.persons()
        dockerfile.write_text(f"{text}RUN echo {time.time()}; sleep 600\n", encoding="ascii")
        running = started(scene, *CODE)
        _await_build(scene, running)
        place.engine.stop()
        yield from unusual(running.end(), _REFUSED)
        dockerfile.write_text(text, encoding="ascii")
        place.engine.start()
        yield from recovered(scene, before, commits=0)


def _await_build(scene: Scene, running: Running) -> None:
    def is_building() -> bool:
        logs = scene.home.glob(".local/state/lw_coder/log/build-*.log")
        return running.process.poll() is not None or any(
            "sleep 6" in log.read_text(errors="replace") for log in logs
        )

    wait_until(is_building, "the build")
    assert running.process.poll() is None, running.shown


def stopped_during_session(place: Place, *, killed: bool) -> Iterator[str]:
    with place.scene() as scene:
        before = scene.persons()
        waiting_agent(scene)
        running = started(scene, *CODE)
        await_commit(scene, running)
        if killed:
            place.engine.kill()
            place.engine.start()
            let_go(scene)
            yield from unusual(running.end(), {ExitCode.OK, ExitCode.SESSION})
        else:
            place.engine.stop()
            yield from unusual(running.end(), {ExitCode.SESSION})
            yield from _recorded_as_failed(scene)
            place.engine.start()
        _usual(scene)
        yield from recovered(scene, before, commits=1)


def stopped_at_a_terminal(place: Place) -> Iterator[str]:
    with place.scene() as scene:
        before = scene.persons()
        waiting_agent(scene)
        with Terminal((LW_CODER, "code", PLAN_ID), scene.root, scene.env) as terminal:
            terminal.wait_until((_worktree(scene) / "committed").exists, "the agent's commit", PATIENCE)
            place.engine.stop()
            told = Told(terminal.wait(PATIENCE), terminal.text)
        yield from unusual(told, {ExitCode.SESSION})
        yield from _recorded_as_failed(scene)
        place.engine.start()
        _usual(scene)
        yield from recovered(scene, before, commits=1)


def _recorded_as_failed(scene: Scene) -> Iterator[str]:
    ended = read_record(list_runs(scene.root, PLAN_ID)[-1])["ended"] or {}
    if ended.get("outcome") == "completed" or (ended.get("status") == 0 and "report" not in ended):
        yield f"a session that the engine took along is recorded as {ended}"


def frozen_before(place: Place) -> Iterator[str]:
    with place.scene() as scene:
        before = scene.persons()
        with place.engine.frozen():
            running = started(scene, *CODE)
            time.sleep(place.minute)
            if "does not answer yet" not in running.shown:
                yield f"nothing says what is waited for:\n{running.shown}"
        yield from unusual(running.end(), _DONE)
        yield from recovered(scene, before, commits=1)


def frozen_during_build(place: Place) -> Iterator[str]:
    with place.scene() as scene:
        dockerfile = scene.root / ".lw_coder/code.Dockerfile"
        text = dockerfile.read_text(encoding="ascii")
        before = scene.persons()
        dockerfile.write_text(f"{text}RUN echo {time.time()}; sleep 6\n", encoding="ascii")
        running = started(scene, *CODE)
        _await_build(scene, running)
        with place.engine.frozen():
            time.sleep(place.minute)
        yield from unusual(running.end(), _DONE)
        dockerfile.write_text(text, encoding="ascii")
        yield from recovered(scene, before, commits=1)


def frozen_during_session(place: Place) -> Iterator[str]:
    with place.scene() as scene:
        before = scene.persons()
        waiting_agent(scene)
        running = started(scene, *CODE)
        await_commit(scene, running)
        with place.engine.frozen():
            time.sleep(place.minute)
        let_go(scene)
        yield from unusual(running.end(), _DONE)
        _usual(scene)
        yield from recovered(scene, before, commits=1)


def frozen_at_end(place: Place, number: signal.Signals) -> Iterator[str]:
    """The engine stays frozen: lw_coder has to come to an end without it, and import the commits."""
    with place.scene() as scene:
        before = scene.persons()
        waiting_agent(scene)
        running = started(scene, *CODE)
        await_commit(scene, running)
        with place.engine.frozen():
            running.process.send_signal(number)
            yield from unusual(running.end(LONGEST_END), {128 + number})
            yield from not_imported(scene)
        _usual(scene)
        yield from recovered(scene, before, commits=1)


def frozen_at_a_terminal(place: Place, number: signal.Signals) -> Iterator[str]:
    with place.scene() as scene:
        before = scene.persons()
        waiting_agent(scene)
        with Terminal((LW_CODER, "code", PLAN_ID), scene.root, scene.env) as terminal:
            terminal.wait_until((_worktree(scene) / "committed").exists, "the agent's commit", PATIENCE)
            with place.engine.frozen():
                terminal.send_signal(number)
                told = Told(terminal.wait(LONGEST_END), terminal.text)
                yield from unusual(told, {128 + number})
                yield from not_imported(scene)
        _usual(scene)
        yield from recovered(scene, before, commits=1)


# The network


def no_model(place: Place) -> Iterator[str]:
    with place.scene() as scene:
        before = scene.persons()
        env = scene.root / ".env"
        text = env.read_text(encoding="utf-8")
        env.write_text(text.replace(MODEL, "http://127.0.0.1:9/v1"), encoding="utf-8")
        yield from unusual(ran(scene, *CODE), _REFUSED)
        env.write_text(text, encoding="utf-8")
        yield from recovered(scene, before, commits=0)


def no_registry(place: Place) -> Iterator[str]:
    with place.scene() as scene:
        dockerfile = scene.root / ".lw_coder/code.Dockerfile"
        text = dockerfile.read_text(encoding="ascii")
        before = scene.persons()
        dockerfile.write_text("FROM registry.example.com/no/such:image\n", encoding="ascii")
        yield from unusual(ran(scene, *CODE), _REFUSED)
        dockerfile.write_text(text, encoding="ascii")
        yield from recovered(scene, before, commits=0)


# The disk


def full_at(place: Place, pages: int, *, whole: bool) -> Iterator[str]:
    """A disk gets full after so many pages.

    Args:
        place: where.
        pages: of 4 kB, that are free when the command starts.
        whole: whether the home and the temporary files are on that disk too.
    """
    scene = place.on_disk(whole=whole)
    before = scene.persons()
    with _full(place.disk, pages):
        told = ran(scene, *CODE)
    yield from unusual(told, {ExitCode.OK, ExitCode.ERROR, ExitCode.SESSION})
    yield from recovered(scene, before)


@contextmanager
def _full(disk: Path, pages: int) -> Iterator[None]:
    ballast = disk / "ballast"
    found = os.statvfs(disk)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, found.f_bavail - pages) * PAGE)
    try:
        yield
    finally:
        ballast.unlink()


def full_at_the_import(place: Place) -> Iterator[str]:
    with place.scene(place.disk) as scene:
        before = scene.persons()
        waiting_agent(scene)
        running = started(scene, *CODE)
        await_commit(scene, running)
        let_go(scene)
        with _full(place.disk, 0):
            told = running.end()
        yield from unusual(told, {ExitCode.OK, ExitCode.ERROR, ExitCode.SESSION})
        _usual(scene)
        yield from recovered(scene, before, commits=1)


# Folders


def _mounted(*lines: str) -> tuple[str, ...]:
    """Return a command that runs another one, which alone sees some mounts."""
    return ("unshare", "--mount", "sh", "-e", "-c", "\n".join([*lines, 'exec "$@"']), "sh")


def _read_only(path: Path) -> tuple[str, ...]:
    where = shlex.quote(str(path))
    return _mounted(f"mount --bind {where} {where}", f"mount -o remount,bind,ro {where}")


def _tiny(path: Path, size: str) -> tuple[str, ...]:
    return _mounted(f"mount -t tmpfs -o size={size},mode=700 tmpfs {shlex.quote(str(path))}")


def read_only(place: Place, name: str, statuses: set[ExitCode]) -> Iterator[str]:
    """A folder of the scene is read-only."""
    with place.scene() as scene:
        yield from unusual(ran(scene, *CODE), _DONE)
        before = scene.persons()
        told = ran(scene, *CODE, under=_read_only(scene.folder / name))
        yield from unusual(told, statuses)
        yield from recovered(scene, before)


def cache(place: Place, harm: Callable[[Path], tuple[str, ...]]) -> Iterator[str]:
    """Something is wrong with the cache when prompts are asked for."""
    with place.scene() as scene, ScriptedModel(prompt_answer) as model:
        before = scene.persons()
        scene.sample.write_env(model.base_url, **{SCRIPT: f"'{COMMITS}'"})
        folder = scene.home / ".cache/lw_coder"
        under = harm(folder)
        yield from unusual(ran(scene, *CODE, under=under), {ExitCode.OK, ExitCode.ERROR})
        scene.sample.write_env(model.base_url, **{SCRIPT: f"'{COMMITS}'"})
        yield from (one for one in recovered(scene, before) if not one.startswith(".env of the person's"))


def corrupt(folder: Path) -> tuple[str, ...]:
    for path in [*folder.rglob("*")]:
        if path.is_file():
            path.write_bytes(b"\0garbage" * 100)
    (folder / "dspy").mkdir(parents=True, exist_ok=True)
    return ()


def tiny_temporary_folder(place: Place) -> Iterator[str]:
    with place.scene() as scene:
        before = scene.persons()
        yield from unusual(ran(scene, *CODE, under=_tiny(scene.tmp, "1m")), _DONE)
        yield from recovered(scene, before, commits=1)


def homes(place: Place, value: str, statuses: set[ExitCode]) -> Iterator[str]:
    """HOME is this."""
    with place.scene() as scene:
        before = scene.persons()
        yield from unusual(ran(scene, *CODE, HOME=value), statuses)
        yield from changed(scene, before)
        yield from recovered(scene, before)


def umask(place: Place) -> Iterator[str]:
    with place.scene() as scene:
        before = scene.persons()
        yield from unusual(ran(scene, *CODE, under=("sh", "-c", 'umask 077; exec "$@"', "sh")), _DONE)
        yield from recovered(scene, before, commits=1)


def another_home(place: Place, name: str) -> Iterator[str]:
    """Somebody with other folders begins the same plan: they are refused, and the first session goes on."""
    with place.scene() as scene:
        before = scene.persons()
        waiting_agent(scene)
        first = started(scene, *CODE)
        await_commit(scene, first)
        other = place.folder / "other-home"
        other.mkdir(exist_ok=True)
        told = ran(scene, *CODE, **{name: str(other)})
        yield from unusual(told, _REFUSED)
        if f"(process {first.process.pid}, since " not in told.shown:
            yield f"the second one is not told who is first:\n{told.shown}"
        let_go(scene)
        yield from unusual(first.end(), _DONE)
        _usual(scene)
        yield from recovered(scene, before, commits=1)


def clock(place: Place, shift: str) -> Iterator[str]:
    """The clock is behind what an earlier run saw."""
    with place.scene() as scene:
        before = scene.persons()
        yield from unusual(ran(scene, *CODE), _DONE)
        yield from unusual(ran(scene, *CODE, under=("faketime", "-m", "-f", shift)), _DONE)
        yield from recovered(scene, before, commits=2)


def clock_in_session(place: Place) -> Iterator[str]:
    """The clock goes back during a session."""
    with place.scene() as scene:
        before = scene.persons()
        waiting_agent(scene)
        stamp = scene.folder / "clock"
        stamp.write_text("+0\n", encoding="ascii")
        running = started(
            scene,
            *CODE,
            LD_PRELOAD=_faketime_library(),
            FAKETIME_TIMESTAMP_FILE=str(stamp),
            FAKETIME_NO_CACHE="1",
            FAKETIME_DONT_FAKE_MONOTONIC="1",
        )
        await_commit(scene, running)
        stamp.write_text("-3d\n", encoding="ascii")
        let_go(scene)
        yield from unusual(running.end(), _DONE)
        _usual(scene)
        yield from recovered(scene, before, commits=1)


def _faketime_library() -> str:
    return str(next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")))


# Another user

_UID = 64321


def ordinary_user(place: Place, mask: str) -> Iterator[str]:
    """Somebody without root's rights, who may use the engine's socket."""
    with place.scene() as scene:
        before = scene.persons()
        for path in (scene.folder, *scene.folder.rglob("*")):
            os.chown(path, _UID, _UID, follow_symlinks=False)
        (place.engine.folder / "sock").chmod(0o666)
        give_base_image(place.engine.host, place.folder / "image-of-user", within_cpu_time(60, _fingerprint))
        script = f'umask {mask}; exec setpriv --reuid {_UID} --regid {_UID} --clear-groups "$@"'
        under = (*_mounted(*_reachable()), "sh", "-c", script, "sh")
        yield from unusual(ran(scene, *CODE, under=under), _DONE)
        yield from unusual(ran(scene, *CODE, under=under), _DONE)
        for path in (scene.folder, *scene.folder.rglob("*")):
            os.chown(path, 0, 0, follow_symlinks=False)
        give_base_image(place.engine.host, place.folder / "image")
        yield from recovered(scene, before, commits=2)


def _fingerprint() -> str:
    os.setresgid(_UID, 0, 0)  # who it is changes, and not what it may read
    os.setresuid(_UID, 0, 0)
    return base_fingerprint()


def _reachable() -> Iterator[str]:
    """Let everybody reach lw_coder and its Python, also if they are in a home that is closed to others."""
    import sys

    needed = {Path(__file__).parents[2], Path(sys.base_prefix).resolve()}
    closed = {path.parents[-2] for path in needed if not path.parents[-2].stat().st_mode & 0o001}
    for home in sorted(closed):
        inside = [path for path in sorted(needed) if path.is_relative_to(home)]
        for number, path in enumerate(inside):
            yield f"mkdir -p /run/lw-{number}; mount --bind {shlex.quote(str(path))} /run/lw-{number}"
        yield f"mount -t tmpfs -o mode=755 tmpfs {home}"
        for number, path in enumerate(inside):
            yield f"mkdir -p {shlex.quote(str(path))}; mount --bind /run/lw-{number} {shlex.quote(str(path))}"


_Kind = tuple[str, str, Callable[[Place], Iterator[str]]]


def _kinds() -> Iterator[_Kind]:
    yield from _engine_kinds()
    yield from _folder_kinds()
    for pages in PAGES:
        yield "a full disk", f"the repository's, {pages} pages", partial(full_at, pages=pages, whole=False)
        yield "a full disk", f"all files, {pages} pages", partial(full_at, pages=pages, whole=True)
    yield "a full disk", "when the session has ended", full_at_the_import


def _engine_kinds() -> Iterator[_Kind]:
    commands = {
        CODE: _REFUSED,
        ("batch", "--json"): {ExitCode.ERROR, ExitCode.VERDICT},
        ("verify", PLAN_ID): _REFUSED,
        ("drop", PLAN_ID, "--yes"): {ExitCode.OK, ExitCode.ERROR},
        ("take", PLAN_ID, "--yes"): _REFUSED,
        ("clean", "--yes"): {ExitCode.OK, ExitCode.ERROR},
        ("doctor",): _REFUSED,
    }
    for words, statuses in commands.items():
        name = f"before {words[0]}"
        yield "engine stopped", name, partial(stopped_before, words=words, statuses=statuses)
    yield "engine stopped", "during the build", stopped_during_build
    yield "engine stopped", "during a session", partial(stopped_during_session, killed=False)
    yield "engine stopped", "killed during a session", partial(stopped_during_session, killed=True)
    yield "engine stopped", "during a session at a terminal", stopped_at_a_terminal
    yield "engine frozen", "before", frozen_before
    yield "engine frozen", "during the build", frozen_during_build
    yield "engine frozen", "during a session", frozen_during_session
    for number in (signal.SIGTERM, signal.SIGHUP):
        yield "engine frozen", f"at the end, {number.name}", partial(frozen_at_end, number=number)
        name = f"at the end at a terminal, {number.name}"
        yield "engine frozen", name, partial(frozen_at_a_terminal, number=number)
    yield "network gone", "no model", no_model
    yield "network gone", "no registry", no_registry


def _folder_kinds() -> Iterator[_Kind]:
    either = {ExitCode.OK, ExitCode.ERROR}
    for name, statuses in {
        "repository": _REFUSED,
        "repository/.git": _REFUSED,
        "repository/.lw_coder/tasks": _DONE,
        "home": either,
        "home/.cache": either,
    }.items():
        yield "folders", f"{name} read-only", partial(read_only, name=name, statuses=statuses)
    yield "folders", "cache corrupt", partial(cache, harm=corrupt)
    yield "folders", "cache read-only when prompts are asked for", partial(cache, harm=_read_only)
    yield "folders", "cache full", partial(cache, harm=partial(_tiny, size="8k"))
    yield "folders", "TMPDIR of 1 MB", tiny_temporary_folder
    yield "folders", "HOME missing", partial(homes, value="/proc/nowhere", statuses=_REFUSED)
    yield "folders", "HOME relative", partial(homes, value="relative", statuses=_REFUSED)
    yield "users and clocks", "umask 077", umask
    for name in ("HOME", "XDG_STATE_HOME"):
        yield "users and clocks", f"another {name}", partial(another_home, name=name)
    for mask in ("022", "077"):
        yield "users and clocks", f"an ordinary user, umask {mask}", partial(ordinary_user, mask=mask)
    for shift in ("-2h", "-400d"):
        yield "users and clocks", f"the clock goes back, {shift}", partial(clock, shift=shift)
    yield "users and clocks", "the clock goes back during a session", clock_in_session


@contextmanager
def placed(folder: Path, minute: float) -> Iterator[Place]:
    """Start an engine of the group's own, and a small disk that the engine sees too.

    Args:
        folder: an empty one.
        minute: seconds that the engine is frozen.
    """
    for closed in (folder, *folder.parents):  # another user has to get through
        closed.chmod(closed.stat().st_mode | 0o011)
    disk, work = folder / "disk", folder / "work"
    for path in (disk, work, folder / "engine"):
        path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "lw_coder-disk", str(disk)], check=True)
    try:
        with an_engine(folder / "engine", {}, bridge=True) as engine, ExitStack() as stack:
            give_base_image(engine.host, folder / "image")
            yield Place(work, disk, engine, minute, stack)
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


@contextmanager
def opened(folder: Path, extent: Extent) -> Iterator[Sequence[Case]]:
    """Choose among all that the weather can be."""
    every = list(_kinds())
    chosen = sorted(extent.random().sample(range(len(every)), extent.of(len(every))))
    with placed(folder, 60 * max(extent.share, 0.15)) as place:
        yield [_case(place, *every[number]) for number in chosen]


def _case(place: Place, what: str, name: str, run: Callable[[Place], Iterator[str]]) -> Case:
    return Case(what, name, lambda: list(run(place)))
