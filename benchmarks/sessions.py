"""Whole runs, to the agent's first instruction and to their end, beside what a person would type instead."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import pexpect

from benchmarks.figures import Figure, in_turns
from benchmarks.workplace import LW_CODER, PYTHON, SessionSetup, Timed, finish, workplace
from tests.support.sample_repository import PLAN_ID

DEVCONTAINER = "BENCH_DEVCONTAINER"  # names the peer's command, where nox has installed it
THINKING = 2.0  # seconds of the model, and of the changed layer
AT_ONCE = (1, 4, 8)


def warm(times: int) -> Iterator[Figure]:
    """Prompts known, images current."""
    with workplace() as place:
        place.code()
        bare, peer = place.bare(), _devcontainer(place)
        ours: list[Timed] = []
        others: list[Timed] = []
        peers: list[Timed] = []
        for _ in range(times * 3):  # what the goals are nearest to, and a machine's noise is greater
            ours.append(place.code())
            others.append(place.times(*bare))
            if peer:
                try:
                    peers.append(place.times(*peer))
                finally:
                    _remove_devcontainer(place)  # ours is removed by itself, after its end
    yield from _beside("warm code", ours, others, "compose build, run")
    if peer:
        yield from _beside("warm code beside devcontainer", ours, peers, "devcontainer up, exec")


def _beside(name: str, ours: Sequence[Timed], others: Sequence[Timed], what: str) -> Iterator[Figure]:
    first = [time.first for time in ours], [time.first for time in others]
    total = [time.total for time in ours], [time.total for time in others]
    yield Figure(f"{name}, first instruction", "ratio", first[0], first[1], what)
    yield Figure(f"{name}, return", "ratio", total[0], total[1], what)


def _devcontainer(place: SessionSetup) -> tuple[str, ...]:
    """Describe an equal container, and return the command that starts the stub in a fresh one.

    It builds nothing, and mounts the worktree alone: less than ours does.
    """
    if DEVCONTAINER not in os.environ:
        return ()
    services = (place.newest_run() / "services.yml").read_text(encoding="utf-8")
    image = next(line.split()[-1] for line in services.splitlines() if "image: sha256:" in line)
    run_args = ["--init", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--memory=4g"]
    source = place.root / f".lw_coder/worktrees/{PLAN_ID}"
    settings = {
        "image": image,
        "workspaceFolder": "/workspace",
        "workspaceMount": f"source={source},target=/workspace,type=bind",
        "runArgs": run_args,
        "updateRemoteUserUID": False,
    }
    (place.root / ".devcontainer").mkdir()
    (place.root / ".devcontainer/devcontainer.json").write_text(json.dumps(settings), encoding="utf-8")
    command = os.environ[DEVCONTAINER]
    where = f"--workspace-folder {place.root}"
    up = f"{command} up {where} >/dev/null"
    return ("/bin/sh", "-c", f"{up} && exec {command} exec {where} start-session")


def _remove_devcontainer(place: SessionSetup) -> None:
    label = f"label=devcontainer.local_folder={place.root}"
    found = subprocess.run(
        ["docker", "ps", "--all", "--quiet", "--filter", label], check=True, capture_output=True, text=True
    )
    subprocess.run(["docker", "rm", "--force", *found.stdout.split()], check=False, capture_output=True)


def cold(times: int) -> Iterator[Figure]:
    """A model that thinks, and a layer that takes as long: each by itself, and both at once."""
    with workplace(thinking=THINKING) as place:
        place.code()
        number = 0

        def run(*, new_plan: bool, new_layer: bool) -> float:
            nonlocal number
            number += 1
            name = f"plan-{number}" if new_plan else PLAN_ID
            if new_plan:
                place.add_plan(name)
            if new_layer:
                place.set_dockerfile(f"RUN sleep {THINKING:g} # {place.root.name} {number} {time.time()}\n")
            return place.code(name).first

        prompts, layer, both = in_turns(
            times,
            lambda: run(new_plan=True, new_layer=False),
            lambda: run(new_plan=False, new_layer=True),
            lambda: run(new_plan=True, new_layer=True),
        )
    yield Figure("cold prompts", "figure", prompts)
    yield Figure("a changed layer", "figure", layer)
    longer = max(prompts, layer, key=median)
    yield Figure("cold prompts and a changed layer", "ratio", both, longer, "the longer of the two alone")


def at_once(times: int) -> Iterator[Figure]:
    """Several plans of one repository at the same time."""
    with workplace() as place:
        names = [f"plan-{number}" for number in range(max(AT_ONCE))]
        for name in names:
            place.add_plan(name)
            place.code(name)
        for count in AT_ONCE:
            ours = [(LW_CODER, "code", name) for name in names[:count]]
            others = [place.bare(name) for name in names[:count]]
            mine, bare = in_turns(times, partial(_together, place, ours), partial(_together, place, others))
            yield Figure(f"{count} at once", "ratio", mine, bare, "as many compose build, run")


def _together(place: SessionSetup, commands: Sequence[Sequence[str]]) -> float:
    began = time.perf_counter()
    children = [place.starts(command) for command in commands]
    for child in children:
        child.expect(pexpect.EOF)
    took = time.perf_counter() - began
    for child in children:
        finish(child)
    return took


def memory(times: int) -> Iterator[Figure]:
    """What the command itself holds in memory while its session runs; docker's client is told apart."""
    with workplace() as place:
        place.code()
        (place.root / f".lw_coder/worktrees/{PLAN_ID}/linger").touch()
        held = [_held_during_a_session(place) for _ in range(times)]
        bare = [_held_by_python() for _ in range(times)]
    resident = [sample.resident for sample in held]
    yield Figure("memory during a session", "difference", resident, bare, "python -c 'time.sleep'", "MiB")
    yield Figure("the same, its share of what is shared", "figure", [one.share for one in held], unit="MiB")
    yield Figure("docker's client beside it", "figure", [one.client for one in held], unit="MiB")


@dataclass(frozen=True)
class Held:
    """MiB that lw_coder's processes have resident, their proportional share, and what docker's client has."""

    resident: float
    share: float
    client: float


def _held_during_a_session(place: SessionSetup) -> Held:
    child = place.starts((LW_CODER, "code", PLAN_ID))
    child.expect(b"FIRST:")
    family = list(_family(child.pid or 0))
    own = [pid for pid in family if pid == child.pid or "docker" not in _name(pid)]
    held = Held(
        resident=sum(_mib(pid, "Rss") for pid in own),
        share=sum(_mib(pid, "Pss") for pid in own),
        client=sum(_mib(pid, "Rss") for pid in family if pid not in own),
    )
    for container in _containers(place):
        subprocess.run(["docker", "kill", container], check=True, capture_output=True)
    child.expect(b"Run:")
    child.close(force=True)
    return held


def _containers(place: SessionSetup) -> list[str]:
    mounts = f"volume={place.root}/.lw_coder/worktrees/{PLAN_ID}"
    listed = subprocess.run(
        ["docker", "ps", "--quiet", "--filter", mounts], check=True, capture_output=True, text=True
    )
    return listed.stdout.split()


def _held_by_python() -> float:
    process = subprocess.Popen([PYTHON, "-c", "import time; time.sleep(60)"])
    time.sleep(0.5)
    try:
        return _mib(process.pid, "Rss")
    finally:
        process.kill()
        process.wait()


def _family(pid: int) -> Iterator[int]:
    yield pid
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split():
        yield from _family(int(child))


def _name(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8")


def _mib(pid: int, what: str) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return sum(float(line.split()[1]) for line in lines if line.startswith(f"{what}:")) / 1024
