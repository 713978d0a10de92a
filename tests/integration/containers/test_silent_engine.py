"""An engine that takes requests and answers none, as one that is frozen."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from lw_coder.containers.docker_command import Patience, Question
from lw_coder.foundation.errors import SilentEngineError
from tests.integration.conftest import Person
from tests.support.patience import PATIENCE, read_until
from tests.support.sample_repository import PLAN_ID


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


@pytest.mark.usefixtures("known_prompts")
def test_it_is_said_what_a_start_waits_for(person: Person, silent: str) -> None:
    person.extra = {"DOCKER_HOST": silent}
    with person.starts("code", PLAN_ID, "--headless") as process:
        read_until(process, "Docker:   the engine does not answer yet; waiting for it")
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 128 + signal.SIGTERM
