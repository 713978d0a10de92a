"""The key is in the env file, in the session's environment and at the model: nowhere else."""

from __future__ import annotations

import secrets
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import LW_CODER, SUMMARY, Person, sessions_in
from tests.support.engine import docker
from tests.support.sample_repository import PLAN_ID, SampleRepository
from tests.support.scripted_model import ScriptedModel
from tests.support.secrets import CommandLines, in_container, in_files, in_image

BASE = "lw_coder_droid:latest"


@pytest.fixture
def secret() -> str:
    """A key that nobody else on this machine has."""
    return f"sk-or-{secrets.token_hex(12)}"


def test_a_session_spreads_no_secret(
    sample: SampleRepository, person: Person, model: ScriptedModel, secret: str, tmp_path: Path
) -> None:
    sample.write_env(model.base_url, OPENROUTER_API_KEY=secret)
    with (sample.root / ".lw_coder/code.Dockerfile").open("a") as file:
        file.write("COPY . /copied\n")
    with CommandLines(secret) as processes, person.types(LW_CODER, "code", PLAN_ID) as terminal:
        terminal.wait_for(SUMMARY, timeout=240)
        (container,) = sessions_in(sample.root)
        image = docker("inspect", "--format", "{{.Image}}", container)
        assert secret in docker("inspect", container), "the session has no key, so nothing is shown"
        assert in_container(secret, container) == []
        assert terminal.leave() == 0
    assert {request.authorization for request in model.requests} == {f"Bearer {secret}"}
    assert any("docker compose" in line and str(sample.root) in line for line in processes.seen)
    assert processes.finds == set()
    assert secret not in terminal.transcript.decode(errors="replace")
    assert list(sample.root.glob(".lw_coder/runs/*/*/run.json"))
    assert in_files(secret, tmp_path, person.home) == [str(sample.root / ".env")]
    assert in_image(secret, image) + in_image(secret, BASE) == []
    copied = docker("run", "--rm", "--entrypoint", "sh", image, "-c", "find /copied -type f")
    assert "/copied/greeting.py" in copied
    assert "/copied/.env" not in copied


# The searches themselves: each finds a secret that was put there.


def test_one_in_a_file_is_found(tmp_path: Path, secret: str) -> None:
    (tmp_path / "plain.log").write_text(f"key={secret}")
    (tmp_path / secret).mkdir()
    (tmp_path / "link").symlink_to(f"/nowhere/{secret}")
    with sqlite3.connect(tmp_path / "cache.db") as database:
        database.execute("create table cache (value blob)")
        database.execute("insert into cache values (?)", (secret.encode(),))
    database.close()
    found = {Path(path).name for path in in_files(secret, tmp_path)}
    assert found == {"plain.log", secret, "link", "cache.db"}


def test_one_on_a_command_line_is_found(secret: str) -> None:
    with CommandLines(secret) as processes:
        subprocess.run([sys.executable, "-c", "import time; time.sleep(0.5)", secret], check=True)
    assert len(processes.finds) == 1


@pytest.fixture
def labelled(secret: str) -> Iterator[str]:
    container = docker("create", "--label", f"planted={secret}", BASE)
    yield container
    docker("rm", container)


def test_one_in_a_container_is_found(labelled: str, secret: str) -> None:
    assert in_container(secret, labelled)


def test_one_in_an_image_is_found(labelled: str, secret: str) -> None:
    image = docker("commit", "--message", f"made with {secret}", labelled)
    try:
        assert in_image(secret, image)
    finally:
        docker("image", "rm", image)
