"""A chatty agent, and many runs in a row: nothing grows that should not.

An agent that talks for half an hour makes some thousand events. Here as many come within minutes: memory and
files depend on how much there is, not on how long it took.
"""

from __future__ import annotations

import os
import pty
import subprocess
import termios
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lw_coder.runs.run_folders import list_runs
from tests.support.engine import docker
from tests.support.installed import LW_CODER
from tests.support.patience import PATIENCE
from tests.support.second_engine import an_engine
from tests.support.stand_in import give_base_image
from tests.torture.cases import Case, Extent
from tests.torture.health import left, not_imported, sick
from tests.torture.scenes import COMMITS, Scene
from tests.torture.weather.place import agent
from tests.torture.weather.running import Told, ran, started, unusual

EVENTS = 12_000  # of 4 kB each, 48 MB in all: six or seven a second for half an hour
RUNS = 200
PLANS = 4  # that are carried out at once, each again and again
SETTLED = 12  # runs of each plan after which all that is kept for a plan is there
MOST_GROWTH = 16 << 10  # kB of memory, from the first events to the last
_TALKING = "talking"
_TALK = """text=$(head -c 3900 /dev/zero | tr '\\0' x)
exec 6>>"$HOME/.factory/sessions/-workspace/conversation-1.jsonl"
for n in $(seq {events}); do
  printf '{{"type":"message","role":"assistant","text":"%s %s"}}\\n' "$n" "$text" >&5
  printf '{{"type":"message","number":%s,"message":{{"role":"assistant","content":[]}}}}\\n' "$n" >&6
done
git commit --quiet --allow-empty --message Work
"""
# The stand-in for droid sends a script's output to stderr; events go to its own standard output.
_SCRIPT = "exec 5>>/proc/$PPID/fd/1; bash -e talk.sh"


@dataclass(frozen=True)
class Size:
    """lw_coder's memory, in kB, when the agent had said so many bytes."""

    memory: int
    said: int


def chatty(folder: Path, host: str, events: int, *, at_terminal: bool) -> Iterator[str]:
    """Carry out a plan with an agent that talks all the time."""
    scene = Scene(folder, host, files=20)
    (scene.root / "talk.sh").write_text(_TALK.format(events=events), encoding="ascii")
    scene.sample.git("add", "talk.sh")
    scene.sample.git("commit", "--quiet", "--message", "Talk")
    scene.add_plan(_TALKING)
    agent(scene, _SCRIPT)
    sizes: list[Size] = []
    yield from (_at_terminal if at_terminal else _headless)(scene, sizes)
    (run,) = list_runs(scene.root, _TALKING)
    yield from _whole(run.folder / "sessions/-workspace/conversation-1.jsonl", '"number":', events)
    if not at_terminal:
        yield from _whole(run.folder / "events.jsonl", '"role": "assistant"', events)
    yield from _grown(sizes)
    yield from (*sick(scene), *not_imported(scene))


def _whole(file: Path, word: str, wanted: int) -> Iterator[str]:
    found = file.read_text(encoding="utf-8").replace('":"', '": "').count(word)
    if found != wanted:
        yield f"{file.name} has {found} lines, not {wanted}"


def _grown(sizes: Sequence[Size]) -> Iterator[str]:
    """Compare the memory in the first part of the talk with the most afterwards."""
    said = max((one.said for one in sizes), default=0)
    early = [one.memory for one in sizes if 0 < one.said < said / 4]
    late = [one.memory for one in sizes if one.said >= said / 4]
    if not early:
        yield f"the talk was over too soon to be measured: {sizes}"
    elif max(late) - max(early) > MOST_GROWTH:
        yield f"lw_coder's memory grew from {max(early)} to {max(late)} kB"


def _headless(scene: Scene, sizes: list[Size]) -> Iterator[str]:
    running = started(scene, "code", _TALKING, "--headless")
    with _measured(running.process.pid, scene, sizes):
        told = running.end()
    yield from unusual(told, {0})


