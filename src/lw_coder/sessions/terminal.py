"""The person's terminal, which a session uses for a while."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from lw_coder.foundation.errors import SessionError
from lw_coder.foundation.signals import held

# Terminal modes that a session could leave on, and that would hide or change later output or input. First
# modes that are turned off one by one.
_OFF = (
    *(
        1,
        5,
        69,
        1047,
        2004,
        2026,
    ),  # cursor keys, inverted, margins, the other screen, bracketed paste, no drawing
    *(9, 1000, 1002, 1003, 1004, 1005, 1006, 1015, 1016),  # the mouse
)
_RESET = (
    (
        "\x18\x1b\\"  # an unfinished escape sequence or string
        "\x1b[!p\x1b7\x1b[r\x1b8"  # soft reset, no scrolling region; the cursor stays where it is
        + "".join(f"\x1b[?{mode}l" for mode in _OFF)
        + "\x1b[2l\x1b[4l\x1b[20l\x1b[?7h\x1b[?25h\x1b[0 q"  # locked keys, inserting, no wrapping, no cursor
        "\x1b>\x1b[=0u\x1b[>4m"  # changed key codes
        "\x1b(B\x0f\x1b[0m\x1b]8;;\x1b\\"  # line drawing, hidden or coloured text, a link
        "\x1b]104\x1b\\\x1b]110\x1b\\\x1b]111\x1b\\\x1b]112\x1b\\"  # other colours: text can hide in them
    ).encode()
)


def require_terminal(alternative: str = "") -> None:
    """Raise an error if there is no terminal.

    Args:
        alternative: what the person can do instead of using a terminal, such as `or add --headless`.

    Raises:
        SessionError: standard input or output is not a terminal.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise SessionError(
            "there is no terminal, and the session is interactive",
            ", ".join(part for part in ("run the command in a terminal", alternative) if part),
        )


@contextmanager
def restored_terminal() -> Iterator[None]:
    """Lend the terminal to a session; afterwards it reads and shows as it did, whatever was left on."""
    import termios

    before = termios.tcgetattr(sys.stdin) if sys.stdin.isatty() else None
    try:
        yield
    finally:
        with held():
            signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # else a background process would stop here
            with suppress(OSError, termios.error):  # the terminal was closed
                if before is not None:
                    termios.tcsetattr(sys.stdin, termios.TCSANOW, before)
                if sys.stdout.isatty():
                    sys.stdout.flush()
                    # Unbuffered: what cannot be written must not stay in a buffer.
                    os.write(sys.stdout.fileno(), _RESET)
            discard_input()


def discard_input() -> None:
    """Discard the terminal's answers to a session's queries: the person's shell would read them as input."""
    import termios

    if sys.stdin.isatty():
        with suppress(OSError, termios.error):
            termios.tcflush(sys.stdin, termios.TCIFLUSH)
