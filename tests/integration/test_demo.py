"""The demo as a newcomer runs it: without a terminal, and broken off in the middle."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import IMAGES
from tests.support.agent_script import COMMIT_MESSAGE, FINDINGS
from tests.support.engine import docker
from tests.support.patience import PATIENCE, wait_until
from tests.support.sample_repository import PLAN_ID, run_git

BRANCH = f"lw/task/{PLAN_ID}"
CHECKOUT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The demo's folder, while no other test runs a demo: each serves its model at the same port.

    The name of its image goes with it.
    """
    folder = tmp_path / "demo"
    with (tmp_path_factory.getbasetemp().parent / "demo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
    for services in folder.glob("sample/.lw_coder/runs/*/*/services.yml"):
        for tag in re.findall(r'image: "(lw_coder_droid:[0-9a-f]{12})"', services.read_text()):
            IMAGES.add(tag)


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.demo", "--folder", str(folder)],
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={
            **os.environ,
            "OPENROUTER_MODEL": "the-persons/own",
            "OPENROUTER_BASE_URL": "http://127.0.0.1:1",
        },
    )


def containers_of(folder: Path) -> list[str]:
    worktree = folder / "sample/.lw_coder/worktrees" / PLAN_ID
    return docker("ps", "--all", "--quiet", "--filter", f"volume={worktree}").split()


def test_the_demo_shows_a_run_and_says_that_its_model_is_scripted(folder: Path) -> None:
    demo = start(folder)
    said, _ = demo.communicate(timeout=PATIENCE)

    assert demo.returncode == 0, said
    assert "THE MODEL IS SCRIPTED" in said
    assert "Prompts: from the cache." in said
    unwrapped = "".join(re.findall(r"\w+", said))
    assert all("".join(re.findall(r"\w+", finding)) in unwrapped for finding in FINDINGS.values())
    assert f"1 new on {BRANCH}" in said
    log = run_git(folder / "sample", "log", "--format=%s", f"main..{BRANCH}")
    assert log == COMMIT_MESSAGE
    assert containers_of(folder) == []
    for hint in ("run --rm droid", "tests.support.scripted_model", "git log -p", "OPENROUTER_API_KEY"):
        assert hint in said
    named = re.findall(r"(\.lw_coder/runs/\S+?)(?:,|\s|$)", said)
    assert named
    assert all((folder / "sample" / name).exists() for name in named)


def test_a_demo_broken_off_leaves_no_container_and_no_server(folder: Path) -> None:
    demo = start(folder)
    wait_until(lambda: containers_of(folder) or demo.poll() is not None, "its container")
    base_url = re.search(r"URL=(http\S+)", (folder / "sample/.env").read_text())
    demo.send_signal(signal.SIGINT)
    said, _ = demo.communicate(timeout=PATIENCE)

    assert demo.returncode == 130, said
    assert "interrupted" in said
    assert containers_of(folder) == []
    assert base_url
    assert _refused(base_url[1])


def test_a_folder_in_the_way_is_refused_in_one_line(folder: Path) -> None:
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    demo = start(folder)
    said, _ = demo.communicate(timeout=PATIENCE)
    assert demo.returncode == 1
    assert said.strip() == f"demo: failed: {folder}: is not empty; choose a new or an empty folder"
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]


def _refused(url: str) -> bool:
    probe = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1] + '/models', timeout=60)"
    done = subprocess.run([sys.executable, "-c", probe, url], capture_output=True, text=True, check=False)
    return "Connection refused" in done.stderr