def _at_terminal(scene: Scene, sizes: list[Size]) -> Iterator[str]:
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    process = subprocess.Popen(
        ["setsid", "--ctty", LW_CODER, "code", _TALKING],
        cwd=scene.root,
        env=scene.env,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    shown = bytearray()
    with _measured(process.pid, scene, sizes):
        reader = threading.Thread(target=_read_end, args=(ours, shown), daemon=True)
        reader.start()
        status = process.wait(PATIENCE)
    if termios.tcgetattr(theirs) != before:
        yield "the terminal is not as it was"
    os.close(theirs)
    reader.join(60)
    yield from unusual(Told(status, shown[-20_000:].decode(errors="replace")), {0})


def _read_end(descriptor: int, shown: bytearray) -> None:
    """Read all that a terminal shows; keep the last of it."""
    with suppress(OSError):  # at its end
        while part := os.read(descriptor, 1 << 16):
            shown += part
            del shown[:-20_000]


@contextmanager
def _measured(process: int, scene: Scene, sizes: list[Size]) -> Iterator[None]:
    """Measure the memory of a process, in kB, as long as its agent talks."""
    over = threading.Event()

    def measure() -> None:
        while not over.wait(0.1):
            for transcript in (scene.root / ".lw_coder/runs" / _TALKING).glob("2*/sessions/*/*.jsonl"):
                with suppress(OSError, StopIteration):
                    sizes.append(Size(_memory(process), transcript.stat().st_size))

    thread = threading.Thread(target=measure)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _memory(process: int) -> int:
    lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1])


# Many runs in a row


def again_and_again(folder: Path, host: str, runs: int) -> Iterator[str]:
    """Carry out some plans at once, each again and again; compare what there is at first and at the end."""
    scene = Scene(folder, host, files=20)
    plans = [f"plan-{number}" for number in range(PLANS)]
    for plan_id in plans:
        scene.add_plan(plan_id)
    agent(scene, COMMITS)
    each = max(runs // PLANS, 2)
    settled = min(SETTLED, each // 2)
    yield from _carried_out(scene, plans, settled)
    before = _amounts(scene, host)
    yield from _carried_out(scene, plans, each - settled)
    after = _amounts(scene, host)
    made = PLANS * (each - settled)
    for name, amount in after.items():
        allowed = before[name] + (made if "run" in name else 0)
        if amount > allowed:
            yield f"{name}: {before[name]} after {PLANS * settled} runs, {amount} after {made} more"
    yield from (*sick(scene), *left(scene), *not_imported(scene))


def _carried_out(scene: Scene, plans: Sequence[str], times: int) -> list[str]:
    with ThreadPoolExecutor(len(plans)) as pool:
        return [wrong for found in pool.map(partial(_repeated, scene, times), plans) for wrong in found]


def _repeated(scene: Scene, times: int, plan_id: str) -> list[str]:
    return [wrong for _ in range(times) for wrong in unusual(ran(scene, "code", plan_id, "--headless"), {0})]


def _amounts(scene: Scene, host: str) -> Mapping[str, int]:
    """Count what must not grow with the number of runs; of runs' own folders, each run has one."""
    asked: Mapping[str, Callable[[], int]] = {
        "containers": lambda: _lines("ps", "--all", "--quiet"),
        "networks": lambda: _lines("network", "ls", "--quiet"),
        "images": lambda: _lines("image", "ls", "--all", "--quiet"),
        "volumes": lambda: _lines("volume", "ls", "--quiet"),
        "git refs": lambda: _refs("refs/heads") + _refs("refs/tags"),
        "git refs of runs": lambda: _refs("refs/lw_coder"),
        "worktrees": lambda: len(scene.git("worktree", "list").stdout.splitlines()),
        "files in .git beside objects": lambda: _files(scene.root / ".git", "objects", "logs", "lw_coder"),
        "files in the home": lambda: _files(scene.home, ".docker"),  # buildx keeps a note of each build
        "temporary files": lambda: _files(scene.tmp),
        "run folders": lambda: len(list_runs(scene.root)),
    }

    def _lines(*words: str) -> int:
        return len(docker("--host", host, *words).splitlines())

    def _refs(below: str) -> int:
        return len(scene.git("for-each-ref", below).stdout.splitlines())

    return {name: count() for name, count in asked.items()}


def _files(folder: Path, *without: str) -> int:
    found = 0
    for _, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in without]
        found += len(names)
    return found


@contextmanager
def opened(folder: Path, extent: Extent) -> Iterator[Sequence[Case]]:
    """Start an engine of the group's own."""
    for name in ("image", "engine"):
        (folder / name).mkdir()
    events, runs = max(extent.of(EVENTS), 600), max(extent.of(RUNS), 2 * PLANS)
    with an_engine(folder / "engine", {}, bridge=True) as engine:
        give_base_image(engine.host, folder / "image")

        def case(what: str, name: str, run: Callable[..., Iterator[str]], count: int) -> Case:
            return Case(what, name, lambda: list(run(folder / name.replace(" ", "-"), engine.host)), count)

        yield [
            case(
                "events of a chatty agent",
                "headless",
                partial(chatty, events=events, at_terminal=False),
                events,
            ),
            case(
                "events of a chatty agent",
                "at a terminal",
                partial(chatty, events=events, at_terminal=True),
                events,
            ),
            case("runs in a row", f"{PLANS} plans", partial(again_and_again, runs=runs), runs),
        ]
