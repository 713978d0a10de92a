"""Real processes hold the lock."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lw_coder.foundation.errors import RunError, StateError
from lw_coder.foundation.locks import (
    batch_lock,
    child_lock,
    holder_of_child_lock,
    is_locked,
    note_child,
    plan_lock,
)
from lw_coder.foundation.processes import start_program
from lw_coder.foundation.state import lock_folder
from tests.support.patience import wait_until

_HOLD = """
import sys
from pathlib import Path
from lw_coder.foundation.locks import plan_lock
with plan_lock(Path(sys.argv[1]), "a-plan"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_the_second_is_refused_and_told_who_is_first(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    with pytest.raises(RunError) as caught, plan_lock(tmp_path, "a-plan"):
        pass
    assert re.search(
        rf"\(process {holder.pid}, since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d UTC\)$", caught.value.message
    )
    assert caught.value.remedy
    assert is_locked(tmp_path, "a-plan")


def test_other_plans_are_free(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    assert holder.poll() is None
    assert not is_locked(tmp_path, "b-plan")
    with plan_lock(tmp_path / "elsewhere", "a-plan"):
        assert is_locked(tmp_path / "elsewhere", "a-plan")


def test_a_killed_holder_holds_nothing(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait()
    assert not is_locked(tmp_path, "a-plan")
    with plan_lock(tmp_path, "a-plan"):
        assert is_locked(tmp_path, "a-plan")


def test_released_at_the_end_and_by_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="inside"), plan_lock(tmp_path, "a-plan"):
        raise RunError("inside", "none")
    assert not is_locked(tmp_path, "a-plan")
    assert not list(lock_folder().glob("*.json"))


@pytest.mark.parametrize("text", ["", "[]", "{}", "{"])
def test_a_damaged_note_of_the_holder(tmp_path: Path, holder: subprocess.Popen[str], text: str) -> None:
    assert holder.poll() is None
    (note,) = lock_folder().glob("*.json")
    note.write_text(text, encoding="ascii")
    with pytest.raises(RunError, match=r"already running on this plan$"), plan_lock(tmp_path, "a-plan"):
        pass


def test_nothing_is_left_in_the_repository(tmp_path: Path) -> None:
    with plan_lock(tmp_path, "a-plan"):
        assert list(tmp_path.iterdir()) == []
    assert lock_folder().stat().st_mode & 0o777 == 0o700


def test_a_lock_that_cannot_be_taken(tmp_path: Path) -> None:
    with plan_lock(tmp_path, "a-plan"):
        (lock,) = lock_folder().glob("*.lock")
    lock.unlink(missing_ok=True)
    lock.mkdir()
    with pytest.raises(RunError, match=r"\.lock: cannot be locked: "), plan_lock(tmp_path, "a-plan"):
        pass
    with pytest.raises(RunError, match=r"\.lock: cannot be locked: "):
        is_locked(tmp_path, "a-plan")


def test_a_note_that_cannot_be_written(tmp_path: Path) -> None:
    with plan_lock(tmp_path, "a-plan"):
        (note,) = lock_folder().glob("*.json")
    note.mkdir()
    with pytest.raises(RunError, match=r"\.json: cannot be locked: "), plan_lock(tmp_path, "a-plan"):
        pass
    assert not is_locked(tmp_path, "a-plan")


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_anothers(tmp_path: Path) -> None:
    lock_folder().chmod(0o500)
    with pytest.raises(StateError, match="is not yours to write"), plan_lock(tmp_path, "a-plan"):
        pass


def test_a_repository_whose_path_is_no_text(tmp_path: Path) -> None:
    with plan_lock(tmp_path / os.fsdecode(b"caf\xe9"), "a-plan"):
        assert is_locked(tmp_path / os.fsdecode(b"caf\xe9"), "a-plan")


def test_a_child_holds_its_lock_as_long_as_it_runs(tmp_path: Path) -> None:
    assert holder_of_child_lock(tmp_path, "a-plan") is None
    with child_lock(tmp_path, "a-plan") as lock:
        assert lock is not None
        note_child(lock, 1234567890)  # of an earlier one, with a longer id
    with child_lock(tmp_path, "a-plan") as lock:
        assert lock is not None
        child = start_program(["sleep", "36000"], tmp_path, tmp_path / "out", tmp_path / "err", lock)
        assert holder_of_child_lock(tmp_path, "a-plan") == 0, "its id is not written yet"
        note_child(lock, child.pid)
    assert holder_of_child_lock(tmp_path, "a-plan") == child.pid, "although its parent has it no more"
    with child_lock(tmp_path, "a-plan") as lock:
        assert lock is None
    child.terminate()
    wait_until(lambda: child.status() is not None, "its end")
    assert child.status() == -signal.SIGTERM
    assert holder_of_child_lock(tmp_path, "a-plan") is None


def test_one_batch_at_a_time(tmp_path: Path) -> None:
    with batch_lock(tmp_path), plan_lock(tmp_path, "a-plan"):
        refusal = pytest.raises(RunError, match="a batch is already running in this repository")
        with refusal as refused, batch_lock(tmp_path):
            pass
        assert f"process {os.getpid()}" in refused.value.message
    with batch_lock(tmp_path):
        pass
