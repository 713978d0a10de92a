"""The proxy and the gateway are started while a run is prepared, and go if it comes to nothing."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lw_coder.containers.image_names import repo_hash
from lw_coder.repository.git import find_repository, root_commit
from tests.integration.conftest import Person
from tests.integration.headless_session import headless
from tests.support.engine import bridge_address, docker
from tests.support.patience import PATIENCE, wait_until
from tests.support.sample_repository import PLAN_ID, SampleRepository
from tests.support.scripted_model import Reply, ScriptedModel
from tests.support.shell_agent import shell_agent

COMMIT = "echo done > done.txt && git add done.txt && git commit -q -m 'Do it'"


@pytest.fixture
def guarded(sample: SampleRepository) -> SampleRepository:
    text = "[code]\ngateway = true\nallow_hosts = []\n"
    (sample.root / ".lw_coder/config.toml").write_text(text, encoding="ascii")
    return sample


def _found(root: Path) -> list[str]:
    """List the proxies and gateways of a repository; those that run, and those that do not."""
    projects = docker(
        "ps", "--all", "--format", '{{.ID}} {{.Label "com.docker.compose.project.working_dir"}}'
    )
    return [line.split()[0] for line in projects.split("\n") if str(root) in line]


def _networks(root: Path) -> list[str]:
    """List the networks of a repository's sessions; another one's run can have begun in the same second."""
    repository = find_repository(root)
    begin = f"lw-{repo_hash(root_commit(repository), repository.common_dir)}-"
    return [
        name for name in docker("network", "ls", "--format", "{{.Name}}").split() if name.startswith(begin)
    ]


def _runs(root: Path) -> list[str]:
    return [path.name for path in (root / ".lw_coder/runs" / PLAN_ID).glob("2*")]


def _running(root: Path) -> list[str]:
    running = set(docker("ps", "--quiet").split())
    return [one for one in _found(root) if one in running]


@contextmanager
def _started(person: Person, sample: SampleRepository) -> Iterator[subprocess.Popen[str]]:
    """Start a command that waits for its prompts; yield it once both services run."""
    with (
        ScriptedModel(lambda _: Reply(silent=True), host=bridge_address()) as model,
        (sample.root / "told.txt").open("w") as told,
    ):
        sample.write_env(model.base_url)
        process = person.starts("code", PLAN_ID, "--headless", told=told)
        both = lambda: process.poll() is not None or len(_running(sample.root)) == 2  # noqa: E731
        wait_until(both, "the proxy and the gateway")
        assert process.poll() is None, (sample.root / "told.txt").read_text()
        yield process
        process.wait(PATIENCE)


@pytest.mark.usefixtures("base_image")  # so that both services can start at once
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_of_a_start_that_is_ended(
    guarded: SampleRepository, person: Person, number: signal.Signals
) -> None:
    with _started(person, guarded) as process:
        runs = _runs(guarded.root)
        assert len(_networks(guarded.root)) == 2
        process.send_signal(number)
    if number == signal.SIGKILL:
        assert _running(guarded.root), "the next start is to remove what this one left"
        ended = headless(person, guarded, shell_agent([COMMIT]))
        assert ended.status == 0, ended.stderr
    assert (_found(guarded.root), _networks(guarded.root)) == ([], [])
    assert not list(guarded.root.glob(".lw_coder/runs/*/.partial*"))
    assert not set(runs) & set(_runs(guarded.root))
