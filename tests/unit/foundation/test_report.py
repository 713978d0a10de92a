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


LOOK = """
from lw_coder.foundation.report import Cell, fail, say, show, show_table, tell, warn
say('said'), tell('told'), warn('warned'), fail('failed')
show(Cell('bad', 'bad'), ' shown \\x1b[2J')
rows = [('a' * 300, 'passed', 'good'), ('[b]\\x1b[2J', '-', '')]
cells = [[Cell(name), Cell(text, tone), Cell('-')] for name, text, tone in rows]
show_table(('name', 'verdict', 'empty'), cells)
show_table(('x\\x1b[2J', 'y'), [[Cell('x'), Cell('y')]])
"""
GREEN, RED, YELLOW = "\x1b[32m", "\x1b[31m", "\x1b[33m"


def looked(**variables: str) -> tuple[str, str]:
    plain = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR"}}
    done = subprocess.run(
        [sys.executable, "-c", LOOK], env={**plain, **variables}, capture_output=True, text=True, check=True
    )
    return done.stdout, done.stderr


def on_a_terminal(folder: Path, **variables: str) -> str:
    plain = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR"}}
    with Terminal((sys.executable, "-c", LOOK), folder, {**plain, **variables}) as terminal:
        assert terminal.wait() == 0
        return terminal.transcript.decode()


def test_without_a_terminal_there_are_no_colours_and_nothing_is_cut() -> None:
    for variables in ({}, {"NO_COLOR": "1"}, {"NO_COLOR": "1", "FORCE_COLOR": "1"}, {"COLUMNS": "20"}):
        assert looked(**variables) == (looked()[0], "said\ntold\nwarning: warned\nerror: failed\n")
    lines = looked()[0].splitlines()
    assert lines[0] == "bad shown \\x1b[2J"
    assert lines[-2].split() == ["x\\x1b[2J", "y"]  # a run's name can be a column's
    assert [line.split() for line in lines[1:-2]] == [
        ["name", "verdict", "empty"],
        ["a" * 300, "passed", "-"],
        ["[b]\\x1b[2J", "-", "-"],
    ]
    assert lines[1].index("verdict") == lines[2].index("passed") == lines[3].index("-") == 302


def test_colours_that_are_asked_for() -> None:
    out, err = looked(FORCE_COLOR="1")
    assert f"{RED}bad" in out
    assert f"{GREEN}passed" in out
    assert f"{RED}error: " in err
    assert f"{YELLOW}warning: " in err


def test_a_terminal_has_colours_and_a_table_that_fits(tmp_path: Path) -> None:
    shown = on_a_terminal(tmp_path)
    assert f"{GREEN}passed" in shown
    assert f"{RED}error: " in shown
    assert shown.count("a") > 300
    assert "a" * 161 not in shown  # the terminal has 160 columns
    assert "[b]\\x1b[2J" in shown
    assert "empty" not in shown  # nor is a column that says nothing
    plain = on_a_terminal(tmp_path, NO_COLOR="1")
    assert not any(colour in plain for colour in (GREEN, RED, YELLOW))
    assert "passed" in plain


def test_quiet_leaves_out_progress_and_nothing_else() -> None:
    code = LOOK.replace("import ", "import be_quiet, waiting, ").replace("say(", "be_quiet()\nsay(", 1)
    code += "with waiting('waited'): pass\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "told\nwarning: warned\nerror: failed\n"
    assert done.stdout == looked()[0]


def test_what_is_slow_is_shown_at_a_terminal_until_it_is_over(tmp_path: Path) -> None:
    gone_on = tmp_path / "gone-on"
    code = (
        "import pathlib, time\nfrom lw_coder.foundation.report import shown_if_slow\n"
        "with shown_if_slow('Counting ...'):\n"
        f"    while not pathlib.Path({str(gone_on)!r}).exists(): time.sleep(.01)\n"
        "print('over')"
    )
    with Terminal((sys.executable, "-c", code), tmp_path, os.environ) as terminal:
        terminal.wait_for("Counting ...")
        gone_on.touch()
        terminal.wait_for("over")
        assert "Counting" not in terminal.screen
        assert terminal.wait() == 0


WORDS = """
import sys
from lw_coder.foundation.report import Cell, show_table
names = ('run', 'age', 'model', 'ended', 'why')
long = 'because of what the reader can only understand in full'
rows = [('greet-the-world/20250101T000000Z', '17 hours', 'maker/a-rather-long-model', 'not passed', long)]
show_table(names, [[Cell(text, 'bad' if text == 'not passed' else '') for text in row] for row in rows * 2])
"""


@pytest.mark.parametrize("columns", [30, 40, 60, 80, 100, 150, 200])
def test_no_width_breaks_a_word(tmp_path: Path, columns: int) -> None:
    env = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm"}
    with Terminal((sys.executable, "-c", WORDS), tmp_path, env) as terminal:
        assert terminal.wait() == 0
        lines = [line.rstrip() for line in terminal.screen.splitlines() if line.strip()]
    assert max(map(len, lines)) <= columns or columns == 30
    shown = " ".join(line.strip() for line in lines)
    whole = ("17 hours", "maker/a-rather-long-model", "not passed", "understand")
    assert all(shown.count(words) == 2 for words in whole)
    assert ("age: 17 hours" in shown) == (columns < 130)
    if columns > 32:
        assert shown.count("greet-the-world/20250101T000000Z") == 2


def test_without_colours_nothing_is_bold(tmp_path: Path) -> None:
    assert "\x1b[1m" not in on_a_terminal(tmp_path, COLUMNS="1000", NO_COLOR="1")
    assert "\x1b[1m" in on_a_terminal(tmp_path, COLUMNS="1000")
