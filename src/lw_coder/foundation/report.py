"""What the person reads: lines on stderr, results and tables on stdout, a spinner; and in which colours."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TextIO

import click

from lw_coder.foundation.signals import interruptible
from lw_coder.foundation.streams import discard_output

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_OVER_LINE = "\r\x1b[2K"
COLOURS = {"good": "green", "bad": "red", "open": "yellow"}  # by the tone of a cell
NOTHING = "-"  # the text of a cell that has no value
_GAP = 2  # spaces between columns
_NARROW = 24  # characters; a column with longer texts is at least as wide
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
    names = [printable(name) for name in header]
    shown = [[Cell(printable(text), tone) for text, tone in row] for row in rows]
    if sys.stdout.isatty():
        _print_fitted(names, shown)
    else:
        _print_columns([[Cell(name) for name in names], *shown])


def _print_fitted(header: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
    """Print a table no wider than the terminal, without columns that say nothing.

    If it would have to break words, or be very narrow, each row becomes a short paragraph.
    """
    console = _console(sys.stdout)
    columns = [number for number in range(len(header)) if any(row[number].text != NOTHING for row in rows)]
    table = [[row[number] for row in rows] for number in columns]
    names, widths = [header[number] for number in columns], [_least_width(column) for column in table]
    needed = [max(width, len(name)) for name, width in zip(names, widths, strict=True)]
    if sum(needed) + _GAP * (len(needed) - 1) <= console.width:
        _print_grid(console, names, needed, table)
    else:
        _print_paragraphs(console, names, table)


def _least_width(column: Sequence[Cell]) -> int:
    """Return how narrow a column may be: as its longest word, and as a few words."""
    from rich.cells import cell_len

    words = max((cell_len(word) for cell in column for word in cell.text.split()), default=0)
    return max(words, min(max(cell_len(cell.text) for cell in column), _NARROW))


def _print_grid(
    console: Console, names: Sequence[str], widths: Sequence[int], columns: Sequence[Sequence[Cell]]
) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    for name, width in zip(names, widths, strict=True):
        table.add_column(name, min_width=width)
    for row in zip(*columns, strict=True):
        table.add_row(*map(_styled, row))
    console.print(table)


def _print_paragraphs(console: Console, names: Sequence[str], columns: Sequence[Sequence[Cell]]) -> None:
    """Print the first cell of each row, and below it the others, each after the name of its column."""
    from rich.padding import Padding

    for first, *others in zip(*columns, strict=True):
        console.print(_styled(first), overflow="fold")
        told = [(name, cell) for name, cell in zip(names[1:], others, strict=True) if cell.text != NOTHING]
        for line in _packed(told, console.width - _GAP):
            console.print(Padding(line, (0, 0, 0, _GAP)), overflow="fold")


def _packed(named: Sequence[tuple[str, Cell]], width: int) -> Iterator[Text]:
    """Put as many cells with their names into each line as there is room for."""
    from rich.text import Text

    line = Text()
    for name, cell in named:
        added = Text.assemble(f"{name}: " if name else "", _styled(cell))
        if line and line.cell_len + _GAP + added.cell_len > width:
            yield line
            line = Text()
        line = Text.assemble(line, " " * _GAP, added) if line else added
    if line:
        yield line


def _styled(cell: Cell) -> Text:
    from rich.text import Text

    return Text(cell.text, style=COLOURS.get(cell.tone, ""))


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


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    return Console(file=stream, highlight=False, color_system=colour_system(stream))


def colour_system(stream: TextIO) -> Literal["auto"] | None:
    """Return which colours rich uses on a stream: with None, it prints nothing bold either."""
    return "auto" if _has_colours(stream) else None


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
        discard_output()


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
    from rich.markup import escape

    with _console(sys.stderr).status(escape(printable(line))):
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
