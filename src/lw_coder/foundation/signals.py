"""What SIGINT (Ctrl+C), SIGTERM and SIGHUP do: each ends lw_coder, after a clean-up, with status 128 + n.

Python can call a signal's handler between any two steps of the main thread. An exception that the handler
raises there can be lost: a weakref's callback or a `__del__` ignores it, and a class body or a C library
turns it into another error. It can also arrive after something was created but before the `try` that would
remove it, or in the middle of a clean-up. Therefore:

- The handler records the first signal. It raises `Signalled` only while the main thread is in
  `with interruptible():`. Each wait for git, docker or background work is in such a block, and lw_coder
  spends nearly all of its time there. If a signal arrives between two waits, it is raised when the second
  begins.
- In case the exception was lost, a timer raises it again every TICK seconds, until cli.py ends the program.
- After PATIENCE ticks without a wait, it is raised in any code.
- It is never raised while another exception is handled, because `except`, `finally` and `__exit__` clean up
  then. It is also never raised in `with held():`, for steps that must not be interrupted.
- At the end, cli.py calls `stop_raising()`. If a signal has arrived, it decides the status, whatever else was
  raised.

Once a run is sealed, a signal ends the session (see `handled_by`) and not lw_coder, which then imports the
session's commits. In that case the end of the session calls `stop_raising()`.
"""

from __future__ import annotations

import atexit
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
TICK = 0.05  # seconds
PATIENCE = 20  # counted when Python handles a tick, so a process that was not scheduled still has its time
MAX_CALLS = 60  # of the handler of `handled_by`; after these the signal is raised


class Signalled(SystemExit):
    """A signal has arrived. If nobody catches this exception, Python exits with the signal's status."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)


class _State:
    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.received: int | None = None
        self.ticks = 0
        self.holds = 0
        self.is_waiting = False
        self.handler: Callable[[], object] | None = None
        self.calls = 0


_state = _State()


def install() -> None:
    """Handle the three signals from now on; a signal that is already ignored (nohup) stays ignored."""
    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _remember)
    signal.signal(signal.SIGALRM, _try_again)
    sys.unraisablehook = _report_unraisable
    atexit.register(stop_raising)  # after Python has removed its handlers, a tick would kill the process


def stop_raising() -> int | None:
    """Let signals have no effect from now on; return the status of an earlier signal, or None.

    A terminal that closes sends SIGHUP more than once: directly, and through its shell.
    """
    for number in ENDING:
        if signal.getsignal(number) is _remember:
            # A handler that does nothing: ignoring the signal would be inherited by git and docker.
            signal.signal(number, _pass)
    came, _state.received = _state.received, None
    if came is None:
        return None
    signal.setitimer(signal.ITIMER_REAL, 0)
    return 128 + came


def raise_again() -> None:
    """Handle signals as at the start, after `stop_raising` and `leave_interrupts_to_session`."""
    _state.ticks = _state.calls = 0
    for number in ENDING:
        if signal.getsignal(number) is _pass:
            signal.signal(number, _remember)


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise `Signalled` if a signal arrives in the block, or has before it; only in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    was_waiting = _state.is_waiting  # what handles a signal can wait as well
    try:
        _state.is_waiting = True
        _raise_if_due()
        yield
    finally:
        _state.is_waiting = was_waiting


@contextmanager
def handled_by(handler: Callable[[], object]) -> Iterator[None]:
    """Call a handler, instead of raising, if a signal arrives in the block or has arrived before it.

    Args:
        handler: makes the block end. It is called every TICK until the block has ended. After MAX_CALLS
            calls, or once it has returned False, the signal is raised.
    """
    _state.handler = handler
    try:
        yield
    finally:
        _state.handler = None


def check() -> None:
    """Raise `Signalled` if a signal has arrived."""
    with interruptible():
        pass


@contextmanager
def collected() -> Iterator[list[int]]:
    """Raise no signal in this block: each one that arrives is appended to the list that this yields."""
    received: list[int] = []

    def collect(number: int, _frame: object) -> None:
        received.append(number)

    ours = [number for number in ENDING if signal.getsignal(number) is _remember]
    for number in ours:
        signal.signal(number, collect)
    try:
        yield received
    finally:
        for number in ours:
            signal.signal(number, _remember)


@contextmanager
def held() -> Iterator[None]:
    """Raise no signal in this block; a signal that arrives is raised later."""
    _state.holds += 1
    try:
        yield
    finally:
        _state.holds -= 1


def leave_interrupts_to_session() -> None:
    """Let Ctrl+C have no effect on lw_coder itself, from now to the end of the process.

    During a session, Ctrl+C is droid's key: the user presses it twice to leave droid, and a third press must
    not stop the import of the commits. The docker client of the session still gets it.
    """
    signal.signal(signal.SIGINT, _pass)


def ignore_all() -> None:
    """Ignore the three signals while the process exits: its status is decided, and nothing is left to do."""
    # Python removes handlers before it has finished exiting; an ignored signal stays ignored.
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def blocked() -> Iterator[None]:
    """Block the signals until the end of the block; in a child that is forked in it, until `begin_child`."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def begin_child(*, cleans_up: bool) -> None:
    """Start to handle signals in a child that was forked in `blocked()`, and forget the parent's.

    Args:
        cleans_up: if true, signals are raised as in the parent; otherwise they end the child at once.
    """
    for number in ENDING:
        signal.signal(number, _remember if cleans_up else signal.SIG_DFL)
    signal.signal(signal.SIGALRM, _try_again)
    _state.reset()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)


def _remember(number: int, _frame: object) -> None:
    if _state.received is None:
        _state.received = number
        signal.setitimer(signal.ITIMER_REAL, TICK, TICK)
    _raise_if_due()


def _try_again(_number: int, _frame: object) -> None:
    _state.ticks += 1
    _raise_if_due()


def _raise_if_due() -> None:
    if not _state.received or _state.holds or sys.exception() is not None:
        return
    if _state.handler is not None and _state.calls < MAX_CALLS:
        _state.calls += 1
        with held():
            if _state.handler() is False:
                _state.calls = MAX_CALLS
    elif _state.is_waiting or _state.ticks > PATIENCE:
        raise Signalled(_state.received)


def _report_unraisable(lost: sys.UnraisableHookArgs) -> None:
    if not issubclass(lost.exc_type, Signalled):  # a lost signal is raised again
        sys.__unraisablehook__(lost)


def _pass(_number: int, _frame: object) -> None:
    pass
