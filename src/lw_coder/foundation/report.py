"""What the person reads while a command runs: lines on stderr, and a spinner."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import click

from lw_coder.foundation.signals import interruptible

_OVER_LINE = "\r\x1b[2K"


def say(line: str) -> None:
    """Print a line of progress or a result."""
    _print(printable(line))


def warn(line: str) -> None:
    """Print a warning."""
    _print(click.style("warning: ", fg="yellow") + printable(line))


def _print(line: str) -> None:
    # Overwrite a spinner, of this process or of the one that forked it.
    with suppress(OSError):  # the terminal was closed; continue with the work
        click.echo((_OVER_LINE if sys.stderr.isatty() else "") + line, err=True)


def ask(question: str) -> bool:
    """Ask a question at the terminal; Enter alone means no."""
    with interruptible():
        return click.confirm(printable(question), err=True)


def show_live(line: str) -> bool:
    """Show a line that the next output replaces; return whether there is a terminal that can show it."""
    if not sys.stderr.isatty():
        return False
    with suppress(OSError):
        width = os.get_terminal_size(sys.stderr.fileno()).columns
        click.echo(_OVER_LINE + printable(line)[: width - 1], err=True, nl=False)
    return True


def clear_live() -> None:
    """Remove the line of `show_live`."""
    show_live("")


def printable(text: str) -> str:
    """Escape control and format characters, and bytes that are not text, for a terminal."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def is_utf8(text: str) -> bool:
    """Return whether an argument or a path was UTF-8: other bytes became surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


@contextmanager
def waiting(line: str) -> Iterator[None]:
    """Show a spinner in a terminal; elsewhere print the line once."""
    if not sys.stderr.isatty():
        say(line)
        yield
        return
    from rich.console import Console
    from rich.markup import escape

    with Console(stderr=True).status(escape(printable(line))):
        yield
