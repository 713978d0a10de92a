"""Kinds of Docker engines on which a session needs something else than usual, or cannot work."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lw_coder.containers.docker_command import Question
from lw_coder.foundation.report import warn
from lw_coder.settings.docker_flags import RunOptions

_OTHER_USER = "a session runs as a different user on the host, which cannot write to the worktree"
_SNAP = "replace the snap with Docker Engine's own packages (docs.docker.com/engine/install)"


@dataclass(frozen=True)
class Kind:
    """One thing about an engine.

    Attributes:
        told: what it is, and what follows from it.
        remedy: what to do; nothing where it is no hindrance, or is dealt with.
        hinders_builds: whether an image's build can fail by it too.
    """

    told: str
    remedy: str = ""
    hinders_builds: bool = False


def find_kinds(options: RunOptions) -> list[Kind]:
    """Ask the engine what it is; an engine that does not answer is of no kind.

    Args:
        options: docker_run_args, which may hold the remedy already.
    """
    import shutil

    answer = Question("info", "--format", "{{json .}}").answer()
    return describe(json.loads(answer), str(shutil.which("docker")), options) if answer else []


def warn_of_kind(options: RunOptions, *, of_build: bool = False) -> None:
    """Say, after a failure, what about the engine can be its reason.

    Args:
        options: docker_run_args.
        of_build: the failure is a build's, not a session's.
    """
    for kind in find_kinds(options):
        if kind.remedy and (kind.hinders_builds or not of_build):
            warn(f"{kind.told}; {kind.remedy}")


def describe(info: Mapping[str, Any], client: str, options: RunOptions) -> list[Kind]:
    """Tell what `docker info` means for a session.

    Args:
        info: what it printed, as JSON.
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
        told = "Docker is a snap: it cannot see hidden folders or files outside your home folder"
        kinds.append(Kind(told, _SNAP, hinders_builds=True))
    if any("io.containerd.snapshotter" in str(one) for one in _list(info, "DriverStatus")):
        kinds.append(
            Kind("images are in containerd's store: runs from before the change to it cannot be replayed")
        )
    return kinds


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
