"""Other sessions' containers and networks come and go while lw_coder lists them; that is no error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from lw_coder.containers.engine import containers_with, networks_with
from tests.support.engine import docker

COUNT = 8
LABEL = "lw_coder.test"


@pytest.fixture
def value() -> Iterator[str]:
    value = uuid4().hex
    yield value
    for kind in ("container", "network"):
        left = docker(kind, "ls", "--quiet", "--filter", f"label={LABEL}={value}").split()
        if left:
            docker(kind, "rm", *left)


def _make_network(value: str, number: int) -> str:
    # The engine's own pool of addresses is small, and other sessions need it.
    subnet = f"10.231.{number}.0/29"
    return docker(
        "network", "create", "--label", f"{LABEL}={value}", "--subnet", subnet, f"{value}-{number}"
    ).strip()


def _make_container(value: str, number: int) -> str:
    name = f"{value}-{number}"
    return docker(
        "create", "--label", f"{LABEL}={value}", "--name", name, "debian:trixie-slim", "true"
    ).strip()


@pytest.mark.parametrize(
    ("kind", "make", "listed"),
    [("network", _make_network, networks_with), ("container", _make_container, containers_with)],
)
def test_what_is_removed_while_it_is_listed_is_left_out(
    value: str, kind: str, make: Callable[[str, int], str], listed: Callable[..., list[object]]
) -> None:
    made = [make(value, number) for number in range(COUNT)]
    assert len(listed({LABEL: value})) == COUNT
    counts = []
    with ThreadPoolExecutor() as pool:
        # The last one in the list goes first: it is looked at when it has long been removed.
        removal = pool.submit(docker, kind, "rm", *reversed(made))
        while not removal.done():
            counts.append(len(listed({LABEL: value})))
        removal.result()
    assert counts == sorted(counts, reverse=True)
    assert listed({LABEL: value}) == []
