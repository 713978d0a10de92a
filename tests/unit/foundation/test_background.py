"""Work beside the main line: its result, its errors, and its end with all that it started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lw_coder.foundation.background import Background, BackgroundError, wait_for
from lw_coder.foundation.errors import EngineError

_SLEEPER = "import sys, time; open(sys.argv[1], 'w').close(); time.sleep(60)"


def _fail() -> str:
    raise EngineError("the image could not be built", "look into the log")


def _stumble() -> str:
    raise ValueError("a secret")


def _think() -> str:
    time.sleep(0.2)
    return "prompts"


def _die() -> str:
    os.kill(os.getpid(), signal.SIGKILL)
    return ""


def test_what_it_returns_comes_back() -> None:
    with Background(lambda: {"image": "sha256:0"}) as work:
        assert work.result() == {"image": "sha256:0"}


def test_a_brief_wait_for_it_ends_with_it_or_before() -> None:
    with Background(_think) as work:
        assert not work.ends_within(0.0)
        assert work.ends_within(60.0)
        assert work.result() == "prompts"
        assert work.ends_within(0.0)


def test_an_expected_error_comes_back_whole() -> None:
    with Background(_fail) as work, pytest.raises(EngineError) as caught:
        work.result()
    assert (caught.value.message, caught.value.remedy) == (
        "the image could not be built",
        "look into the log",
    )


def test_another_error_comes_back_without_its_text() -> None:
    with Background(_stumble) as work, pytest.raises(BackgroundError) as caught:
        work.result()
    assert str(caught.value) == "ValueError"
    (stack,) = caught.value.__notes__
    assert "in _stumble" in stack
    assert not isinstance(caught.value, OSError), "a run's folder would blame the disk"


def test_a_failure_beside_what_is_waited_for_is_told_at_once() -> None:
    began = time.monotonic()
    with (
        Background(lambda: time.sleep(60)) as slow,
        Background(_fail) as failing,
        pytest.raises(EngineError, match="could not be built"),
    ):
        wait_for(slow, failing)
    assert time.monotonic() - began < 20


def test_what_has_ended_well_beside_it_is_not_in_the_way() -> None:
    with Background(_think) as slow, Background(lambda: "image") as quick:
        assert wait_for(slow, quick) == "prompts"
        assert quick.result() == "image"


def test_one_that_is_killed_is_a_bug_too() -> None:
    with Background(_die) as work, pytest.raises(BackgroundError, match="was ended from outside"):
        work.result()


def test_it_ends_with_its_block_and_all_that_it_started_with_it(tmp_path: Path) -> None:
    started, began = tmp_path / "started", time.monotonic()

    def sleep() -> int:
        return subprocess.run([sys.executable, "-c", _SLEEPER, str(started)], check=False).returncode

    with Background(sleep, awaits_client=True):
        while not started.exists():
            assert time.monotonic() - began < 20
            time.sleep(0.02)
    assert time.monotonic() - began < 25
    lines = [_command_line(path) for path in Path("/proc").glob("[0-9]*/cmdline")]
    assert not [line for line in lines if str(started) in line]


def _command_line(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # it has ended meanwhile
        return ""
