"""What SIGINT (Ctrl+C), SIGTERM and SIGHUP do: each ends lw_coder, cleaned up, with status 128 + n.

Python calls a signal's handler between any two steps of the main thread, and an exception that the handler
raises there can be lost: a weakref's callback or a `__del__` drops it, a class body or a C library makes
another error of it. It can also come between the making of something and the `try` that would remove it, or
in the midst of a clean-up. Therefore:

- The handler remembers the first signal. It raises `Signalled` only where the main thread waits: in
  `with interruptible():`. There is one around each wait for git, for docker and for background work, where
  lw_coder spends nearly all of its time. A signal between two waits is raised as the second begins.
- A timer tries again every TICK seconds until the boundary in cli.py is reached, for what was lost.
- After PATIENCE ticks without a wait it is raised in any code, whatever Python is doing.
- It is never raised while an exception is being handled, which is when `except`, `finally` and `__exit__`
  clean up, nor in `with held():`, for what must not be broken off when nothing has failed.
- The boundary calls `stop_raising()`. A signal that has come decides the status, whatever else was raised.

From the moment that a run is sealed, a signal ends the session (`answered_by`) and not lw_coder, which first
imports the session's commits; it is the session's end that calls `stop_raising()` then.
"""

from __future__ import annotations

import atexit
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
TICK = 0.05  # seconds
PATIENCE = 20  # ticks that Python has handled: a process that was not scheduled has its time still
ANSWERS = 60  # before a signal is raised all the same


class Signalled(SystemExit):
    """A signal has come. It has SystemExit's effect, and the status, where nobody catches it."""

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
        self.answer: Callable[[], object] | None = None
        self.answers = 0


_state = _State()


def install() -> None:
    """Handle the three signals from here on; one that is ignored from the start (nohup) stays ignored."""
    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _remember)
    signal.signal(signal.SIGALRM, _try_again)
    sys.unraisablehook = _report_unraisable
    atexit.register(stop_raising)  # a tick after Python has dropped its handlers would kill the process


def stop_raising() -> int | None:
    """Let all signals pass from here on; return the status that an earlier one asks for, or None.

    A terminal that closes sends SIGHUP more than once: by itself, and through its shell.
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


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise `Signalled` at once when a signal comes during the block, or has come before it; main thread."""
    try:
        _state.is_waiting = True
        _raise_if_due()
        yield
    finally:
        _state.is_waiting = False


@contextmanager
def answered_by(answer: Callable[[], object]) -> Iterator[None]:
    """Call something when a signal comes in this block, or has come before it, instead of raising it.

    Args:
        answer: brings about the block's end, in time: it is called every TICK until that is there. After it
            was of no use ANSWERS times, the signal is raised.
    """
    _state.answer = answer
    try:
        yield
    finally:
        _state.answer = None


def check() -> None:
    """Raise `Signalled` if a signal has come."""
    with interruptible():
        pass


@contextmanager
def held() -> Iterator[None]:
    """Raise nothing in this block: what it does is finished first."""
    _state.holds += 1
    try:
        yield
    finally:
        _state.holds -= 1


@contextmanager
def interrupts_left_to_session() -> Iterator[None]:
    """Let Ctrl+C pass without effect on lw_coder itself, from here to the end of the process.

    While a session is up it is droid's. Droid is left by pressing it twice, and one press too many must not
    stop the import of what was committed. The docker client of the session gets it as ever.
    """
    signal.signal(signal.SIGINT, _pass)
    try:
        yield
    finally:
        # A handler would be dropped before the last of the interpreter's own end.
        signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def blocked() -> Iterator[None]:
    """Have the signals wait for the block's end, and in a child that is forked in it for `begin_child`."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def begin_child(*, cleans_up: bool) -> None:
    """Forget the parent's signals in a child that was forked in `blocked()`, and receive its own.

    Args:
        cleans_up: whether a signal is raised there as it is in the parent, or ends the child at once.
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
    if _state.answer is not None and _state.answers < ANSWERS:
        _state.answers += 1
        with held():
            _state.answer()
    elif _state.is_waiting or _state.ticks > PATIENCE:
        raise Signalled(_state.received)


def _report_unraisable(lost: sys.UnraisableHookArgs) -> None:
    if not issubclass(lost.exc_type, Signalled):  # that is raised again
        sys.__unraisablehook__(lost)


def _pass(_number: int, _frame: object) -> None:
    pass
