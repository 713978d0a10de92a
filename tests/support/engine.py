"""The real engine, as a test or the demo asks it: through the docker command that a person would type."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from functools import cache

from tests.support.patience import PATIENCE


def docker(*args: str, timeout: float = PATIENCE) -> str:
    """Run docker and return what it printed; a failure raises with both of its outputs."""
    result = subprocess.run(["docker", *args], capture_output=True, text=True, timeout=timeout, check=False)
    if result.returncode != 0:
        raise AssertionError(
            f"docker {' '.join(args)}: {result.returncode}\n{result.stdout}\n{result.stderr}"
        )
    return result.stdout.strip()


SOURCES = "{{range .Mounts}}{{.Source}} {{end}}"  # what is mounted in a container


@cache
def bridge_address() -> str:
    """Return the address at which the host and every session's container reach the same server."""
    gateway = "{{range .IPAM.Config}}{{.Gateway}} {{end}}"
    return docker("network", "inspect", "bridge", "--format", gateway).split()[0]


def containers(label: str) -> list[str]:
    """List the containers, ended ones included, that have this label."""
    return docker("ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={label}").split()


def described(container: str, template: str = "{{json .}}") -> str:
    """Return what the engine tells of a container; empty if it is gone, as another test's can be."""
    try:
        return docker("inspect", "--format", template, container)
    except AssertionError as error:
        if "No such object" not in str(error):
            raise
        return ""


def remove_images(names: Iterable[str]) -> None:
    """Remove what there is of these names."""
    subprocess.run(["docker", "image", "rm", "--force", *names], capture_output=True, check=False)
