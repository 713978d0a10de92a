"""What the person reads: lines on stderr, results and tables on stdout, a spinner; and in which colours."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, TextIO

import click

from lw_coder.foundation.signals import interruptible

_OVER_LINE = "\r\x1b[2K"
COLOURS = {"good": "green", "bad": "red", "open": "yellow"}  # by the tone of a cell
NOTHING = "-"  # the text of a cell that has no value
_SLOW = 1.0  # seconds; what takes longer shows what it does


class Cell(NamedTuple):
    """A cell of a table.

    Attributes:
        text: what it says, also without its colour.
        tone: `good`, `bad` or `open`, which has a colour; empty for none.
    """

    text: str
    tone: str = ""


@dataclass
class _Options:
    is_quiet: bool = False


_OPTIONS = _Options()


def be_quiet() -> None:
    """Leave out progress from now on; results, warnings and errors are still shown."""
    _OPTIONS.is_quiet = True


def is_quiet() -> bool:
    """Return whether progress is left out."""
    return _OPTIONS.is_quiet


def say(line: str) -> None:
    """Print a line of progress, or of advice."""
    if not _OPTIONS.is_quiet:
        tell(line)


def tell(line: str) -> None:
    """Print what a command has done, or cannot do: also with --quiet."""
    _print(printable(line))


def warn(line: str) -> None:
    """Print a warning."""
    _print(_painted("warning: ", "open", sys.stderr) + printable(line))


def fail(line: str) -> None:
    """Print why a command ends."""
    _print(_painted("error: ", "bad", sys.stderr) + printable(line))


def show(*parts: str | Cell) -> None:
    """Print a line of a command's result on stdout, without anything that a terminal would obey."""
    cells = (part if isinstance(part, Cell) else Cell(part) for part in parts)
    _print_result("".join(_painted(printable(text), tone, sys.stdout) for text, tone in cells))


def show_json(document: Any) -> None:
    """Print the one document of a command with --json on stdout."""
    _print_result(json.dumps(document, indent=2))


def show_table(header: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
    """Print a table on stdout: fitted to a terminal, elsewhere in columns as wide as their text."""
    shown = [[Cell(printable(text), tone) for text, tone in row] for row in rows]
    if sys.stdout.isatty():
        _print_fitted(header, shown)
    else:
        _print_columns([[Cell(name) for name in header], *shown])


def _print_fitted(header: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
    """Print a table no wider than the terminal, without columns that say nothing."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    columns = [number for number in range(len(header)) if any(row[number].text != NOTHING for row in rows)]
    for number in columns:
        # The first one names the row: it is folded only where it would leave no room for the others.
        longest = max(len(row[number].text) for row in rows)
        is_whole = number == 0 and longest <= console.width // 2
        table.add_column(header[number], overflow="fold", no_wrap=is_whole)
    for row in rows:
        cells = (row[number] for number in columns)
        table.add_row(*(Text(text, style=COLOURS.get(tone, "")) for text, tone in cells))
    console.print(table)


def _print_columns(rows: Sequence[Sequence[Cell]]) -> None:
    widths = [max(len(row[column].text) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [
            _painted(cell.text, cell.tone, sys.stdout) + " " * (width - len(cell.text))
            for cell, width in zip(row, widths, strict=True)
        ]
        _print_result("  ".join(cells).rstrip())


def _print_result(line: str) -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal may lack characters that a name has
        sys.stdout.reconfigure(errors="backslashreplace")
    click.echo(line, color=True)


def _print(line: str) -> None:
    # Overwrite a spinner, of this process or of the one that forked it.
    with suppress(OSError):  # the terminal was closed; continue with the work
        click.echo((_OVER_LINE if sys.stderr.isatty() else "") + line, err=True, color=True)


def _painted(text: str, tone: str, stream: TextIO) -> str:
    return click.style(text, fg=COLOURS[tone]) if tone and _has_colours(stream) else text


def _has_colours(stream: TextIO) -> bool:
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return bool(os.environ.get("FORCE_COLOR")) or stream.isatty()


def output(text: str) -> None:
    """Print a result on standard output, as UTF-8; whoever reads it may stop at any time, as `head` does."""
    try:
        click.echo(text.encode(), nl=False)
        sys.stdout.flush()
    except BrokenPipeError:
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def ask(question: str) -> bool:
    """Ask a question at the terminal; Enter alone means no."""
    with interruptible():
        return click.confirm(printable(question), err=True)


def show_live(line: str) -> bool:
    """Show a line that the next output replaces; return whether there is a terminal that can show it."""
    if _OPTIONS.is_quiet or not sys.stderr.isatty():
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
    if _OPTIONS.is_quiet or not sys.stderr.isatty():
        say(line)
        yield
        return
    from rich.console import Console
    from rich.markup import escape

    with Console(stderr=True).status(escape(printable(line))):
        yield


@contextmanager
def shown_if_slow(line: str) -> Iterator[None]:
    """Show what is done once it has taken a second, at a terminal alone: a log is the same each time.

    The block starts no process of this program's own: it would inherit the thread's state without the thread.
    """
    from threading import Timer

    shown: list[bool] = []
    timer = Timer(_SLOW, lambda: shown.append(show_live(line)))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        if any(shown):
            clear_live()
