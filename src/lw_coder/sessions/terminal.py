"""The person's terminal, which a program in a container has for a while."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from lw_coder.foundation.errors import SessionError

# What a session could leave on: what is said after it would not be seen, or not as it is meant, and what is
# typed would not be read so. First modes that go off one by one.
_OFF = (
    *(1, 5, 69, 1047, 2004, 2026),  # keys, inverted, margins, the other screen, pasting, nothing is drawn
    *(9, 1000, 1002, 1003, 1004, 1005, 1006, 1015, 1016),  # the mouse
)
_RESET = (
    (
        "\x18\x1b\\"  # a sequence, or a text for the terminal itself, that was begun and not ended
        "\x1b[!p\x1b7\x1b[r\x1b8"  # a part of the screen for all of it; the cursor stays where it is
        + "".join(f"\x1b[?{mode}l" for mode in _OFF)
        + "\x1b[2l\x1b[4l\x1b[20l\x1b[?7h\x1b[?25h\x1b[0 q"  # no keys, inserting, no wrapping, no cursor
        "\x1b>\x1b[=0u\x1b[>4m"  # keys that are sent otherwise
        "\x1b(B\x0f\x1b[0m\x1b]8;;\x1b\\"  # line drawing, hidden or coloured text, a link
        "\x1b]104\x1b\\\x1b]110\x1b\\\x1b]111\x1b\\\x1b]112\x1b\\"  # other colours: text can hide in them
    ).encode()
)


def require_terminal() -> None:
    """Refuse to start without a person at a terminal.

    Raises:
        SessionError: standard input or output is not a terminal.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise SessionError(
            "there is no terminal, and the session is interactive", "run the command in a terminal"
        )


@contextmanager
def lent() -> Iterator[None]:
    """Lend the terminal to a session; afterwards it reads and shows as it did, whatever was left on."""
    import termios

    before = termios.tcgetattr(sys.stdin) if sys.stdin.isatty() else None
    try:
        yield
    finally:
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # else who is in the background stops here for good
        with suppress(OSError, termios.error):  # a terminal that was closed
            if before is not None:
                termios.tcsetattr(sys.stdin, termios.TCSANOW, before)
            if sys.stdout.isatty():
                sys.stdout.flush()
                os.write(sys.stdout.fileno(), _RESET)  # what cannot be written must not wait in a buffer
        drop_answers()


def drop_answers() -> None:
    """Drop what the terminal answered to a session's questions: it would be typed into the person's shell."""
    import termios

    if sys.stdin.isatty():
        with suppress(OSError, termios.error):
            termios.tcflush(sys.stdin, termios.TCIFLUSH)
