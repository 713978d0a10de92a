"""An engine that takes requests and answers none, as one that is frozen."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lw_coder.containers.docker_command import Patience, Question
from lw_coder.foundation.errors import ExitCode, SilentEngineError
from tests.integration.conftest import Person
from tests.support.patience import NEVER, PATIENCE, read_until
from tests.support.sample_repository import PLAN_ID, SampleRepository
from tests.support.terminal import Terminal


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[str]:
    """Its DOCKER_HOST."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "sock"))
        listening.listen()
        yield f"unix://{tmp_path}/sock"


def test_an_answer_is_not_waited_for_for_ever(silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", silent)
    patience = Patience(usual=0.5, afterwards=0.25)
    with pytest.raises(SilentEngineError, match=r"it said nothing for 0\.5 seconds"):
        patience.ask("container", "ls")
    with pytest.raises(SilentEngineError, match=r"it said nothing for 0\.25 seconds"):
        patience.ask("container", "ls")
    question = Question("version")
    assert not question.is_answered(0.1)
    assert question.answer(0.1) == ""


_WAITED_FOR = "Docker:   the engine does not answer yet; waiting for it"


@pytest.mark.usefixtures("known_prompts")
@pytest.mark.parametrize(
    "words",
    [
        ("code", PLAN_ID, "--headless", "--json"),
        ("drop", PLAN_ID, "--yes", "--json"),
        ("clean", "--json"),
        ("doctor", "--json"),
        ("batch", PLAN_ID, "--json"),
        ("nodes", "--json"),
    ],
    ids=" ".join,
)
def test_it_is_said_what_is_waited_for(person: Person, silent: str, words: tuple[str, ...]) -> None:
    person.extra = {"DOCKER_HOST": silent}
    with person.starts(*words) as process:
        assert _WAITED_FOR in read_until(process, "the engine does not answer").splitlines()
        process.send_signal(signal.SIGTERM)
        stdout, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + signal.SIGTERM
    assert _WAITED_FOR not in stdout


_ASK = """
from lw_coder.containers import docker_command, engine_wait
from lw_coder.foundation import report
engine_wait._TOLD_AFTER = {told_after}
report._OPTIONS.is_quiet = {is_quiet}
patience = docker_command.Patience(usual={usual}, afterwards=0.5)
for _ in range(2):
    try:
        patience.ask("container", "ls")
    except docker_command.SilentEngineError:
        pass
print("over")
"""


def _asks(told_after: float, usual: float, *, is_quiet: bool = False) -> tuple[str, ...]:
    return (sys.executable, "-c", _ASK.format(told_after=told_after, usual=usual, is_quiet=is_quiet))


def test_at_a_terminal_it_is_shown_until_the_answer_comes(tmp_path: Path, silent: str) -> None:
    with Terminal(
        _asks(told_after=NEVER, usual=2), tmp_path, {**os.environ, "DOCKER_HOST": silent}
    ) as terminal:
        assert terminal.wait(PATIENCE) == 0
    assert terminal.transcript.count(_WAITED_FOR.encode()) == 1
    assert terminal.text.split() == ["over"]


def test_it_is_said_once_and_not_to_who_wants_quiet(silent: str) -> None:
    env = {**os.environ, "DOCKER_HOST": silent}
    for is_quiet in (False, True):
        asking = _asks(told_after=1, usual=1.5, is_quiet=is_quiet)
        done = subprocess.run(asking, env=env, capture_output=True, text=True, check=True)
        assert (done.stdout, done.stderr) == ("over\n", "" if is_quiet else f"{_WAITED_FOR}\n")


def test_nothing_is_dropped_while_a_replay_can_be_running(
    person: Person, sample: SampleRepository, silent: str
) -> None:
    worktree = sample.root / ".lw_coder/worktrees" / PLAN_ID
    sample.git("worktree", "add", "--quiet", "-b", f"lw/task/{PLAN_ID}", str(worktree))
    person.extra = {"DOCKER_HOST": silent}
    with person.starts("drop", PLAN_ID, "--yes") as process:
        error = read_until(process, "error: ")
        assert process.wait(PATIENCE) == ExitCode.ERROR
    assert "the Docker engine does not answer: it said nothing for 90 seconds" in error
    assert worktree.is_dir()
    assert sample.git("branch", "--list", f"lw/task/{PLAN_ID}")
