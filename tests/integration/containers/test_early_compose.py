"""A client that is started before its Compose files are there: it waits, and never goes on by itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest

from lw_coder.containers.docker_command import COMPOSE_FILE, SERVICES_FILE, HeadlessCall, PipedClient
from lw_coder.containers.early_compose import EarlyCompose
from tests.support.engine import docker
from tests.support.patience import PATIENCE, wait_until

LABEL = "lw_coder.test"
_COMPOSE = """\
name: {project}
services:
  droid:
    image: debian:trixie-slim
    network_mode: none
    labels: {{{label}: {project}}}
    environment: {{TOLD: "${{COMPOSE_ANSI:-nothing}}"}}
    entrypoint: [sh, -c, 'echo "told $$TOLD"; {after}']
"""
_KILLED = """\
import sys
from pathlib import Path
from lw_coder.containers.docker_command import HeadlessCall
from lw_coder.containers.early_compose import EarlyCompose
early = EarlyCompose()
early.start(HeadlessCall(Path(sys.argv[1]), sys.argv[2]))
print("started", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def call(tmp_path: Path) -> Iterator[HeadlessCall]:
    """A call whose files are not there yet."""
    project = f"early-{uuid4().hex}"
    (tmp_path / SERVICES_FILE).write_text("services: {}\n")
    yield HeadlessCall(tmp_path, project)
    if left := _containers(project):
        docker("rm", "--force", *left)


def _containers(project: str) -> list[str]:
    return docker("ps", "--all", "--quiet", "--filter", f"label={LABEL}={project}").split()


def _complete(call: HeadlessCall, after: str = "exit 7") -> None:
    text = _COMPOSE.format(project=call.project, label=LABEL, after=after)
    (call.folder / COMPOSE_FILE).write_text(text)


def _waiting(call: HeadlessCall) -> list[int]:
    """Return the ids of the clients of this call that are running; what has ended has no command line."""
    return [int(each.parent.name) for each in Path("/proc").glob("[0-9]*/cmdline") if _is_client(each, call)]


def _require_waiting(call: HeadlessCall) -> None:
    # A program that has just been started has no command line for a moment.
    wait_until(lambda: len(_waiting(call)) == 1, "the client")


def _is_client(command_line: Path, call: HeadlessCall) -> bool:
    with suppress(OSError):  # it has ended meanwhile
        words = command_line.read_bytes().decode(errors="replace").split("\0")
        return "--env-file" in words and call.project in words
    return False


def _to_end(client: PipedClient) -> tuple[str, int]:
    told = b""
    while (chunks := client.read(PATIENCE)) is not None:
        told += chunks[0]
    return told.decode(), client.end()


def test_it_goes_on_once_its_files_are_there(call: HeadlessCall) -> None:
    with EarlyCompose() as early:
        early.start(call)
        _require_waiting(call)
        _complete(call)
        assert _containers(call.project) == []
        client = early.client(call)
        assert _to_end(client) == ("told nothing\n", 7)
    assert _waiting(call) == []


def test_none_goes_on_if_it_is_not_called_for(call: HeadlessCall) -> None:
    _complete(call)
    with EarlyCompose() as early:
        early.start(call)
        _require_waiting(call)
    assert _waiting(call) == []
    assert _containers(call.project) == []


def test_none_goes_on_if_lw_coder_is_killed(call: HeadlessCall) -> None:
    _complete(call, after="sleep 600")
    with subprocess.Popen(
        [sys.executable, "-c", _KILLED, call.folder, call.project],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == "started\n"
        _require_waiting(call)
        starter.send_signal(signal.SIGKILL)
    wait_until(lambda: not _waiting(call), "the client's end")
    assert _containers(call.project) == []


def test_another_is_started_if_it_has_ended(call: HeadlessCall) -> None:
    with EarlyCompose() as early:
        early.start(call)
        _require_waiting(call)
        for client in _waiting(call):
            os.kill(client, signal.SIGKILL)
            os.waitid(os.P_PID, client, os.WEXITED | os.WNOWAIT)
        _complete(call)
        assert _to_end(early.client(call)) == ("told nothing\n", 7)


@pytest.mark.parametrize(
    ("changed", "told"),
    [("services: {} # COMPOSE_ANSI\n", "told never\n"), ("services: {}\n", "told nothing\n")],
    ids=["named in a file", "not named"],
)
def test_the_files_decide_which_variables_it_gets(
    call: HeadlessCall, changed: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMPOSE_ANSI", "never")
    with EarlyCompose() as early:
        early.start(call)
        (call.folder / SERVICES_FILE).write_text(changed)
        _complete(call)
        assert _to_end(early.client(call)) == (told, 7)


def test_another_is_started_for_another_call(call: HeadlessCall) -> None:
    with EarlyCompose() as early:
        early.start(call._replace(dependencies=False))
        _complete(call)
        assert _to_end(early.client(call)) == ("told nothing\n", 7)
    assert _waiting(call) == []
