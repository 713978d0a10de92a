"""Run checks, each in a container of its own, a few at a time."""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from msgspec import Struct, field

from lw_coder.containers.service_call import ComposeCall, run_service
from lw_coder.foundation.bounded_log import BoundedLog
from lw_coder.foundation.report import printable
from lw_coder.foundation.signals import interruptible
from lw_coder.verdicts.results import Outcome

JOB_LABEL = "lw_coder.job"
STARTS = b"lw_coder: the check starts\n"  # from compose/run-check

_AT_ONCE = 2
_CHECKOUT = 600.0  # seconds
_LONGEST_PROBLEM = 300


class Job(Struct, frozen=True):
    """A check at a commit.

    Attributes:
        name: its name among the jobs, and its log's.
        service: the service of check.yml that it runs in.
        words: the arguments of run-check.
    """

    name: str
    service: str
    words: tuple[str, ...]


class Place(Struct, frozen=True):
    """Where jobs run.

    Attributes:
        file: check.yml.
        logs: the folder of the logs.
        labels: labels of the containers.
        seconds: how long a check may run.
        stop: removes the containers that have the given labels.
    """

    file: Path
    logs: Path
    labels: dict[str, str]
    seconds: float
    stop: Callable[[dict[str, str]], None]


class _Running(Struct):
    """A job whose container is being made or is running."""

    job: Job
    call: ComposeCall
    log: BoundedLog
    deadline: float
    head: bytearray = field(default_factory=bytearray)
    begun: float | None = None
    ended: float = 0.0
    timed_out: bool = False


def run_jobs(jobs: Sequence[Job], place: Place) -> dict[str, Outcome]:
    """Run the jobs in order, two at a time; return the outcome of each by its name.

    Raises:
        EngineError: docker cannot be started.
        OSError: a log cannot be written.
        Signalled: a signal arrived; nothing is running any more.
    """
    waiting, outcomes = list(jobs), {}
    with selectors.DefaultSelector() as selector, ExitStack() as stack:
        stack.callback(lambda: [key.data.call.end() for key in selector.get_map().values()])
        while waiting or selector.get_map():
            while waiting and len(selector.get_map()) < _AT_ONCE:
                running = _start(waiting.pop(0), place, stack)
                selector.register(running.call, selectors.EVENT_READ, running)
            for running in _ready(selector, place):
                if not _take_output(running, place):
                    selector.unregister(running.call)
                    outcomes[running.job.name] = _end(running, place)
    return outcomes


def _start(job: Job, place: Place, stack: ExitStack) -> _Running:
    log = stack.enter_context(BoundedLog(place.logs / f"{job.name}.log"))
    labels = {**place.labels, JOB_LABEL: job.name}
    call = run_service(place.file, job.service, ("run-check", *job.words), labels)
    return _Running(job, call, log, time.monotonic() + _CHECKOUT)


def _ready(selector: selectors.BaseSelector, place: Place) -> list[_Running]:
    """Wait until a job has printed something or has ended; end those whose time is over."""
    every = [key.data for key in selector.get_map().values()]
    running = [one for one in every if not one.timed_out]
    first = min((one.deadline for one in running), default=None)
    with interruptible():
        timeout = None if first is None else max(0.0, first - time.monotonic())
        ready = [key.data for key, _ in selector.select(timeout)]
    for one in running:
        if time.monotonic() >= one.deadline:
            one.timed_out, one.ended = True, time.monotonic()
            place.stop({**place.labels, JOB_LABEL: one.job.name})
    return ready


def _take_output(running: _Running, place: Place) -> bool:
    """Read what a job has printed; return whether there can be more."""
    data = running.call.read()
    if running.begun is not None:
        running.log.write(data)
        return bool(data)
    running.head += data
    _, found, output = running.head.partition(STARTS)
    if found:
        running.begun = time.monotonic()
        running.deadline = running.begun + place.seconds
        running.log.write(bytes(output))
    return bool(data)


def _end(running: _Running, place: Place) -> Outcome:
    log = f"{place.logs.parent.name}/{place.logs.name}/{running.job.name}.log"
    status, ended = running.call.wait(), running.ended or time.monotonic()
    if running.begun is None:
        running.log.write(bytes(running.head))
        return Outcome(None, None, running.timed_out, log, _problem(running))
    seconds = round(ended - running.begun, 2)
    return Outcome(None if running.timed_out else status, seconds, running.timed_out, log)


def _problem(running: _Running) -> str:
    if running.timed_out:
        return "the checkout took too long"
    lines = [line.strip() for line in running.head.decode(errors="replace").split("\n") if line.strip()]
    return printable(lines[-1])[:_LONGEST_PROBLEM] if lines else "docker gave no reason"
