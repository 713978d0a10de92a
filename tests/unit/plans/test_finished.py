"""A plan that is done or abandoned is carried out only after a question; asked at a real terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lw_coder.plans.plan_file import STATUSES
from tests.support.plan_files import text, written
from tests.support.terminal import Terminal

FINISHED = ("done", "abandoned")
ASKED = "The status of a-plan is {}. Carry it out all the same? [y/N]: "
PROGRAM = """
import sys
from pathlib import Path
from lw_coder import cli
from lw_coder.plans.finished import is_wanted
from lw_coder.plans.plan_file import read_plan

@cli.cli.command()
def go():
    print("wanted:", is_wanted(read_plan(Path("plan.md")), yes=YES))

sys.argv[1:] = ["go"]
cli.main()
"""


def command(*, yes: bool = False) -> list[str]:
    return [sys.executable, "-c", PROGRAM.replace("YES", str(yes))]


def at_terminal(folder: Path, status: str, typed: str) -> tuple[str, int]:
    written(folder, text(status=status))
    with Terminal(command(), folder, os.environ) as terminal:
        terminal.wait_for(ASKED.format(status).strip())
        terminal.type(typed)
        code = terminal.wait()
        return terminal.text, code


@pytest.mark.parametrize("status", FINISHED)
def test_yes_carries_it_out(tmp_path: Path, status: str) -> None:
    shown, code = at_terminal(tmp_path, status, "y\r")
    assert "wanted: True" in shown
    assert code == 0


@pytest.mark.parametrize("typed", ["\r", "n\r"])
def test_anything_else_does_not(tmp_path: Path, typed: str) -> None:
    shown, code = at_terminal(tmp_path, "done", typed)
    assert "Nothing was started." in shown
    assert "wanted: False" in shown
    assert code == 0


def test_ctrl_c_at_the_question_ends_the_command(tmp_path: Path) -> None:
    shown, code = at_terminal(tmp_path, "done", "\x03")
    assert "interrupted" in shown
    assert "wanted" not in shown
    assert code == 130


def without_terminal(folder: Path, status: str, *, yes: bool = False) -> subprocess.CompletedProcess[str]:
    written(folder, text(status=status))
    return subprocess.run(
        command(yes=yes), cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("status", FINISHED)
def test_without_a_terminal_the_option_is_named(tmp_path: Path, status: str) -> None:
    done = without_terminal(tmp_path, status)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"error: plan.md: status: is {status}, and there is no terminal to ask at; "
        "to carry it out all the same, add --yes; or change its status to ready\n"
    )
    assert without_terminal(tmp_path, status, yes=True).stdout == "wanted: True\n"


@pytest.mark.parametrize("status", [status for status in STATUSES if status not in FINISHED])
def test_other_plans_are_not_asked_about(tmp_path: Path, status: str) -> None:
    assert without_terminal(tmp_path, status).stdout == "wanted: True\n"


def test_a_headless_session_asks_nobody(tmp_path: Path) -> None:
    written(tmp_path, text(status="done"))
    with Terminal(
        [*command()[:2], command()[2].replace("yes=", "yes=False, can_ask=")], tmp_path, os.environ
    ) as terminal:
        assert terminal.wait() == 1
    assert "plan.md: status: is done, and a headless session asks nobody; " in terminal.text
