"""`[code] notify`: a real program, told of a headless run that could not begin; programs that go wrong."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from lw_coder.commands import notification
from lw_coder.commands.notification import PASSED_ON, notify
from lw_coder.foundation.processes import run_program
from tests.support.forked import forked
from tests.support.living import is_living
from tests.support.patience import NEVER, wait_until
from tests.support.result_schema import result_of
from tests.support.sample_repository import KEY, PLAN_ID, SampleRepository, make_sample_repository

RECEIVER = ["sh", "-c", 'cat > "$0"; env > "$0.env"; pwd > "$0.place"; echo printed', "told"]


@pytest.fixture
def sample(tmp_path: Path) -> SampleRepository:
    made = make_sample_repository(tmp_path / "sample")
    made.write_env("http://127.0.0.1:9/v1")
    return made


def code(sample: SampleRepository, command: list[str], *words: str) -> subprocess.CompletedProcess[str]:
    """Type `lw_coder code --headless` where no engine answers."""
    text = f'[code]\nforward_env = ["*"]\nnotify = {json.dumps(command)}\n'
    (sample.root / ".lw_coder/config.toml").write_text(text)
    more = {"PATH": "/usr/bin:/bin", "DOCKER_HOST": "unix:///nowhere.sock", "LC_KEY": KEY, "DISPLAY": ":7"}
    return forked("code", *words, cwd=sample.root, env={**os.environ, **more})


def test_the_result_is_told_and_no_key(sample: SampleRepository) -> None:
    ended = code(sample, RECEIVER, PLAN_ID, "--headless", "--json")
    told = (sample.root / "told").read_text()
    assert told == ended.stdout
    result = result_of(told)
    assert (ended.returncode, result["outcome"], result["plan_id"]) == (1, "error", PLAN_ID)
    assert "docker" in result["error"]["message"].lower()
    assert (sample.root / "told.place").read_text() == f"{sample.root}\n"
    variables = dict(line.split("=", 1) for line in (sample.root / "told.env").read_text().splitlines())
    assert variables["DISPLAY"] == ":7"
    assert variables.keys() <= {*PASSED_ON, "PWD", "OLDPWD", "SHLVL", "_"}
    assert KEY not in (sample.root / "told.env").read_text() + told
    assert "printed" in ended.stderr


def test_without_json_it_is_told_too(sample: SampleRepository) -> None:
    ended = code(sample, RECEIVER, PLAN_ID, "--headless")
    assert result_of((sample.root / "told").read_text())["exit_code"] == ended.returncode == 1
    assert ended.stdout == ""


def test_at_a_terminal_and_without_a_plan_nobody_is_told(sample: SampleRepository) -> None:
    for words in ((PLAN_ID,), ("no-such-plan", "--headless")):
        assert code(sample, RECEIVER, *words).returncode == 1
        assert not (sample.root / "told").exists()


# Each is a warning, and changes nothing else.
FAILURES = {
    "missing": (["no-such-program"], "cannot be started: No such file or directory"),
    "forbidden": (["/etc/passwd"], "cannot be started: Permission denied"),
    "failing": (["sh", "-c", "exit 3"], "ended with status 3"),
    "deaf": (["true"], ""),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_is_a_warning(sample: SampleRepository, name: str) -> None:
    command, said = FAILURES[name]
    ended = code(sample, command, PLAN_ID, "--headless", "--json")
    assert (ended.returncode, result_of(ended.stdout)["exit_code"]) == (1, 1)
    assert (f"warning: notify: {command[0]}: {said}; the result is not affected" in ended.stderr) == bool(
        said
    )


def test_a_hanging_program_is_ended_with_what_it_started(tmp_path: Path) -> None:
    command = ["sh", "-c", f"sleep {NEVER:.0f} & echo $! > pid; wait"]
    assert run_program(command, "x" * 1_000_000, tmp_path, os.environ, 1) == "did not end within 1 seconds"
    pid = int((tmp_path / "pid").read_text())
    wait_until(lambda: not is_living(pid), "the end of what it started")


def test_its_time_is_bounded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 1 <= notification.SECONDS <= 60
    notify(["sh", "-c", "cat > got"], tmp_path, "{}")
    assert (tmp_path / "got").read_text() == "{}\n"
    assert capsys.readouterr().err == ""
