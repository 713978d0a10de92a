"""Whole runs, to the agent's first instruction and to their end, compared with what a person would type."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import pexpect

from benchmarks.figures import Figure, in_turns
from benchmarks.workplace import PYTHON, Timed, Workplace, finish, image_names, workplace
from tests.support.sample_repository import PLAN_ID

DEVCONTAINER = "BENCH_DEVCONTAINER"  # names the peer's command, where nox has installed it
THINKING = 2.0  # seconds of the model, and of the changed layer
AT_ONCE = (1, 4, 8)


def warm(times: int) -> Iterator[Figure]:
    """Prompts known, images current."""
    with workplace() as place:
        place.code()
        peer = _devcontainer(place)
        takes: list[Callable[[], Timed]] = [place.code, partial(place.times, *place.bare())]
        takes += [partial(_take_peer, place, peer)] if peer else []
        ours, others, *peers = in_turns(times * 3, *takes)  # more of them: noise is larger than what is left
    yield from beside("warm code", ours, others, "compose build, run")
    for taken in peers:
        yield from beside("warm code beside devcontainer", ours, taken, "devcontainer up, exec")


def _take_peer(place: Workplace, peer: tuple[str, ...]) -> Timed:
    try:
        return place.times(*peer)
    finally:
        _remove_devcontainer(place)  # not timed; `docker compose run --rm` removes its own


def beside(name: str, ours: Sequence[Timed], others: Sequence[Timed], what: str) -> Iterator[Figure]:
    """Compare runs to their first instruction, and to their end."""
    first = [time.first for time in ours], [time.first for time in others]
    total = [time.total for time in ours], [time.total for time in others]
    yield Figure(f"{name}, first instruction", "ratio", first[0], first[1], what)
    yield Figure(f"{name}, return", "ratio", total[0], total[1], what)


def _devcontainer(place: Workplace) -> tuple[str, ...]:
    """Describe an equal container, and return the command that starts the stub in a fresh one.

    It builds nothing, and mounts the worktree alone: less than ours does.
    """
    if DEVCONTAINER not in os.environ:
        return ()
    services = (place.newest_run() / "services.yml").read_text(encoding="utf-8")
    image = next(name for name in image_names(services) if name.startswith("sha256:"))
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


def _remove_devcontainer(place: Workplace) -> None:
    label = f"label=devcontainer.local_folder={place.root}"
    found = subprocess.run(
        ["docker", "ps", "--all", "--quiet", "--filter", label], check=True, capture_output=True, text=True
    )
    subprocess.run(["docker", "rm", "--force", *found.stdout.split()], check=False, capture_output=True)


def cold(times: int) -> Iterator[Figure]:
    """Time a model that takes its time, a layer that takes as long to build, and both in one run."""
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
        names = carried_out(place, max(AT_ONCE))
        for count in AT_ONCE:
            others = [place.bare(name) for name in names[:count]]
            takes = partial(all_at_once, place, names[:count]), partial(_together, place, others)
            repeats = times * 3 if count == max(AT_ONCE) else times
            mine, bare = in_turns(repeats, *takes)
            yield Figure(f"{count} at once", "ratio", mine, bare, "as many compose build, run")


def carried_out(place: Workplace, count: int) -> list[str]:
    """Add plans and carry each out once, so that their prompts are known; return their ids."""
    names = [f"plan-{number}" for number in range(count)]
    for name in names:
        place.add_plan(name)
        place.code(name)
    return names


def all_at_once(place: Workplace, plans: Sequence[str]) -> float:
    """Time `lw_coder code` of several plans at the same time, to the end of the last."""
    return _together(place, [(place.lw_coder, "code", plan) for plan in plans])


def _together(place: Workplace, commands: Sequence[Sequence[str]]) -> float:
    began = time.perf_counter()
    children = [place.starts(command) for command in commands]
    for child in children:
        child.expect(pexpect.EOF)
    took = time.perf_counter() - began
    for child in children:
        finish(child)
    return took


def memory(times: int) -> Iterator[Figure]:
    """Look at the memory of the command itself while its session runs; docker's client counts separately."""
    with workplace() as place:
        place.code()
        (place.root / f".lw_coder/worktrees/{PLAN_ID}/linger").touch()
        takes = partial(_held_during_a_session, place), _held_by_python
        held, bare = in_turns(times, *takes)
    resident, bare_resident = [one.resident for one in held], [one.resident for one in bare]
    beside = "python -c 'time.sleep'"
    yield Figure("memory during a session", "difference", resident, bare_resident, beside, "MiB")
    yield Figure("the same, its share of what is shared", "figure", [one.share for one in held], unit="MiB")
    yield Figure("docker's client beside it", "figure", [one.client for one in held], unit="MiB")


@dataclass(frozen=True)
class Held:
    """MiB that processes have resident, their proportional share, and what docker's client has resident."""

    resident: float
    share: float = 0
    client: float = 0


def _held_during_a_session(place: Workplace) -> Held:
    child = place.starts((place.lw_coder, "code", PLAN_ID))
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


def _containers(place: Workplace) -> list[str]:
    mounts = f"volume={place.root}/.lw_coder/worktrees/{PLAN_ID}"
    listed = subprocess.run(
        ["docker", "ps", "--quiet", "--filter", mounts], check=True, capture_output=True, text=True
    )
    return listed.stdout.split()


def _held_by_python() -> Held:
    process = subprocess.Popen([PYTHON, "-c", "import time; time.sleep(60)"])
    time.sleep(0.5)
    try:
        return Held(_mib(process.pid, "Rss"))
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
