"""A batch of 8 plans with the real droid, and the same compose files started by hand at once."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from benchmarks.figures import Figure, in_turns
from benchmarks.workplace import Workplace, workplace
from lw_coder.foundation.errors import ExitCode
from tests.support.scripted_model import Conversation, Reply
from tests.support.shell_agent import shell_agent

COUNT = 8
NAME = f"a batch of {COUNT} plans"
TURNS, THINKING = 5, 4.0  # answers of the model to each agent, and the seconds that each takes


def measure(times: int) -> Iterator[Figure]:
    """Prompts known, images current, all plans at the same time; nothing is built by hand."""
    plans = [f"plan-{number}" for number in range(COUNT)]
    with workplace(script=_thinking) as place:
        for plan in plans:
            place.add_plan(plan)
        _batch(place, plans)
        ours, other = in_turns(times, partial(_batch, place, plans), partial(_bare, place, plans))
    yield Figure(NAME, "ratio", ours, other, f"{COUNT} compose run at once")


def _thinking(conversation: Conversation) -> Reply:
    answer = shell_agent(["true"] * (TURNS - 1))(conversation)
    return replace(answer, delay=THINKING) if conversation.kind == "agent" else answer


def _batch(place: Workplace, plans: Sequence[str]) -> float:
    """Time a batch; without checks there is no verdict, so each plan is carried out again."""
    command = (place.lw_coder, "batch", "--jobs", str(len(plans)), *plans)
    began = time.perf_counter()
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=place.root, env=place.env)
    took = time.perf_counter() - began
    if done.returncode != ExitCode.VERDICT or f"{len(plans)} unverified" not in done.stdout:
        raise RuntimeError(f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}")
    return took


def _bare(place: Workplace, plans: Sequence[str]) -> float:
    """Time the compose files of the plans' newest runs, all at once."""
    files = [str(place.newest_run(plan) / "compose.yml") for plan in plans]
    began = time.perf_counter()
    children = [
        subprocess.Popen(
            ("docker", "compose", "-f", file, "run", "--rm", "-T", "droid", "start-session", "--headless"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=place.root,
            env=place.env,
        )
        for file in files
    ]
    outputs = [child.communicate()[0] for child in children]
    took = time.perf_counter() - began
    for child, output in zip(children, outputs, strict=True):
        if child.returncode:
            raise RuntimeError(f"{child.args!r}: {child.returncode}\n{output.decode(errors='replace')}")
    return took
