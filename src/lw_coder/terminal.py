"""The person's terminal, after a program in a container has had it."""

from __future__ import annotations

import sys
from contextlib import suppress

# What a session could leave on: what is said after it would then not be seen, or not as it is meant.
_RESET = (
    "\x1b7\x1b[?6l\x1b[?69l\x1b[r\x1b8"  # a part of the screen for all of it; the cursor stays
    "\x1b[?1047l"  # the other screen
    "\x1b[4l\x1b[?7h\x1b[?25h"  # inserting, lines that do not wrap, no cursor
    "\x1b(B\x0f\x1b[0m"  # line drawing, hidden or coloured text
    "\x1b]104\x07\x1b]110\x07\x1b]111\x07"  # other colours
    "\x1b[?1l\x1b>\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1004l\x1b[?1006l\x1b[?2004l"  # keys, mouse, pasting
)


def take_back() -> None:
    """Undo what a session may have left of the terminal's modes, and drop what it had the terminal answer.

    The answers to a program's questions are input as if they were typed, and would go to the person's shell.
    """
    if not sys.stderr.isatty():
        return
    with suppress(OSError):  # a terminal that was closed
        sys.stderr.write(_RESET)
        sys.stderr.flush()
    if sys.stdin.isatty():
        import termios

        with suppress(OSError, termios.error):
            termios.tcflush(sys.stdin, termios.TCIFLUSH)
