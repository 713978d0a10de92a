"""Ctrl+C and SIGTERM before the session: the command ends at once, and everything is as it was."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import LW_CODER, Person
from tests.support.engine import bridge_address
from tests.support.patience import wait_until
from tests.support.refusal import shown_lines
from tests.support.sample_repository import PLAN_ID, SampleRepository
from tests.support.scripted_model import Reply, ScriptedModel
from tests.support.snapshot import changes, snapshot
from tests.support.terminal import Terminal

SLOW_BUILD = "FROM lw_coder_droid:latest\nRUN echo {} && sleep infinity\n"


def press_ctrl_c(terminal: Terminal, _: Path) -> None:
    terminal.press_ctrl_c()


def send_sigterm(_: Terminal, root: Path) -> None:
    """Signal lw_coder alone: what it started is its to end."""
    (holder,) = root.glob(".git/lw_coder-*.plan")
    os.kill(json.loads(holder.read_text())["pid"], signal.SIGTERM)


ENDS = pytest.mark.parametrize(
    ("end", "status"), [(press_ctrl_c, 130), (send_sigterm, 143)], ids=["ctrl-c", "sigterm"]
)
End = Callable[[Terminal, Path], None]


@pytest.fixture
def silent_model(engine: str) -> Iterator[ScriptedModel]:
    assert engine
    with ScriptedModel(lambda _: Reply(silent=True), host=bridge_address()) as server:
        yield server


@ENDS
def test_it_is_interrupted_while_prompts_are_written(
    sample: SampleRepository, person: Person, silent_model: ScriptedModel, end: End, status: int
) -> None:
    sample.write_env(silent_model.base_url)
    _interrupted(sample, person, lambda: bool(silent_model.count("dspy")), end, status)


@ENDS
def test_it_is_interrupted_while_an_image_is_built(
    sample: SampleRepository, person: Person, end: End, status: int
) -> None:
    # The text is this repository's own: two tests that build the same image would wait for one another's.
    (sample.root / ".lw_coder/code.Dockerfile").write_text(SLOW_BUILD.format(sample.root))
    _interrupted(sample, person, lambda: _is_building(person.home), end, status)


def test_it_is_interrupted_while_both_are_at_work(
    sample: SampleRepository, person: Person, silent_model: ScriptedModel
) -> None:
    sample.write_env(silent_model.base_url)
    (sample.root / ".lw_coder/code.Dockerfile").write_text(SLOW_BUILD.format(sample.root))

    def both() -> bool:
        return bool(silent_model.count("dspy")) and _is_building(person.home)

    _interrupted(sample, person, both, send_sigterm, 143)


def test_prompts_that_fail_do_not_wait_for_the_image(
    sample: SampleRepository, person: Person, silent_model: ScriptedModel
) -> None:
    sample.write_env(silent_model.base_url.replace("/v1", "/none"))  # 404
    (sample.root / ".lw_coder/code.Dockerfile").write_text(SLOW_BUILD.format(sample.root))
    before = snapshot(sample.root)
    assert person.runs_to_the_end("code", PLAN_ID)[0] == 1
    assert changes(before, snapshot(sample.root)) == []
    _no_docker_client_is_left(sample.root)


def _interrupted(
    sample: SampleRepository, person: Person, is_time: Callable[[], bool], end: End, status: int
) -> None:
    before = snapshot(sample.root)
    with person.types(LW_CODER, "code", PLAN_ID) as terminal:
        terminal.wait_until(is_time, "the moment to interrupt")
        assert changes(before, snapshot(sample.root)), "nothing had been made yet"
        end(terminal, person.cwd)
        assert terminal.wait() == status, terminal.text
    lines = shown_lines(terminal)
    assert not [line for line in lines if "Traceback" in line or line.startswith("error:")], terminal.text
    assert (lines[-1] == "interrupted") == (status == 130), terminal.text
    assert changes(before, snapshot(sample.root)) == []
    _no_docker_client_is_left(sample.root)


def _is_building(home: Path) -> bool:
    """The RUN that sleeps is at work, as the build's own log says."""
    logs = home.glob(".local/state/lw_coder/log/build-*.log")
    return any("RUN echo" in log.read_text() for log in logs)


def _no_docker_client_is_left(root: Path) -> None:
    """None runs on this repository's folder any more, though the build would never have ended."""
    wait_until(lambda: not [line for line in _command_lines() if str(root) in line], "the clients' end")


def _command_lines() -> list[str]:
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_text(errors="replace").replace("\0", " "))
        except OSError:  # it has ended meanwhile
            continue
    return [line for line in lines if "compose" in line]
