"""Engines of other kinds, real ones beside the machine's own: what a session on them says, and what helps."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lw_coder.containers.image_names import BASE_LABEL, BASE_TAG
from lw_coder.containers.images import base_fingerprint
from tests.integration.conftest import Person
from tests.support.sample_repository import PLAN_ID, SampleRepository
from tests.support.second_engine import second_engine

BASE_OF_THE_BASE = "debian:trixie-slim"
# It stands in for the base image, which takes long to load into another engine.
STAND_IN = f"""FROM {BASE_OF_THE_BASE}
COPY --chmod=755 <<'END' /usr/local/bin/start-session
#!/bin/sh
echo mine > /workspace/made && echo It is written.
END
LABEL {BASE_LABEL}={base_fingerprint()}
"""

pytestmark = [pytest.mark.timeout(900), pytest.mark.usefixtures("known_prompts")]


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("image") / "base.tar"
    subprocess.run(["docker", "save", "--output", str(file), BASE_OF_THE_BASE], check=True, timeout=120)
    return file


@pytest.fixture
def short_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="lw-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)  # noqa: PTH101, S103 - a remapped root has to get through
        yield Path(folder)


def equip(host: str, exported: Path, sample: SampleRepository, person: Person, flags: str = "") -> None:
    """Load the stand-in into the engine, and have the person's docker use it."""
    person.extra = {"DOCKER_HOST": host}
    docker = ("docker", "--host", host)
    subprocess.run([*docker, "load", "--quiet", "--input", str(exported)], check=True, timeout=120)
    subprocess.run(
        [*docker, "build", "--quiet", "--tag", BASE_TAG, "-"],
        input=STAND_IN,
        text=True,
        check=True,
        timeout=120,
    )
    (sample.root / ".lw_coder/code.Dockerfile").write_text(f"FROM {BASE_TAG}\n", encoding="ascii")
    config = f'[code]\ndocker_run_args = ["--network", "none"{flags}]\n'
    (sample.root / ".lw_coder/config.toml").write_text(config, encoding="ascii")


def test_an_engine_that_remaps_users(
    sample: SampleRepository, person: Person, exported: Path, short_folder: Path
) -> None:
    with second_engine(short_folder, {}, ["--userns-remap=default"]) as host:
        equip(host, exported, sample, person)
        status, text = person.runs_to_the_end("code", PLAN_ID)
        assert status == 4, text
        assert "Docker remaps users (userns-remap)" in text
        # The line is longer than the terminal is wide.
        assert '"--userns", "host" to docker_run_args'.replace(" ", "") in "".join(text.split())
        status, text = person.runs_to_the_end("doctor")
        assert (status, "Docker remaps users (userns-remap)" in text) == (1, True)

        equip(host, exported, sample, person, ', "--userns", "host"')
        status, text = person.runs_to_the_end("code", PLAN_ID)
        assert (status, "It is written." in text) == (0, True), text
        assert person.runs_to_the_end("doctor")[0] == 0


def test_an_engine_with_containerds_store(
    sample: SampleRepository, person: Person, exported: Path, short_folder: Path
) -> None:
    """Ids are made otherwise there; a run and its replay find their image all the same."""
    with second_engine(short_folder, {"features": {"containerd-snapshotter": True}}) as host:
        equip(host, exported, sample, person)
        status, text = person.runs_to_the_end("code", PLAN_ID)
        assert (status, "It is written." in text) == (0, True), text
        line = next(one for one in text.splitlines() if one.startswith("Replay:"))
        with person.types(*line.removeprefix("Replay:").split()) as terminal:
            assert terminal.wait(120) == 0
            assert "It is written." in terminal.text
        status, text = person.runs_to_the_end("doctor")
        assert (status, "containerd's image store" in text) == (0, True)
