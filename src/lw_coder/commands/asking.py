"""Ask once before something is changed."""

from __future__ import annotations

import sys

import click

from lw_coder.foundation.errors import RunError
from lw_coder.foundation.report import ask


def is_agreed(question: str, *, yes: bool) -> bool:
    """Return whether to go on; Enter alone, or the end of the input, means no.

    Args:
        question: what is asked.
        yes: do not ask.

    Raises:
        RunError: there is nobody to ask.
    """
    if yes:
        return True
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise RunError("this command asks before it changes anything, and there is no terminal", "add --yes")
    try:
        return ask(question)
    except click.Abort:
        return False
