"""Ctrl+C while a session is up, and after it; and the signals that end lw_coder meanwhile."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Let Ctrl+C pass without effect on lw_coder itself, from here to the end of the process.

    While a session is up it is droid's. Droid is left by pressing it twice, and one press too many must not
    stop the bringing home of what was committed. Children get it as ever, those of `git` aside.
    """
    # A handler that does nothing: ignoring the signal would be inherited by the docker client.
    signal.signal(signal.SIGINT, _pass)
    try:
        yield
    finally:
        # A handler would be dropped before the last of the interpreter's own end.
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def hold_endings() -> None:
    """Let SIGTERM and SIGHUP pass from here to the end of the process, so that commits come home.

    A terminal that closes sends the second more than once: by itself, and through its shell.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _pass)


def _pass(*_: object) -> None:
    pass
