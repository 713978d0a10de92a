"""What a session leaves of the terminal hides nothing of what is said afterwards."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.support.terminal import Terminal

LINES = [f"warning {number}" for number in range(6)]
_PROGRAM = """
import sys
from lw_coder.terminal import take_back
print("before", *range(10), sep="\\n")
sys.stderr.write({left!r}); sys.stderr.flush()
{taken_back}
print("\\r\\n".join({lines!r}))
"""


def seen(folder: Path, left: str, taken_back: str) -> list[str]:
    program = _PROGRAM.format(left=left, taken_back=taken_back, lines=LINES)
    with Terminal((sys.executable, "-c", program), folder, os.environ) as terminal:
        assert terminal.wait() == 0
        screen = "".join(terminal.screen.splitlines())
    return [line for line in LINES if line in screen]


@pytest.mark.parametrize(
    "left",
    ["\x1b[2;3r\x1b[?6h", "\x1b[5;6r\x1b[4h", "\x1b[?7l\x1b[1;155H"],
    ids=["a part of the screen", "inserting", "no wrapping"],
)
def test_every_line_is_seen(tmp_path: Path, left: str) -> None:
    assert seen(tmp_path, left, "") != LINES, "nothing was left"
    assert seen(tmp_path, left, "take_back()") == LINES


def test_answers_of_the_terminal_are_not_typed_into_the_shell(tmp_path: Path) -> None:
    program = (
        "import sys, termios, time; from lw_coder.terminal import take_back\n"
        "new = termios.tcgetattr(0); new[3] &= ~termios.ECHO; termios.tcsetattr(0, 0, new)\n"
        "print('ask', flush=True); time.sleep(1); take_back(); print('asked', flush=True); print(input())"
    )
    with Terminal((sys.executable, "-c", program), tmp_path, os.environ) as terminal:
        terminal.wait_for("ask")
        terminal.type("rm -rf answer\n")
        terminal.wait_for("asked")
        terminal.type("typed\n")
        assert terminal.wait() == 0
        assert "answer" not in terminal.text
        assert "typed" in terminal.text
