"""Background work in a child process, which has its own process group with everything that it starts."""

from __future__ import annotations

import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import connection
from threading import Thread
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from msgspec import Struct

from lw_coder.foundation import signals
from lw_coder.foundation.errors import LwCoderError

T = TypeVar("T")

_PATIENCE = 60.0  # seconds for a clean-up; to end a docker client takes up to 10, on a busy machine more


class BackgroundError(Exception):
    """A bug in the call, or its end from outside: no kind of OSError, which a full disk is."""


class Background(Generic[T]):
    """A call in a child process that begins with a `with` block, and does not outlast it, nor this process.

    A thread would not do: the docker client that it waits for could not be ended, and would be waited for;
    and what it imports would stay in memory for as long as the session lasts.

    Args:
        call: what is called; what it returns, or the LwCoderError that it raises, is pickled.
        cleans_up: whether the end of the block is raised in the call, as a signal, for it to end what it
            started; else the child is ended at once.
    """

    def __init__(self, call: Callable[[], T], *, cleans_up: bool = False) -> None:
        # Forked, while there is one thread: nothing is imported again, and the child starts at once.
        context = multiprocessing.get_context("fork")
        self._receiver, self._sender = context.Pipe(duplex=False)
        work = _Work(call, self._sender, cleans_up)
        self._process = context.Process(target=work.do, daemon=True)
        self._outcome: tuple[Any, Exception | None] | None = None

    def __enter__(self) -> Self:
        with signals.blocked():
            self._process.start()
            with suppress(ProcessLookupError):  # the child, which also does this itself, may have exited
                os.setpgid(self._process.pid or 0, self._process.pid or 0)
        self._sender.close()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with signals.held():
            self._signal_all(signal.SIGTERM)
            self._process.join(_PATIENCE)
            self._signal_all(signal.SIGKILL)
            self._process.join()

    @property
    def receiver(self) -> connection.Connection:
        """The connection that becomes readable when the call has ended."""
        return self._receiver

    def ends_within(self, seconds: float) -> bool:
        """Wait for the call for at most so many seconds; return whether it has ended."""
        with signals.interruptible():
            return self._outcome is not None or self._receiver.poll(seconds)

    def result(self) -> T:
        """Wait for the call; return what it returned, or raise what it raised."""
        if self._outcome is None:
            try:
                with signals.interruptible():
                    self._outcome = self._receiver.recv()
            except EOFError:
                raise BackgroundError(f"{self._process.name} was ended from outside") from None
        value, error = self._outcome
        if error is not None:
            raise error
        return value  # type: ignore[no-any-return]

    def _signal_all(self, number: signal.Signals) -> None:
        # The group is there while the child is.
        if self._process.is_alive() and self._process.pid:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


def wait_for(work: Background[T], *beside: Background[Any]) -> T:
    """Wait for a call's result; raise at once what another of them raises meanwhile."""
    waiting: dict[Any, Background[Any]] = {each.receiver: each for each in (work, *beside)}
    while work.receiver in waiting:
        with signals.interruptible():
            ended = connection.wait(list(waiting))
        for ready in ended:
            waiting.pop(ready).result()
    return work.result()


class _Work(Struct, Generic[T], frozen=True):
    call: Callable[[], T]
    sender: connection.Connection
    cleans_up: bool

    def do(self) -> None:
        os.setpgid(0, 0)
        signals.begin_child(cleans_up=self.cleans_up)
        Thread(target=_end_with_parent, daemon=True).start()
        try:
            self.sender.send((self.call(), None))
        except LwCoderError as error:
            self.sender.send((None, error))
        except Exception as error:  # noqa: BLE001 - its text can contain a secret
            self.sender.send((None, _without_text(error)))


def _end_with_parent() -> None:
    """Wait for the parent's end, then end this process group: a killed parent's locks are held here too."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signals.ENDING)  # they are the main thread's
    parent = multiprocessing.parent_process()
    if parent:
        connection.wait([parent.sentinel])
        os.killpg(0, signal.SIGTERM)


def _without_text(error: Exception) -> BackgroundError:
    textless = BackgroundError(type(error).__name__)
    textless.add_note("".join(traceback.format_tb(error.__traceback__)))
    return textless
