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
from lw_coder.foundation.processes import awaited
from lw_coder.foundation.signals import interruptible
from tests.support.living import is_living
from tests.support.patience import NEVER, PATIENCE, wait_until

_SLEEPER = f"import sys, time; open(sys.argv[1], 'w').close(); time.sleep({NEVER})"


def _fail() -> str:
    raise EngineError("the image could not be built", "look into the log")


def _stumble() -> str:
    raise ValueError("a secret")


def _think() -> str:
    return "prompts"


def _die() -> str:
    os.kill(os.getpid(), signal.SIGKILL)
    return ""


def test_what_it_returns_comes_back() -> None:
    with Background(lambda: {"image": "sha256:0"}) as work:
        assert work.result() == {"image": "sha256:0"}


def test_a_brief_wait_for_it_ends_with_it_or_before() -> None:
    awaited, word = os.pipe()
    with Background(lambda: os.read(awaited, 7).decode()) as work:
        assert not work.ends_within(0.1)
        os.write(word, b"prompts")
        assert work.ends_within(PATIENCE)
        assert work.result() == "prompts"
        assert work.ends_within(0.0)
    os.close(awaited)
    os.close(word)


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
    with (
        Background(lambda: time.sleep(NEVER)) as slow,
        Background(_fail) as failing,
        pytest.raises(EngineError, match="could not be built"),
    ):
        wait_for(slow, failing)


def test_what_has_ended_well_beside_it_is_not_in_the_way() -> None:
    with Background(_think) as slow, Background(lambda: "image") as quick:
        assert wait_for(slow, quick) == "prompts"
        assert quick.result() == "image"


def test_one_that_is_killed_is_a_bug_too() -> None:
    with Background(_die) as work, pytest.raises(BackgroundError, match="was ended from outside"):
        work.result()


@pytest.mark.parametrize("cleans_up", [False, True])
def test_it_ends_with_its_block_and_all_that_it_started_with_it(tmp_path: Path, *, cleans_up: bool) -> None:
    started, ended = tmp_path / "started", tmp_path / "ended"

    def sleep() -> int:
        command = [sys.executable, "-c", _SLEEPER, str(started)]
        try:
            # A group of its own is for the call to end, that of the call's process for the block.
            group = 0 if cleans_up else None
            process = subprocess.Popen(command, stdout=subprocess.PIPE, process_group=group)
            with awaited(process), interruptible():
                return process.wait()
        finally:
            ended.touch()

    with Background(sleep, cleans_up=cleans_up):
        wait_until(started.exists, "its process")
    assert ended.exists() == cleans_up
    lines = [_command_line(path) for path in Path("/proc").glob("[0-9]*/cmdline")]
    assert not [line for line in lines if str(started) in line]


def test_one_that_has_hardly_begun_is_ended() -> None:
    for number in range(20):
        with Background(lambda: time.sleep(NEVER), cleans_up=number % 2 == 0) as work:
            pass
        assert work.ends_within(0.0)


def _command_line(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # it has ended meanwhile
        return ""


_KILLED = f"""
import os, signal, time
from lw_coder.foundation.background import Background

def work():
    print(os.getpid(), flush=True)
    time.sleep({NEVER})

with Background(work, cleans_up=True), Background(work):
    time.sleep({NEVER})
"""


def test_it_ends_with_a_parent_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", _KILLED], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        children = [int(parent.stdout.readline()) for _ in range(2)]
        parent.kill()
        assert parent.stdout.read() == ""  # each of them held its other end
    wait_until(lambda: not any(map(is_living, children)), "their end")
