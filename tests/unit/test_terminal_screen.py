"""The tests' terminal takes what is plain as a whole, and shows what pyte shows character by character."""

from __future__ import annotations

import pyte
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.terminal_screen import Screen, Stream

COLUMNS, LINES = 12, 5
PIECES = (
    *("plain", "a text that is longer than a line of this terminal is wide", " ", "0123456789ab"),
    *(
        "\u256d\u2500\u2500\u256e",
        "\u28ff",
        "\u6f22\u5b57",
        "e\u0301",
        "\u0301",
        "\U0001f600",
        "\xe9",
        "\xad",
    ),
    *(
        "\r\n",
        "\n",
        "\r",
        "\t",
        "\b",
        "\x0e",
        "\x0f",
        "\x7f",
        "\x00",
        "\x1b7",
        "\x1b8",
        "\x1bM",
        "\x1b(B",
        "\x1b(0",
    ),
    *(
        "\x1b[2J",
        "\x1b[H",
        "\x1b[3;9H",
        "\x1b[2;12f",
        "\x1b[K",
        "\x1b[1K",
        "\x1b[J",
        "\x1b[5C",
        "\x1b[2A",
        "\x1b[G",
    ),
    *(
        "\x1b[m",
        "\x1b[0m",
        "\x1b[1;31m",
        "\x1b[38;2;1;2;3m",
        "\x1b[48;5;7m",
        "\x1b[7m",
        "\x1b[0;4m",
        "\x1b[38m",
    ),
    *(
        "\x1b[?25l",
        "\x1b[?7l",
        "\x1b[?7h",
        "\x1b[?5h",
        "\x1b[?5l",
        "\x1b[4h",
        "\x1b[4l",
        "\x1b[?2026h",
        "\x1b[?6h",
    ),
    *("\x1b[2;4r", "\x1b[r", "\x1b[L", "\x1b[2M", "\x1b[3P", "\x1b[2@", "\x1b[4X", "\x1b[99999G", "\x1b[;2H"),
    *(
        "\x1b]0;a title\x07",
        "\x1b[>4;1m",
        "\x1b[<u",
        "\x1b",
        "\x1b[",
        "\x1b[3",
        ";",
        "5;5H",
        "\x9b2J",
        "\x1b[1\n2C",
    ),
)


def shown(screen: pyte.Screen) -> tuple[object, ...]:
    """Return each cell with its style, and where the next one would be put, in which style."""
    cells = [[screen.buffer[y][x] for x in range(COLUMNS)] for y in range(LINES)]
    return cells, screen.cursor.x, screen.cursor.y, screen.cursor.attrs, sorted(screen.mode), screen.title


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=30), st.lists(st.integers(1, 40), min_size=1, max_size=8))
def test_it_shows_what_pyte_shows(pieces: list[str], sizes: list[int]) -> None:
    data = "".join(pieces).encode()
    expected, screen = pyte.Screen(COLUMNS, LINES), Screen(COLUMNS, LINES)
    pyte.ByteStream(expected).feed(data)
    stream, number = Stream(screen), 0
    while data:
        size = sizes[number % len(sizes)]
        stream.feed(data[:size])
        data, number = data[size:], number + 1
    assert shown(screen) == shown(expected)
    lines = ("".join(expected.buffer[y][x].data for x in range(COLUMNS)) for y in range(LINES))
    assert screen.rows == [line.rstrip() for line in lines]


def test_lines_that_have_left_the_screen_are_kept() -> None:
    screen = Screen(COLUMNS, LINES)
    Stream(screen).feed("".join(f"line {number}\r\n" for number in range(10)).encode())
    assert screen.rows == ["line 6", "line 7", "line 8", "line 9", ""]
    left = ["".join(cell.data for _, cell in sorted(line.items())).rstrip() for line in screen.scrolled]
    assert left == [f"line {number}" for number in range(6)]
