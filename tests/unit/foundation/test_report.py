from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lw_coder.foundation.report import is_utf8, printable, say, waiting, warn
from tests.support.terminal import Terminal


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text", "plain text"),
        ("caf\u00e9", "caf\u00e9"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("two\nlines\r", "two\\nlines\\r"),
        ("right\u202eleft", "right\\u202eleft"),
        ("\udcff", "\\udcff"),
    ],
)
def test_printable(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_all_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    say("said")
    warn("warned")
    with waiting("waited"):
        pass
    assert capsys.readouterr() == ("", "said\nwarning: warned\nwaited\n")


def test_no_line_steers_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    say("\x1b[2Jsaid")
    warn("\x1b[2Jwarned")
    assert capsys.readouterr().err == "\\x1b[2Jsaid\nwarning: \\x1b[2Jwarned\n"


@pytest.mark.parametrize(("raw", "is_text"), [(b"caf\xc3\xa9", True), (b"caf\xe9", False), (b"", True)])
def test_what_is_text(raw: bytes, is_text: bool) -> None:  # noqa: FBT001
    assert is_utf8(os.fsdecode(raw)) == is_text


def test_a_terminal_that_was_closed_stops_nothing() -> None:
    program = (
        "from lw_coder.foundation.report import say, warn; say('a'); warn('b'); print('went on', flush=True)"
    )
    with Path("/dev/full").open("w", encoding="ascii") as closed:
        done = subprocess.run(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=closed, text=True, check=False
        )
    assert done.stdout == "went on\n"


def test_what_is_waited_for_is_shown_as_it_is_called(tmp_path: Path) -> None:
    call = "with waiting('Asking a/[bold]model [/x] ...'): input()"
    code = f"from lw_coder.foundation.report import waiting\n{call}"
    with Terminal((sys.executable, "-c", code), tmp_path, os.environ) as terminal:
        terminal.wait_for("Asking a/[bold]model [/x] ...")
        terminal.type("\n")
        assert terminal.wait() == 0
