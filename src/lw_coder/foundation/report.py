"""What the person reads while a command works: plain lines on stderr, and one that is alive."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import click

_OVER_LINE = "\r\x1b[2K"


def say(line: str) -> None:
    """Tell the person what happens now."""
    _tell(printable(line))


def warn(line: str) -> None:
    """Tell the person of something that they may not want."""
    _tell(click.style("warning: ", fg="yellow") + printable(line))


def _tell(line: str) -> None:
    # The line that is alive may stand there, this process's or the one's that forked it: write over it.
    with suppress(OSError):  # a terminal that was closed reads nothing; what is at work goes on
        click.echo((_OVER_LINE if sys.stderr.isatty() else "") + line, err=True)


def printable(text: str) -> str:
    """Make text that an agent or a file chose safe for a terminal: control characters are escaped."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def is_utf8(text: str) -> bool:
    """Tell whether text of the system, an argument or a path, was UTF-8: other bytes became surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


@contextmanager
def waiting(line: str) -> Iterator[None]:
    """Show on a terminal that something long is under way; elsewhere say it once."""
    if not sys.stderr.isatty():
        say(line)
        yield
        return
    from rich.console import Console
    from rich.markup import escape

    with Console(stderr=True).status(escape(printable(line))):
        yield
