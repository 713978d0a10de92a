"""Where an error occurred, for the crash log and for --debug.

An exception's text can contain a secret (a command line, a server's answer), so only the type and the stack
of each exception are shown.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import click


def trace(error: BaseException | None) -> str:
    """Return the types and stacks of an exception and of its causes, the first one first."""
    if error is None:
        return ""
    stack = traceback.format_list(traceback.extract_tb(error.__traceback__))
    is_ours = type(error).__module__.startswith("lw_coder.")  # its notes are the stack of a child process
    notes = getattr(error, "__notes__", []) if is_ours else []
    return "".join(
        [trace(error.__cause__ or error.__context__), *notes, f"{type(error).__qualname__}\n", *stack]
    )


@contextmanager
def trace_shown() -> Iterator[None]:
    """Print the trace of an error that passes through, to stderr."""
    try:
        yield
    except Exception as error:
        if not isinstance(error, click.ClickException | click.exceptions.Exit):
            click.echo(trace(error), err=True, nl=False)
        raise
