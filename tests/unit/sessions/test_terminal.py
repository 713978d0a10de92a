"""What a session leaves of the terminal hides nothing of what is said afterwards."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.support.terminal import Terminal

LINES = [f"warning {number}" for number in range(6)]
_HIDING = """
import contextlib, sys
from lw_coder.sessions.terminal import restored_terminal
print("before", *range(10), sep="\\n")
with {lent}():
    print({left!r}, end="", flush=True)
sys.stderr.write("".join(f"\\r\\x1b[2K{{line}}\\r\\n" for line in {lines!r}))
"""
# What droid does, and does not undo where it is killed.
_RAW = """
import termios, tty
from lw_coder.sessions.terminal import restored_terminal
before = termios.tcgetattr(0)
with restored_terminal():
    tty.setraw(0)
print(termios.tcgetattr(0) == before)
"""
_ASKING = """
import array, fcntl, termios, time, tty
from lw_coder.sessions.terminal import restored_terminal
def waiting():
    count = array.array("i", [0])
    fcntl.ioctl(0, termios.FIONREAD, count)
    return count[0]
with restored_terminal():
    tty.setraw(0)
    print("ask", flush=True)
    while not waiting():
        time.sleep(0.05)
print("asked", flush=True)
print(input())
"""


def seen(folder: Path, left: str, lent: str) -> list[str]:
    program = _HIDING.format(left=left, lent=lent, lines=LINES)
    with Terminal((sys.executable, "-c", program), folder, os.environ) as terminal:
        assert terminal.wait() == 0
        screen = "".join(terminal.screen.splitlines())
    return [line for line in LINES if line in screen]


@pytest.mark.parametrize(
    "left",
    ["\x1b[2;3r\x1b[?6h", "\x1b[5;6r\x1b[4h", "\x1b]0;a title without an end"],
    ids=["a part of the screen", "inserting", "a text for the terminal"],
)
def test_every_line_is_seen(tmp_path: Path, left: str) -> None:
    assert seen(tmp_path, left, "contextlib.nullcontext") != LINES, "nothing was left"
    assert seen(tmp_path, left, "restored_terminal") == LINES


def test_the_shell_reads_as_before(tmp_path: Path) -> None:
    with Terminal((sys.executable, "-c", _RAW), tmp_path, os.environ) as terminal:
        assert terminal.wait() == 0
    assert "True" in terminal.text


def test_answers_of_the_terminal_are_not_typed_into_the_shell(tmp_path: Path) -> None:
    with Terminal((sys.executable, "-c", _ASKING), tmp_path, os.environ) as terminal:
        terminal.wait_for("ask")
        terminal.type("rm -rf answer\r")
        terminal.wait_for("asked")
        terminal.type("typed\r")
        assert terminal.wait() == 0
    assert "answer" not in terminal.text
    assert "typed" in terminal.text
