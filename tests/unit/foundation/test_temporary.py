"""Temporary folders: what killed processes left goes, what any process still uses stays."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from lw_coder.foundation.temporary import remove_abandoned_temporary, temporary_folder
from tests.support.patience import wait_until

_KEEPS = """
import signal, subprocess, sys
from lw_coder.foundation.temporary import temporary_folder
with temporary_folder() as (path, descriptor):
    (path / "file").write_text("text")
    child = ""
    if {with_child}:
        child = subprocess.Popen(["sleep", "3600"], stdout=subprocess.DEVNULL, pass_fds=(descriptor,)).pid
    print(path, child, flush=True)
    signal.pause()
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    return folder


def killed(*, with_child: bool = False, before: Callable[[Path], object] = bool) -> tuple[Path, int]:
    """Have a process create a folder, and kill it; return the folder, and the process that outlives it."""
    script = _KEEPS.format(with_child=with_child)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        path, _, child = process.stdout.readline().strip().partition(" ")
        before(Path(path))
        process.kill()
    assert (Path(path) / "file").exists()
    return Path(path), int(child or 0)


def test_what_a_killed_process_left_is_removed_and_what_one_uses_is_not() -> None:
    def in_use(path: Path) -> None:
        remove_abandoned_temporary()
        assert (path / "file").exists()

    path, _ = killed(before=in_use)
    with temporary_folder() as (own, _):
        remove_abandoned_temporary()
        assert own.is_dir()
    assert not path.exists()
    assert not own.exists()


def test_what_a_child_uses_that_outlives_its_parent_stays() -> None:
    path, child = killed(with_child=True)
    remove_abandoned_temporary()
    assert (path / "file").exists()
    descriptor = os.pidfd_open(child)
    os.kill(child, signal.SIGKILL)
    select.select([descriptor], [], [])  # it has ended
    os.close(descriptor)
    remove_abandoned_temporary()
    assert not path.exists()


def test_links_other_names_and_files_stay(place: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    (place / "lw_coder-temporary-link1234").symlink_to(kept)
    (place / "lw_coder-temporary-file1234").touch()
    (place / "lw_coder-other").mkdir()
    abandoned = place / "lw_coder-temporary-abcd1234"
    abandoned.mkdir()
    (abandoned / "link").symlink_to(kept)
    remove_abandoned_temporary()
    assert sorted(path.name for path in place.iterdir()) == [
        "lw_coder-other",
        "lw_coder-temporary-file1234",
        "lw_coder-temporary-link1234",
    ]
    assert (kept / "file").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder to another user")
def test_another_users_folder_stays(place: Path) -> None:
    other = place / "lw_coder-temporary-abcd1234"
    other.mkdir()
    os.chown(other, 12345, 12345)
    remove_abandoned_temporary()
    assert other.is_dir()


def test_folders_are_created_while_others_look_for_abandoned_ones(place: Path) -> None:
    is_enough = Event()

    def sweep() -> None:
        while not is_enough.is_set():
            remove_abandoned_temporary()

    with ThreadPoolExecutor(2) as pool:
        sweeping = [pool.submit(sweep) for _ in range(2)]
        try:
            for _ in range(1000):
                with temporary_folder() as made:
                    assert made.path.is_dir()
        finally:
            is_enough.set()
        for one in sweeping:
            one.result()
    assert list(place.iterdir()) == []


_INTERRUPTED = """
import os, signal
from lw_coder.foundation import signals
from lw_coder.foundation.temporary import temporary_folder
signals.install()
os.kill(os.getpid(), signal.SIGTERM)
while True:  # no wait: the signal is raised in any code, after a while
    with temporary_folder():
        pass
"""


def test_a_signal_at_any_moment_leaves_nothing(place: Path) -> None:
    started = [subprocess.Popen([sys.executable, "-c", _INTERRUPTED]) for _ in range(20)]
    assert {process.wait() for process in started} == {128 + signal.SIGTERM}
    assert list(place.iterdir()) == []


def test_a_folder_goes_in_which_a_process_still_writes(place: Path) -> None:
    script = 'for n in $(seq 1000); do : >"$0/$n" || exit 0; done'
    with temporary_folder() as (path, _):
        writer = subprocess.Popen(["sh", "-c", script, str(path)], stderr=subprocess.DEVNULL)
        wait_until((path / "1").exists, "the first file")
    writer.wait()
    assert list(place.iterdir()) == []
