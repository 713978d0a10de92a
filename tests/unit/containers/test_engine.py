"""What the engine module decides without an engine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lw_coder.containers.docker_command import build_image
from lw_coder.containers.engine import (
    require_compose,
    require_isolation,
)
from lw_coder.foundation.errors import EngineError


@pytest.mark.parametrize(
    ("told", "version"),
    [
        ("Docker Compose version v2.30.0", "2.30.0"),
        ("Docker Compose version 2.40.3-3", "2.40.3-3"),
        ("Docker Compose version v2.30", "2.30"),
        ("Docker Compose version v5.0.1-desktop.1", "5.0.1-desktop.1"),
        ("Docker Compose version v10.0.0", "10.0.0"),
    ],
)
def test_a_compose_that_is_new_enough_is_taken(told: str, version: str) -> None:
    assert require_compose(told) == version


@pytest.mark.parametrize(
    ("told", "what"),
    [
        ("Docker Compose version v2.29.7", "2.29.7"),
        ("Docker Compose version v2.9.0", "2.9.0"),
        ("docker-compose version 1.29.2, build 5becea4c", "1.29.2"),
        ("Docker Compose version dev", "its version"),
        ("", "its version"),
    ],
)
def test_one_that_is_too_old_is_refused(told: str, what: str) -> None:
    with pytest.raises(EngineError) as caught:
        require_compose(told)
    assert caught.value.message == f"docker compose: {what} is too old"
    assert "2.30 or later" in caught.value.remedy


@pytest.mark.parametrize("version", ["28.0.0", "28.5.2+dfsg4", "101.1"])
def test_an_engine_that_can_keep_a_network_from_the_host(version: str) -> None:
    require_isolation(version)


@pytest.mark.parametrize("version", ["27.5.1", "9.9", "dev", ""])
def test_one_that_cannot(version: str) -> None:
    with pytest.raises(
        EngineError,
        match=r"^\.lw_coder/config\.toml: allow_hosts: Docker Engine .*cannot isolate a network from",
    ):
        require_isolation(version)


def test_a_build_log_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"none/build\.log: cannot be written: No such file"):
        build_image(tmp_path, "a-project", "base", tmp_path / "none/build.log")


_CALL = """
import tempfile
from pathlib import Path
from lw_coder.containers import engine
from lw_coder.foundation.errors import LwCoderError
try:
    {call}
except LwCoderError as error:
    print(error.message, error.remedy, sep="; ")
"""


def told(call: str) -> str:
    """Call the engine module in a process of its own: python-on-whales looks for docker once in each."""
    done = subprocess.run(
        [sys.executable, "-c", _CALL.format(call=call)], capture_output=True, text=True, check=True
    )
    return done.stdout


def test_a_temporary_folder_that_cannot_be_written(tmp_path: Path) -> None:
    folder, env_file = tmp_path / "none", tmp_path / "env"
    env_file.write_text("A='b'\n", encoding="ascii")
    line = told(f"tempfile.tempdir = {str(folder)!r}; engine.check_env_file(Path({str(env_file)!r}), {{}})")
    assert line.startswith(f"{folder}: cannot be written: No such file or directory; ")


def test_an_env_file_that_cannot_be_read(tmp_path: Path) -> None:
    line = told(f"engine.check_env_file(Path({str(tmp_path)!r}), {{}})")
    assert line == f"{tmp_path}: cannot be read: Is a directory; correct its owner and permissions\n"


_LOAD = """
import importlib.metadata, os, sys
from lw_coder.containers.engine import load_client
searches, search = [], importlib.metadata.entry_points
importlib.metadata.entry_points = lambda **group: searches.append(group) or search(**group)
before = dict(os.environ)
load_client()
assert not searches
import pydantic, python_on_whales
from python_on_whales.components.network.models import NetworkInspectResult as Result
assert os.environ == before
assert "defer_build" not in pydantic.BaseModel.model_config
print(Result.__pydantic_complete__, Result(**{"Id": "x", "Name": "y"}).id)
"""


def test_python_on_whales_is_loaded_without_completing_models_that_nobody_uses() -> None:
    done = subprocess.run([sys.executable, "-c", _LOAD], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("False x\n", "")
