"""Mark the words of source text by their kind, for the page's style sheet to colour."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from markupsafe import Markup, escape
from pygments.lexers import find_lexer_class_for_filename
from pygments.token import Token
from pygments.util import ClassNotFound

from lw_coder.pages.visible import visible

if TYPE_CHECKING:
    from pygments.token import _TokenType

_LONGEST = 50_000  # characters that are read at once; a longer text stays as it is
# The first that a token belongs to decides.
_KINDS = (
    (Token.Comment, "c"),
    (Token.Keyword, "k"),
    (Token.Literal.String, "s"),
    (Token.Literal.Number, "m"),
    (Token.Name.Function, "f"),
    (Token.Name.Class, "f"),
    (Token.Name.Decorator, "f"),
    (Token.Name.Tag, "k"),
    (Token.Name.Attribute, "f"),
)


class _TooSlowError(Exception):
    """Reading a text takes too long."""


class Colours:
    """Marks texts up until its time is over; from then on they stay as they are.

    A text can be written so that the expressions of a lexer take hours for it.

    Args:
        seconds: of computing, for all texts together.
    """

    def __init__(self, seconds: float = 10.0) -> None:
        self._left = seconds

    @property
    def is_over(self) -> bool:
        """Whether some texts may be without colours."""
        return self._left <= 0

    def lines(self, name: str, text: str) -> list[Markup]:
        """Return each line of a text, escaped and marked up.

        Args:
            name: the file's; its end says what the text is.
            text: with line feeds between its lines.
        """
        text = visible(text)
        marked: list[Markup] = []
        if len(text) <= _LONGEST and not self.is_over:
            with suppress(_TooSlowError), self._timed():
                marked = _marked(name, text)
        return marked or [escape(line) for line in text.split("\n")]

    @contextmanager
    def _timed(self) -> Iterator[None]:
        before = signal.signal(signal.SIGVTALRM, _give_up)
        signal.setitimer(signal.ITIMER_VIRTUAL, self._left)
        try:
            yield
        finally:
            self._left = signal.setitimer(signal.ITIMER_VIRTUAL, 0)[0]
            signal.signal(signal.SIGVTALRM, before)


def _give_up(_number: int, _frame: object) -> None:
    raise _TooSlowError


def _marked(name: str, text: str) -> list[Markup]:
    """Mark up a text; return nothing if its kind is unknown."""
    try:
        lexer = find_lexer_class_for_filename(name)
    except ClassNotFound:
        lexer = None
    if lexer is None:
        return []
    lines = [Markup()]
    for kind, value in lexer(stripnl=False, ensurenl=False).get_tokens(text):
        first, *others = value.split("\n")
        lines[-1] += _word(kind, first)
        lines += [_word(kind, other) for other in others]
    return lines


def _word(kind: _TokenType, text: str) -> Markup:
    parents = kind.split()
    name = next((name for parent, name in _KINDS if parent in parents), "")
    if not name or not text.strip():
        return escape(text)
    return Markup('<span class="{}">{}</span>').format(name, text)
