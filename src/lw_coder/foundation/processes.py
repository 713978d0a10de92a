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

_PATIENCE = 10.0  # seconds that a group has to end by itself
_CHUNK = 1 << 16


@contextmanager
def awaited(process: P) -> Iterator[P]:
    """Wait for a child at the block's end; where the block fails, end its whole group first.

    A signal that ends lw_coder, or a reader that has seen enough, thus leaves no git or docker at work.
    """
    with process:
        try:
            yield process
        except BaseException:
            end_group(process)
            raise


def end_group(process: subprocess.Popen[Any]) -> None:
    """End a child and all that it started, and wait for them; without effect on one that was waited for.

    First by SIGTERM, on which git removes its lock files and what it had half made.

    Args:
        process: started with `process_group=0`.
    """
    if process.returncode is not None:
        return
    with held():
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(
                    process.pid, number
                )  # until the child is waited for, no other group can have its id
            _read_to_end(process)
        process.wait()


def _read_to_end(process: subprocess.Popen[Any]) -> None:
    """Drop what the group still prints, until none of it is left that could, or time is up."""
    deadline = time.monotonic() + _PATIENCE
    streams = [each for each in (process.stdout, process.stderr) if each and not each.closed]
    while streams:
        ready, _, _ = select.select(streams, [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return
        streams = [each for each in streams if each not in ready or os.read(each.fileno(), _CHUNK)]
