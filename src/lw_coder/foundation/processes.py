"""Child processes in process groups of their own, and how to end one with everything that it started."""

from __future__ import annotations

import os
import selectors
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

from lw_coder.foundation.signals import held

if TYPE_CHECKING:
    import subprocess

P = TypeVar("P", bound="subprocess.Popen[Any]")

_FROM_TERMINAL = (signal.SIGINT, signal.SIGHUP)
_PATIENCE = 10.0  # seconds after SIGTERM
_CHUNK = 1 << 16


@contextmanager
def starting_group() -> Iterator[None]:
    """Start a child with `process_group=0` in this block, so that no signal of the terminal can end it.

    A child is in lw_coder's group until just before it runs its program. A Ctrl+C that comes in between would
    end the child, and git or docker would seem to have failed. The child keeps these signals blocked.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _FROM_TERMINAL)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def awaited(process: P, grace: float = 0.0) -> Iterator[P]:
    """Wait for a child at the end of the block; if the block fails, end its whole process group first.

    So no git or docker keeps running after a signal, or after a reader that stops early.

    Args:
        process: started with `process_group=0`.
        grace: seconds that it has to end by itself first.
    """
    with process:
        try:
            yield process
        except BaseException:
            end_group(process, grace)
            raise


def end_group(process: subprocess.Popen[Any], grace: float = 0.0) -> None:
    """End a child and everything that it started, and wait; no effect if the child was already waited for.

    Args:
        process: started with `process_group=0`, and pipes for its output.
        grace: seconds that it has to end by itself; then it gets SIGTERM, and 10 seconds later SIGKILL.
    """
    if process.returncode is not None:
        return
    with held():
        is_over = _read_to_end(process, grace)
        for number in (signal.SIGTERM, signal.SIGKILL):
            if (
                not is_over or number is signal.SIGKILL
            ):  # a process that has closed its output can still be running
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, number)  # the id is not reused before the child is waited for
                is_over = _read_to_end(process, _PATIENCE)
        process.wait()


def run_program(
    command: Sequence[str], told: str, folder: Path, variables: Mapping[str, str], seconds: float
) -> str | None:
    """Run a program of the person's to its end, within a time; what it prints goes to stderr.

    Args:
        command: the program and its arguments.
        told: what it reads on its standard input.
        folder: where it runs.
        variables: its environment, all of it.
        seconds: then it is killed, with what it started.

    Returns:
        What went wrong, or None.
    """
    import subprocess

    try:
        with starting_group():
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=dict(variables),
                stdin=subprocess.PIPE,
                stdout=2,  # standard output is for results
                text=True,
                process_group=0,
            )
    except OSError as error:
        return f"cannot be started: {error.strerror}"
    with awaited(process):
        try:
            process.communicate(told, timeout=seconds)
        except subprocess.TimeoutExpired:
            end_group(process)
            return f"did not end within {seconds:g} seconds"
    return f"ended with status {process.returncode}" if process.returncode else None


class Program:
    """A program that was started, and that may outlive this process.

    Args:
        process: the child.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """The id of its process."""
        return self._process.pid

    def status(self) -> int | None:
        """Return its exit status, -n if signal n has killed it, or None if it is running."""
        return self._process.poll()

    def terminate(self) -> None:
        """Send SIGTERM to it, and not to what it has started; no effect if it has ended."""
        self._process.send_signal(signal.SIGTERM)


def start_program(
    command: Sequence[str], folder: Path, stdout: Path, stderr: Path, keeps_open: int
) -> Program:
    """Start a program that may outlive this process; it gets no signal of the terminal.

    Args:
        command: the program and its arguments.
        folder: where it runs.
        stdout: the file for its standard output, which only its owner can read.
        stderr: likewise for its standard error.
        keeps_open: a file descriptor that it inherits.

    Raises:
        OSError: a file cannot be written, or the program cannot be started.
    """
    import subprocess

    with _new_file(stdout) as out, _new_file(stderr) as err, starting_group():
        return Program(
            subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                pass_fds=(keeps_open,),
                process_group=0,
            )
        )


def _new_file(path: Path) -> IO[bytes]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    return os.fdopen(os.open(path, flags, 0o600), "wb", buffering=0)


def _read_to_end(process: subprocess.Popen[Any], seconds: float) -> bool:
    """Discard the group's output; return whether all its processes ended or closed it within that time."""
    deadline = time.monotonic() + seconds
    streams = [each for each in (process.stdout, process.stderr) if each and not each.closed]
    while streams:
        ready = readable(streams, deadline - time.monotonic())
        if not ready:
            return False
        streams = [each for each in streams if each not in ready or os.read(each.fileno(), _CHUNK)]
    return True


def readable(streams: Sequence[IO[Any]], seconds: float) -> list[object]:
    """Wait for so long; return the streams that have output or have ended (`select` has a limit of 1024)."""
    with selectors.PollSelector() as selector:
        for stream in streams:
            selector.register(stream, selectors.EVENT_READ)
        return [key.fileobj for key, _ in selector.select(max(0.0, seconds))]
