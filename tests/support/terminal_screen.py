"""What a terminal shows of the bytes that a program sends: pyte's emulator, with quick ways for most of them.

droid draws its screen again and again, and pyte reads that by the character. What is printed plainly, and a
sequence that has all of its parts, is taken as a whole here; the rest is pyte's own. Both show the same.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from functools import cache
from typing import Any

import pyte
from pyte import charsets, modes
from pyte.screens import Char, wcwidth

# An introducer, a question mark for a private one, numbers and a final letter.
_SEQUENCE = re.compile(r"\x1b\[(\??)([0-9;]*)([@A-Za-z`])")
_NARROW: set[str] = set(map(chr, range(0x20, 0x7F)))  # characters known to take one cell


def _is_narrow(text: str) -> bool:
    """Return whether each character takes one cell."""
    others = set(text) - _NARROW
    _NARROW.update(one for one in others if wcwidth(one) == 1)
    return others <= _NARROW


class _Cells(dict[str, Char]):
    """The cells of one style, by their characters."""

    def __init__(self, style: Char) -> None:
        self._style = style

    def __missing__(self, character: str) -> Char:
        self[character] = self._style._replace(data=character)
        return self[character]


class Screen(pyte.Screen):
    """A terminal's screen, and the lines that have left it at the top.

    pyte's own HistoryScreen turns pages too, which takes twice the time, and makes all lines anew each time.
    """

    def __init__(self, columns: int, lines: int) -> None:
        self.scrolled: deque[Mapping[int, Any]] = deque(maxlen=5000)
        self._rows: dict[int, str] = {}
        self._cells: dict[Char, _Cells] = {}
        self._styles: dict[tuple[Char, tuple[int, ...]], Char] = {}
        super().__init__(columns, lines)

    @property
    def rows(self) -> list[str]:
        """The lines to be seen now, without trailing spaces; those that have changed are made anew."""
        for y in self.dirty:
            line = self.buffer[y]
            self._rows[y] = "".join([line[x].data for x in range(self.columns)]).rstrip()
        self.dirty.clear()
        return [self._rows[y] for y in range(self.lines)]

    def reset(self) -> None:
        super().reset()
        self.scrolled.clear()

    def index(self) -> None:
        top, bottom = self.margins or (0, self.lines - 1)
        if self.cursor.y == bottom:
            self.scrolled.append(self.buffer[top])
        super().index()

    def erase_in_display(self, how: int = 0, *more: Any, **options: Any) -> None:
        super().erase_in_display(how, *more, **options)
        if how == 3:
            self.scrolled.clear()

    def draw(self, data: str) -> None:
        """Print a text, up to the end of a line at once if it is plain."""
        while data and self._is_plain(data):
            room = self.columns - self.cursor.x
            if room:
                self._put(data[:room])
            else:
                super().draw(data[0])  # which knows where the line goes on
            data = data[room or 1 :]
        if data:
            super().draw(data)

    def _is_plain(self, data: str) -> bool:
        is_mapped = self.charset or self.g0_charset is not charsets.LAT1_MAP
        return not is_mapped and modes.IRM not in self.mode and _is_narrow(data)

    def _put(self, data: str) -> None:
        """Write characters of one cell each into the cursor's line, which has room for them."""
        cursor, style = self.cursor, self.cursor.attrs
        cells = self._cells.get(style)
        if cells is None:
            cells = self._cells[style] = _Cells(style)
        begin, end = cursor.x, cursor.x + len(data)
        self.buffer[cursor.y].update(zip(range(begin, end), map(cells.__getitem__, data), strict=True))
        cursor.x = end
        self.dirty.add(cursor.y)

    def select_graphic_rendition(self, *attrs: int) -> None:
        """Change the style; a change that was made before has the same result."""
        if 0 in attrs or not attrs:  # the plain style depends on a mode
            super().select_graphic_rendition(*attrs)
            return
        key = (self.cursor.attrs, attrs)
        if key not in self._styles:
            super().select_graphic_rendition(*attrs)
            self._styles[key] = self.cursor.attrs
        self.cursor.attrs = self._styles[key]


@cache
def _numbers(text: str) -> tuple[int, ...]:
    """Read a sequence's numbers as pyte does."""
    return tuple(min(int(part or 0), 9999) for part in text.split(";"))


class Stream(pyte.ByteStream):
    """Reads bytes and acts on a screen."""

    def __init__(self, screen: Screen) -> None:
        super().__init__(screen)
        self._actions = {letter: getattr(screen, name) for letter, name in self.csi.items()}

    def feed(self, data: bytes) -> None:  # type: ignore[override]
        if not self.use_utf8:
            super().feed(data)
            return
        text, offset = self.utf8_decoder.decode(data), 0
        while offset < len(text):
            end = self._take(text, offset) if self._taking_plain_text else offset
            if end == offset:  # pyte's own parser goes on by the character, until it is between two things
                self._taking_plain_text = self._send_to_parser(text[offset])
                end += 1
            offset = end

    def _take(self, text: str, offset: int) -> int:
        """Act on what is whole from here on; return where that ends."""
        if plain := self._text_pattern.match(text, offset):
            self.listener.draw(plain[0])  # type: ignore[union-attr]
            return plain.end()
        sequence = _SEQUENCE.match(text, offset)
        if not sequence or sequence[3] not in self._actions:
            return offset
        private = {"private": True} if sequence[1] else {}
        self._actions[sequence[3]](*_numbers(sequence[2]), **private)
        return sequence.end()
