"""Work that goes on beside the main line, with all that it starts in a process group of its own."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Generic, Self, TypeVar

from lw_coder.errors import LwCoderError

T = TypeVar("T")

_PATIENCE = 10.0  # seconds that a docker client has to end by itself


class BackgroundError(Exception):
    """A bug in the call, or its end from outside: no kind of OSError, which a full disk is."""


class Background(Generic[T]):
    """A call in a child process that begins with a `with` block, and does not outlast it.

    A thread would not do: the docker client that it waits for could not be ended, and would be waited for.
    """

    def __init__(self, call: Callable[[], T]) -> None:
        # Forked, while there is one thread: nothing is imported again, and the child is at work at once.
        context = multiprocessing.get_context("fork")
        self._receiver, self._sender = context.Pipe(duplex=False)
        self._process = context.Process(target=_work, args=(call, self._sender), daemon=True)

    def __enter__(self) -> Self:
        self._process.start()
        self._sender.close()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._signal_all(signal.SIGTERM)
        self._process.join(_PATIENCE)
        self._signal_all(signal.SIGKILL)
        self._process.join()

    def result(self) -> T:
        """Wait for the call; return what it returned, or raise what it raised."""
        try:
            value, error = self._receiver.recv()
        except EOFError:
            raise BackgroundError(f"{self._process.name} was ended from outside") from None
        if error is not None:
            raise error
        return value  # type: ignore[no-any-return]

    def _signal_all(self, number: signal.Signals) -> None:
        # The group is there while the child is; before it has made one, the signal is lost on nobody else.
        if self._process.is_alive() and self._process.pid:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


def _work(call: Callable[[], T], sender: Connection) -> None:
    os.setpgid(0, 0)
    # The docker client ends of it, and what waits for that client with it. (Ignored, it would be for both.)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    try:
        sender.send((call(), None))
    except LwCoderError as error:
        sender.send((None, error))
    except Exception as error:  # noqa: BLE001 - its text can hold a secret, and it may not survive the way
        sender.send((None, BackgroundError(type(error).__name__)))
