"""Real processes hold the lock."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lw_coder.foundation.errors import RunError
from lw_coder.foundation.locks import (
    batch_lock,
    child_lock,
    exclusive,
    holder_of_child_lock,
    is_locked,
    note_child,
    plan_lock,
    writers_lock,
)
from lw_coder.foundation.processes import start_program
from tests.support.patience import wait_until, within_cpu_time

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
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with plan_lock(elsewhere, "a-plan"):
        assert is_locked(elsewhere, "a-plan")


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
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "[]", "{}", "{"])
def test_a_damaged_note_of_the_holder(tmp_path: Path, holder: subprocess.Popen[str], text: str) -> None:
    assert holder.poll() is None
    (note,) = tmp_path.iterdir()
    note.write_text(text, encoding="ascii")
    with pytest.raises(RunError, match=r"already running on this plan$"), plan_lock(tmp_path, "a-plan"):
        pass


def test_nothing_is_left_of_any_lock(tmp_path: Path) -> None:
    with (
        plan_lock(tmp_path, "a-plan"),
        batch_lock(tmp_path),
        writers_lock(tmp_path, "a-plan"),
        child_lock(tmp_path, "a-plan"),
    ):
        assert len(list(tmp_path.iterdir())) == 4
    assert list(tmp_path.iterdir()) == []
    assert not is_locked(tmp_path, "a-plan")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_holder_left_is_removed_by_the_next(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    holder.kill()
    holder.wait()
    assert len(list(tmp_path.iterdir())) == 1
    with plan_lock(tmp_path, "b-plan"):
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_is_removed_while_it_is_waited_for(tmp_path: Path) -> None:
    """Who has opened a file that its holder then removed must not think that it has the lock."""
    with plan_lock(tmp_path, "a-plan"):
        (lock,) = tmp_path.iterdir()
        late = os.open(lock, os.O_RDWR)
    with plan_lock(tmp_path, "a-plan"):
        fcntl.flock(late, fcntl.LOCK_EX | fcntl.LOCK_NB)  # it is free, and means nothing any more
        with pytest.raises(RunError, match="already running"), plan_lock(tmp_path, "a-plan"):
            pass
    os.close(late)


def test_who_only_looks_refuses_nobody(tmp_path: Path) -> None:
    with plan_lock(tmp_path, "a-plan"):
        (lock,) = tmp_path.iterdir()
        kept = lock.read_bytes()
    lock.write_bytes(kept)  # as a killed command leaves it
    looking = os.open(lock, os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_EX)
    timer = threading.Timer(0.05, os.close, [looking])
    timer.start()
    with plan_lock(tmp_path, "a-plan"):
        pass
    timer.join()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be two users")
def test_two_users_meet_at_one_lock(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    """Whoever comes second cannot write the first one's lock, and is told who has it all the same."""
    tmp_path.chmod(0o777)
    for folder in tmp_path.parents[:-1]:  # pytest's are closed to others
        folder.chmod(folder.stat().st_mode | 0o011)
    assert holder.poll() is None
    assert f"(process {holder.pid}, since " in _refusal_of_another_user(tmp_path)
    holder.kill()
    holder.wait()
    assert _refusal_of_another_user(tmp_path) == "", "what the first one left does not count"
    assert list(tmp_path.iterdir()) == []


def _refusal_of_another_user(folder: Path) -> str:
    def attempt() -> str:
        os.setuid(65534)
        try:
            with plan_lock(folder, "a-plan"):
                return ""
        except RunError as refused:
            return refused.message

    return within_cpu_time(60, attempt)


@pytest.mark.parametrize("kind", ["plan", "batch"])
def test_a_lock_that_cannot_be_taken(tmp_path: Path, kind: str) -> None:
    lock = plan_lock(tmp_path, "a-plan") if kind == "plan" else batch_lock(tmp_path)
    with lock:
        (path,) = tmp_path.iterdir()
    path.mkdir()
    again = plan_lock(tmp_path, "a-plan") if kind == "plan" else batch_lock(tmp_path)
    with pytest.raises(RunError, match=rf"\.{kind}: cannot be locked: "), again:
        pass


def test_a_folder_that_cannot_be_written() -> None:
    with pytest.raises(RunError, match=r"\.plan: cannot be locked: "), plan_lock(Path("/proc"), "a-plan"):
        pass
    assert not is_locked(Path("/proc"), "a-plan")


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


def test_a_batch_removes_the_locks_of_its_children(tmp_path: Path) -> None:
    (tmp_path / "git").mkdir()
    with batch_lock(tmp_path / "git"):
        with child_lock(tmp_path / "git", "a-plan") as lock:
            assert lock is not None
            child = start_program(["true"], tmp_path, tmp_path / "out", tmp_path / "err", lock)
        wait_until(lambda: child.status() is not None, "its end")
    assert list((tmp_path / "git").iterdir()) == []


def test_one_batch_at_a_time(tmp_path: Path) -> None:
    with batch_lock(tmp_path), plan_lock(tmp_path, "a-plan"):
        refusal = pytest.raises(RunError, match="a batch is already running in this repository")
        with refusal as refused, batch_lock(tmp_path):
            pass
        assert f"process {os.getpid()}" in refused.value.message
    with batch_lock(tmp_path):
        pass


def test_a_lock_that_is_removed_while_it_is_taken_has_one_holder(tmp_path: Path) -> None:
    inside = threading.Semaphore()

    def take_and_remove(_: int) -> bool:
        with exclusive(tmp_path / "lock") as is_ours:
            is_alone = not is_ours or inside.acquire(blocking=False)
            if is_ours:
                inside.release()
                (tmp_path / "lock").unlink()  # another holder would have removed it
        return is_alone

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(take_and_remove, range(10_000)))
