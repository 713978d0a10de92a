"""What `docker info` says of an engine, and what follows from it for a session."""

from __future__ import annotations

from typing import Any

import pytest

from lw_coder.containers.engine_kind import describe
from lw_coder.settings.docker_flags import RunOptions, parse_run_flags

USUAL = {
    "Driver": "overlay2",
    "DriverStatus": [["Backing Filesystem", "extfs"]],
    "DockerRootDir": "/var/lib/docker",
    "SecurityOptions": ["name=apparmor", "name=seccomp,profile=builtin", "name=cgroupns"],
}


def told(client: str = "/usr/bin/docker", options: RunOptions | None = None, **info: Any) -> tuple[str, str]:
    (kind,) = describe({**USUAL, **info}, client, options or RunOptions())
    return kind.told, kind.remedy


@pytest.mark.parametrize("info", [USUAL, {}, {**USUAL, "DriverStatus": None, "SecurityOptions": None}])
def test_the_usual_engine_needs_no_word(info: dict[str, Any]) -> None:
    assert describe(info, "/usr/bin/docker", RunOptions()) == []


def test_rootless() -> None:
    what, remedy = told(SecurityOptions=["name=seccomp,profile=builtin", "name=rootless", "name=cgroupns"])
    assert what.startswith("Docker is rootless")
    assert "docker context use default" in remedy


@pytest.mark.parametrize(
    ("name", "flags"),
    [("userns", ["--userns", "host"]), ("selinux", ["--security-opt", "label=disable"])],
)
def test_what_a_flag_remedies(name: str, flags: list[str]) -> None:
    _, remedy = told(SecurityOptions=[f"name={name}"])
    assert all(f'"{word}"' in remedy for word in flags)
    what, remedy = told(SecurityOptions=[f"name={name}"], options=parse_run_flags(flags))
    assert (flags[0] in what, remedy) == (True, "")


@pytest.mark.parametrize(
    ("client", "root"),
    [("/snap/bin/docker", "/var/lib/docker"), ("/usr/bin/docker", "/var/snap/docker/common/var-lib-docker")],
)
def test_snap(client: str, root: str) -> None:
    what, remedy = told(client, DockerRootDir=root)
    assert what.startswith("Docker is a snap")
    assert "install" in remedy


def test_the_containerd_store_is_no_hindrance() -> None:
    what, remedy = told(Driver="overlayfs", DriverStatus=[["driver-type", "io.containerd.snapshotter.v1"]])
    assert ("containerd's store" in what, remedy) == (True, "")
