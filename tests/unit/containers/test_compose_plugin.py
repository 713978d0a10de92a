"""Which program is started as `docker compose`, with real programs in the folders where docker looks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from lw_coder.containers.compose_plugin import compose_command, find_plugin

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere docker always starts Compose")

PROGRAM = "/bin/sh"  # any program of this machine


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    """A machine with docker on the PATH, and a person who has no configuration of docker."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DOCKER_CONFIG", raising=False)
    place(tmp_path / "bin/docker")
    return {"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path / "home")}


def place(path: Path, program: str = PROGRAM) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(program, path)
    return path


def configure(folder: Path, *extra: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"cliPluginsExtraDirs": list(map(str, extra))})
    (folder / "config.json").write_text(text, encoding="ascii")


def test_a_plugin_in_the_persons_folder_is_started_as_docker_does_it(
    tmp_path: Path, machine: Mapping[str, str]
) -> None:
    plugin = place(tmp_path / "home/.docker/cli-plugins/docker-compose")
    command = compose_command(machine, "--file", "x.yml", "config")
    assert command.words == (str(plugin), "compose", "--file", "x.yml", "config")
    assert command.environment == {**machine, "DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND": "docker"}


def test_docker_config_takes_the_place_of_that_folder(tmp_path: Path, machine: Mapping[str, str]) -> None:
    place(tmp_path / "home/.docker/cli-plugins/docker-compose")
    plugin = place(tmp_path / "config/cli-plugins/docker-compose")
    assert find_plugin({**machine, "DOCKER_CONFIG": str(tmp_path / "config")}) == plugin


def test_extra_folders_come_first_in_their_order(tmp_path: Path, machine: Mapping[str, str]) -> None:
    place(tmp_path / "home/.docker/cli-plugins/docker-compose")
    configure(tmp_path / "home/.docker", tmp_path / "none", tmp_path / "one", tmp_path / "two")
    plugin = place(tmp_path / "one/docker-compose")
    place(tmp_path / "two/docker-compose")
    assert find_plugin(machine) == plugin


def test_a_link_that_leads_nowhere_is_passed_over_as_docker_does(
    tmp_path: Path, machine: Mapping[str, str]
) -> None:
    configure(tmp_path / "home/.docker", tmp_path / "one")
    (tmp_path / "one").mkdir()
    (tmp_path / "one/docker-compose").symlink_to(tmp_path / "gone")
    assert find_plugin(machine) != tmp_path / "one/docker-compose"


@pytest.mark.parametrize("broken", ["script", "not executable", "other processor", "text", "folder"])
def test_docker_is_left_to_say_what_a_broken_plugin_means(
    tmp_path: Path, machine: Mapping[str, str], broken: str
) -> None:
    plugin = place(tmp_path / "home/.docker/cli-plugins/docker-compose")
    if broken == "script":
        plugin.write_text('#!/bin/sh\nexec docker-compose-v2 "$@"\n', encoding="ascii")
    elif broken == "not executable":
        plugin.chmod(0o644)
    elif broken == "other processor":
        with plugin.open("r+b") as file:
            file.seek(18)
            file.write(b"\xff\xff")
    elif broken == "text":
        plugin.write_text("it was cut off", encoding="ascii")
    else:
        plugin.unlink()
        plugin.mkdir()
    if broken == "not executable" and os.geteuid() == 0:
        assert not os.access(plugin, os.X_OK)  # no execute bit at all: not even root may
    assert find_plugin(machine) is None
    assert compose_command(machine, "version").words == ("docker", "compose", "version")


@pytest.mark.parametrize("client", ["none", "script", "podman", "snap"])
def test_a_docker_that_is_not_dockers_own_client_starts_compose_itself(
    tmp_path: Path, machine: Mapping[str, str], client: str
) -> None:
    place(tmp_path / "home/.docker/cli-plugins/docker-compose")
    (tmp_path / "bin/docker").unlink()
    if client == "script":
        (tmp_path / "bin/docker").write_text('#!/bin/sh\nexec sudo docker "$@"\n', encoding="ascii")
        (tmp_path / "bin/docker").chmod(0o755)
    elif client != "none":
        (tmp_path / "bin/docker").symlink_to(place(tmp_path / f"elsewhere/{client}"))
    assert find_plugin(machine) is None


@pytest.mark.parametrize(
    "config", ["", "{", "[]", '{"cliPluginsExtraDirs": "one"}', '{"cliPluginsExtraDirs": [1]}']
)
def test_a_damaged_configuration_names_no_folders(
    tmp_path: Path, machine: Mapping[str, str], config: str
) -> None:
    plugin = place(tmp_path / "home/.docker/cli-plugins/docker-compose")
    (tmp_path / "home/.docker/config.json").write_text(config, encoding="ascii")
    assert find_plugin(machine) == plugin


@pytest.mark.skipif(shutil.which("docker") is None, reason="there is no docker")
def test_this_machines_compose_answers_the_same_in_both_ways() -> None:
    """No engine is needed for it."""
    command = compose_command(dict(os.environ), "version")
    ways = [command.words, ("docker", "compose", "version")]
    answers = [
        subprocess.run(words, env=command.environment, check=False, capture_output=True, text=True)
        for words in ways
    ]
    assert answers[0].stdout == answers[1].stdout
    assert answers[0].returncode == answers[1].returncode
