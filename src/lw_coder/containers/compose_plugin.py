"""How Compose is started: as docker starts it, without docker where that makes no difference.

`docker compose` starts the plugin twice, first to ask what it is, and looks through the folders of all
plugins: this takes longer than Compose's own start.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TypeGuard

from lw_coder.foundation.files import resolved
from lw_coder.settings.docker_variables import client_config, config_folder

_CALLER = (
    "DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND"  # docker sets it; without it, arguments mean something else
)
# In docker's order, after the folders of its configuration.
_SYSTEM_FOLDERS = (
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
)
_ELF = b"\x7fELF"


class Command(NamedTuple):
    """A command line, and the environment that it is started with."""

    words: tuple[str, ...]
    environment: dict[str, str]


def compose_command(environment: Mapping[str, str], *words: str) -> Command:
    """Return the command that is `docker compose` with some arguments: docker's, or the plugin's itself.

    Args:
        environment: the variables that docker's client gets.
        words: the arguments.
    """
    plugin = find_plugin(environment)
    if plugin is None:
        return Command(("docker", "compose", *words), dict(environment))
    return Command((str(plugin), "compose", *words), {**environment, _CALLER: "docker"})


def find_plugin(environment: Mapping[str, str]) -> Path | None:
    """Find the Compose plugin that docker would start; None if only docker can tell, or say what is wrong.

    That is so if `docker` on the PATH is not Docker's client itself but a script, a snap or Podman, which may
    choose an engine or a plugin of their own; and if the first plugin is no program for the same machine.
    """
    client = next(filter(_is_program, _on_path(environment)), None)
    if client is None or resolved(client).name != "docker":
        return None
    found = next((path for path in _places(environment) if path.exists()), None)
    if found is None or not _is_program(found):
        return None
    machine = _machine(client)
    return found if machine and machine == _machine(found) else None


def _on_path(environment: Mapping[str, str]) -> Iterator[Path]:
    return (Path(folder, "docker") for folder in os.get_exec_path(environment))


def _places(environment: Mapping[str, str]) -> Iterator[Path]:
    named = client_config(environment).get("cliPluginsExtraDirs")
    extra = filter(_is_text, named if isinstance(named, list) else [])
    folders: list[str | Path] = [*extra, config_folder(environment) / "cli-plugins", *_SYSTEM_FOLDERS]
    return (Path(folder, "docker-compose") for folder in folders)


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str)  # docker itself refuses anything else


def _is_program(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


def _machine(program: Path) -> bytes:
    """Return what an ELF program is for, its word size and its processor; empty if it is anything else."""
    try:
        with program.open("rb") as file:
            head = file.read(20)
    except OSError:
        return b""
    return head[4:6] + head[18:20] if head.startswith(_ELF) else b""
