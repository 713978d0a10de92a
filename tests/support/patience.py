"""How long tests wait: much longer than a slow and busy machine needs, and no longer than it takes."""

from __future__ import annotations

import multiprocessing
import resource
import subprocess
import threading
import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE = 600.0  # seconds; all waits end as soon as what is waited for is there
NEVER = 36_000.0  # seconds; what takes as long was not waited for
_SHORTEST, _LONGEST = 0.05, 0.5  # seconds between two looks

_Result = TypeVar("_Result")


def wait_until(is_met: Callable[[], object], what: str) -> None:
    """Look again and again until it is so; fail when it never is.

    A look that costs something, such as a question to the engine, is taken less often.
    """
    begun = time.monotonic()
    deadline = begun + PATIENCE
    while not is_met():
        ended = time.monotonic()
        assert ended < deadline, f"waited for {what}"
        time.sleep(min(max(_SHORTEST, 2 * (ended - begun)), _LONGEST))
        begun = time.monotonic()


def read_until(process: subprocess.Popen[str], words: str) -> str:
    """Return what a process prints on standard error, up to the line with these words; fail if there is none.

    A process that neither prints them nor ends is killed then, which ends what it prints.
    """
    assert process.stderr is not None
    killer, said = threading.Timer(PATIENCE, process.kill), ""
    killer.start()
    try:
        while words not in said:
            line = process.stderr.readline()
            assert line, f"waited for {words!r}; it printed:\n{said}"
            said += line
    finally:
        killer.cancel()
    return said


def within_cpu_time(seconds: int, work: Callable[[], _Result]) -> _Result:
    """Do the work in a child process, which the kernel ends when it has used that much processor time.

    Unlike the time on a clock, this does not depend on what else the machine has to do.
    """
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def run() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        sender.send(work())

    child = context.Process(target=run)
    child.start()
    sender.close()
    try:
        result: _Result = receiver.recv()
    except EOFError:
        child.join()
        raise AssertionError(f"no result within {seconds} s of processor time: {child.exitcode}") from None
    child.join()
    return result
