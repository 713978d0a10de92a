"""Real processes hold the lock."""

from __future__ import annotations

import re
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
    is_locked,
    plan_lock,
    writers_lock,
)

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
