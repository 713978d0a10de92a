"""What runs the setup commands in a session's container, run here; and what is believed of what it leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lw_coder.foundation.bounded_log import KEPT
from lw_coder.foundation.redaction import Redaction
from lw_coder.runs.session_result import SessionResult
from lw_coder.sessions.setup_commands import setup_mounts, with_setup, write_setup_files
from tests.support.living import is_living
from tests.support.patience import NEVER, PATIENCE, wait_until

SECRET = {"TOKEN": "value-of-the-token"}
AGENT = ("sh", "-c", "echo the agent, $LW_CODER_PREPARED; exit 4")


def start(folder: Path, *commands: str, variables: Mapping[str, str] = SECRET) -> subprocess.Popen[str]:
    write_setup_files(folder, commands, variables)
    return subprocess.Popen(
        [sys.executable, str(folder / "setup/run-setup"), *AGENT],
        cwd=folder,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(folder: Path, *commands: str) -> tuple[int, str, str]:
    with start(folder, *commands) as process:
        stdout, stderr = process.communicate(timeout=PATIENCE)
    return process.returncode, stdout, stderr


def log(folder: Path) -> str:
    return (folder / "setup/out/log").read_text()


def ended(folder: Path, status: int, *commands: str) -> SessionResult:
    now = datetime.now(UTC)
    return with_setup(folder, commands, Redaction(SECRET), SessionResult(status, now, now))


def test_the_commands_run_in_order_and_then_the_agent(tmp_path: Path) -> None:
    assert run(tmp_path, "echo one > a", "cat a; echo two >&2", "cat") == (4, "the agent, yes\n", "")
    assert log(tmp_path) == "$ echo one > a\n$ cat a; echo two >&2\none\ntwo\n$ cat\n"
    result = ended(tmp_path, 4, "x")
    assert (result.setup, result.outcome) == (None, "failed")
    assert (tmp_path / "setup.log").read_text().endswith("two\n$ cat\n")
    assert (tmp_path / "setup.log").stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "setup/out/log").exists()


def test_the_first_that_fails_is_the_last(tmp_path: Path) -> None:
    commands = ("true", "echo it is $TOKEN; exit 5", "touch never")
    status, stdout, stderr = run(tmp_path, *commands)
    assert (status, stdout) == (79, "")
    assert stderr == "it is [TOKEN]\ncommand 2 of 3 of [code] setup failed with status 5\n"
    assert not (tmp_path / "never").exists()
    failure = ended(tmp_path, 79, *commands).setup
    assert failure
    assert failure.what == f"the setup command failed with status 5: {commands[1]}"
    assert failure.tail[-1] == "it is [TOKEN]"


def test_a_value_is_removed_in_whatever_pieces_it_comes(tmp_path: Path) -> None:
    run(tmp_path, "printf value-of-; sleep 0.3; printf the-token; echo; printf %s $TOKEN")
    assert log(tmp_path).endswith("\n[TOKEN]\n[TOKEN]")


def test_a_value_of_several_lines_is_removed_where_it_is_kept(tmp_path: Path) -> None:
    several = {"PEM": "-- begin\nsome lines\n-- end"}
    with start(tmp_path, 'echo "$PEM"', variables=several) as process:
        process.communicate(timeout=PATIENCE)
    now = datetime.now(UTC)
    with_setup(tmp_path, ("x",), Redaction(several), SessionResult(0, now, now))
    assert (tmp_path / "setup.log").read_text() == '$ echo "$PEM"\n[PEM]\n'


def test_a_command_can_leave_something_running(tmp_path: Path) -> None:
    status, _, _ = run(tmp_path, f"sleep {NEVER:.0f} & echo $! > pid", "echo after")
    assert status == 4
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    assert log(tmp_path).endswith("$ echo after\nafter\n")


def test_much_output_is_cut_in_its_middle(tmp_path: Path) -> None:
    run(tmp_path, "echo begun; yes x | head -c 5000000; echo over")
    text = log(tmp_path)
    assert "\nbegun\n" in text[:200]
    assert text.endswith("\nover\n")
    assert "bytes left out ...]" in text
    assert len(text) < 4 * KEPT


def test_one_endless_line_is_kept_too(tmp_path: Path) -> None:
    run(tmp_path, "head -c 5000000 /dev/zero | tr '\\0' x")
    assert KEPT < len(log(tmp_path)) < 4 * KEPT


def test_asked_to_end_it_ends_its_command_and_keeps_the_log(tmp_path: Path) -> None:
    with start(tmp_path, f"echo waits; echo $$ > pid; sleep {NEVER:.0f}") as process:
        wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text() != "", "a command")
        process.terminate()
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 143
    assert log(tmp_path).endswith("waits\n")
    pid = int((tmp_path / "pid").read_text())
    wait_until(lambda: not is_living(pid), "the command's end")


NO_ENDS = ("", "[", "[" * 900, "{}", '{"failed": "x", "status": 1}', '{"failed": 9, "status": 1}')


@pytest.mark.parametrize("end", NO_ENDS)
def test_what_the_container_says_of_its_end_is_not_trusted(tmp_path: Path, end: str) -> None:
    write_setup_files(tmp_path, ["true"], SECRET)
    out = tmp_path / "setup/out"
    (out / "end.json").write_text(end)
    (tmp_path / "elsewhere").write_text("of the host")
    (out / "log").symlink_to(tmp_path / "elsewhere")
    failure = ended(tmp_path, 79, "true").setup
    assert failure
    assert failure.what == "the commands of [code] setup could not be run"
    assert (tmp_path / "setup.log").read_text() == ""
    assert (tmp_path / "elsewhere").exists()


def test_an_image_that_does_not_run_them_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_setup_files(tmp_path, ["true"], SECRET)
    assert ended(tmp_path, 0, "true").outcome == "completed"
    assert "start-session of its own" in capsys.readouterr().err


def test_the_container_can_write_only_what_is_printed(tmp_path: Path) -> None:
    assert [mount.target for mount in setup_mounts(tmp_path) if not mount.read_only] == [
        "/lw_coder-setup/out"
    ]
    write_setup_files(tmp_path, ["true"], SECRET)
    given = json.loads((tmp_path / "setup/commands.json").read_text())
    assert given == {"commands": ["true"], "variables": ["TOKEN"]}
