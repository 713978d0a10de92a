"""Kinds of Docker engines on which a session needs other settings, or cannot work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from lw_coder.containers.docker_command import Question
from lw_coder.foundation.json_text import read_json
from lw_coder.foundation.report import warn
from lw_coder.settings.docker_flags import RunOptions

CONTAINERD = "containerd"

_OTHER_USER = "a session runs as a different user on the host, which cannot write to the worktree"
_SNAP = "replace the snap with Docker Engine's own packages (docs.docker.com/engine/install)"


class Kind(Struct, frozen=True):
    """A property of an engine that matters for sessions.

    Attributes:
        description: the property and its consequence.
        remedy: what to do; empty if there is no problem, or the flags already solve it.
        hinders_builds: whether builds can fail because of it too.
    """

    description: str
    remedy: str = ""
    hinders_builds: bool = False


def ask_info() -> dict[str, Any]:
    """Return what `docker info` tells; nothing if the engine does not answer."""
    answer = Question("info", "--format", "{{json .}}").answer()
    return dict(read_json(answer)) if answer else {}


def find_kinds(options: RunOptions, info: Mapping[str, Any] | None = None) -> list[Kind]:
    """Ask the engine for its properties; return none if it does not answer.

    Args:
        options: docker_run_args, which may already contain the remedy.
        info: the result of `ask_info`, if it is known.
    """
    import shutil

    told = ask_info() if info is None else info
    return describe(told, str(shutil.which("docker")), options) if told else []


def warn_of_kind(options: RunOptions, *, of_build: bool = False) -> None:
    """After a failure, print the properties of the engine that can be the cause.

    Args:
        options: docker_run_args.
        of_build: whether a build failed, and not a session.
    """
    for kind in find_kinds(options):
        if kind.remedy and (kind.hinders_builds or not of_build):
            warn(f"{kind.description}; {kind.remedy}")


def describe(info: Mapping[str, Any], client: str, options: RunOptions) -> list[Kind]:
    """Return the properties that matter for sessions.

    Args:
        info: the output of `docker info`, parsed.
        client: path of the docker command.
        options: docker_run_args.
    """
    traits = {part.removeprefix("name=") for one in _list(info, "SecurityOptions") for part in one.split(",")}
    kinds = []
    if "rootless" in traits:
        kinds.append(
            Kind(f"Docker is rootless: {_OTHER_USER}", "use the system's engine: docker context use default")
        )
    if "userns" in traits:
        kinds.append(_userns(options))
    if "selinux" in traits:
        kinds.append(_selinux(options))
    if "/snap/" in client or str(info.get("DockerRootDir")).startswith("/var/snap/"):
        description = "Docker is a snap: it cannot see hidden folders or files outside your home folder"
        kinds.append(Kind(description, _SNAP, hinders_builds=True))
    if image_store(info) == CONTAINERD:
        kinds.append(
            Kind(
                "images are in containerd's image store: runs from before the switch to it cannot be replayed"
            )
        )
    return kinds


def image_store(info: Mapping[str, Any]) -> str:
    """Return where an engine keeps images: CONTAINERD, where ids are made otherwise, or a driver's name."""
    is_containerds = any("io.containerd.snapshotter" in str(one) for one in _list(info, "DriverStatus"))
    return CONTAINERD if is_containerds else str(info.get("Driver", "unknown"))


def _list(info: Mapping[str, Any], key: str) -> Sequence[Any]:
    return info.get(key) or ()


def _userns(options: RunOptions) -> Kind:
    if options.keys.get("userns_mode") == "host":
        return Kind("Docker remaps users (userns-remap); sessions use --userns host")
    return Kind(
        f"Docker remaps users (userns-remap): {_OTHER_USER}", 'add "--userns", "host" to docker_run_args'
    )


def _selinux(options: RunOptions) -> Kind:
    if not {"label=disable", "label:disable"}.isdisjoint(options.keys.get("security_opt", ())):
        return Kind("Docker uses SELinux; sessions use --security-opt label=disable")
    return Kind(
        "Docker uses SELinux: a session may be unable to read its mounts",
        'add "--security-opt", "label=disable" to docker_run_args',
    )
