"""Child processes that lead a process group of their own, and how one is ended with all that it started."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from lw_coder.foundation.signals import held

if TYPE_CHECKING:
    import subprocess

P = TypeVar("P", bound="subprocess.Popen[Any]")

_PATIENCE = 10.0  # seconds after SIGTERM
_CHUNK = 1 << 16


@contextmanager
def awaited(process: P, grace: float = 0.0) -> Iterator[P]:
    """Wait for a child at the block's end; where the block fails, end its whole group first.

    A signal that ends lw_coder, or a reader that has seen enough, thus leaves no git or docker at work.

    Args:
        process: started with `process_group=0`.
        grace: seconds that it has to end by itself before it is made to.
    """
    with process:
        try:
            yield process
        except BaseException:
            end_group(process, grace)
            raise


def end_group(process: subprocess.Popen[Any], grace: float = 0.0) -> None:
    """End a child and all that it started, and wait for them; without effect on one that was waited for.

    Args:
        process: started with `process_group=0`, and a pipe for what it prints.
        grace: seconds that it has to end by itself; then it gets SIGTERM, and after some patience SIGKILL.
    """
    if process.returncode is not None:
        return
    with held():
        is_over = _read_to_end(process, grace)
        for number in (signal.SIGTERM, signal.SIGKILL):
            if not is_over or number is signal.SIGKILL:  # what has closed its output can be at work still
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, number)  # no other group has its id before the child is waited for
                is_over = _read_to_end(process, _PATIENCE)
        process.wait()


def _read_to_end(process: subprocess.Popen[Any], seconds: float) -> bool:
    """Drop what the group still prints; tell whether, in that time, all of it ended or closed its output."""
    deadline = time.monotonic() + seconds
    streams = [each for each in (process.stdout, process.stderr) if each and not each.closed]
    while streams:
        ready, _, _ = select.select(streams, [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return False
        streams = [each for each in streams if each not in ready or os.read(each.fileno(), _CHUNK)]
    return True
