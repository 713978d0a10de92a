"""When a wait for git is broken off, all that git started has ended before anything else is done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.git_repository import make_repository
from tests.support.patience import PATIENCE, wait_until

# git waits for the filter, the filter for a child of its own.
FILTER = "touch '{}'; sleep 600; cat"
DEAF = "trap '' TERM; " + FILTER
MARK = "LW_CODER_TEST_GIT"

PROGRAM = f"""
import os
from contextlib import suppress
from pathlib import Path
from lw_coder.cli import cli, main
from lw_coder.repository.git import find_repository, run_git

MARK = b"{MARK}=" + os.environb[b"{MARK}"]

@cli.command()
def work():
    repository = find_repository(Path.cwd())
    tree = repository.root.parent / "tree"
    try:
        run_git("worktree", "add", "--quiet", "--detach", str(tree), "HEAD", place=repository.place)
    finally:
        for environ in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):
                if environ.parent.name != str(os.getpid()) and MARK in environ.read_bytes():
                    Path("left").touch()

main()
"""


@pytest.mark.parametrize("smudge", [FILTER, DEAF], ids=["heeding", "deaf"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_git_and_all_that_it_started(
    tmp_path: Path, smudge: str, number: signal.Signals
) -> None:
    started, repository = tmp_path / "started", make_repository(tmp_path / "repository")
    repository.commit(name=".gitattributes", text="*.slow filter=slow\n")
    repository.commit(name="one.slow")
    repository.run("config", "filter.slow.smudge", smudge.format(started))
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "work"],
        cwd=repository.path,
        env={**os.environ, MARK: str(tmp_path)},
    ) as process:
        wait_until(started.exists, "the filter")
        process.send_signal(number)
        assert process.wait(PATIENCE) == 128 + number
    assert list(_marked(str(tmp_path))) == []
    assert not (repository.path / "left").exists(), "something was at work when the clean-up began"
    if smudge == FILTER:  # git had the time to remove what it had half made
        assert not (tmp_path / "tree").exists()
        assert repository.run("worktree", "list", "--porcelain").count("worktree ") == 1


def _marked(mark: str) -> Iterator[str]:
    for environ in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # it has ended meanwhile
            if f"{MARK}={mark}".encode() in environ.read_bytes():
                yield environ.with_name("cmdline").read_text()


PRESSED = """
import os, signal, time
from pathlib import Path
from lw_coder.foundation.signals import install, leave_interrupts_to_session
from lw_coder.repository.git import Place, run_git

install()
leave_interrupts_to_session()
if (presser := os.fork()) == 0:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while os.getppid() != 1:
        os.killpg(0, signal.SIGINT)
        time.sleep(0.0001)
    os._exit(0)
try:
    for _ in range(400):
        run_git("version", place=Place(Path.cwd()))
finally:
    os.kill(presser, signal.SIGKILL)
"""


def test_a_ctrl_c_that_is_not_for_lw_coder_never_ends_a_git_that_is_being_started() -> None:
    program = [sys.executable, "-c", PRESSED]
    ended = subprocess.run(program, check=False, capture_output=True, text=True, process_group=0)
    assert (ended.returncode, ended.stderr) == (0, "")
