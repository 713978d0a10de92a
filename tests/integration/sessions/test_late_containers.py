"""Containers and proxies that the engine creates although the client which asked for them was killed."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from lw_coder.containers.labels import OWN_LABEL, PLAN_LABEL, PROXY_LABEL, RUN_LABEL
from lw_coder.sessions.cleanup import remove_idle_proxies, remove_own_containers, removed_late
from tests.support.engine import containers, docker


@pytest.fixture
def plan() -> Iterator[str]:
    one = f"{secrets.token_hex(6)}/a-plan"
    yield one
    for label in (PLAN_LABEL, PROXY_LABEL):
        for left in containers(f"{label}={one}"):
            docker("rm", "--force", left)


def created(image: str, **labels: str) -> None:
    given = [word for name, value in labels.items() for word in ("--label", f"{name}={value}")]
    docker("create", *given, image, "true")


def test_a_proxy_whose_network_has_gone_is_removed(base_image: str, plan: str) -> None:
    created(base_image, **{PROXY_LABEL: plan, RUN_LABEL: "20250101T000000Z"})
    remove_idle_proxies(plan)
    assert containers(f"{PROXY_LABEL}={plan}") == []


@pytest.mark.parametrize(
    ("labels", "remove"),
    [
        ((PLAN_LABEL, OWN_LABEL), remove_own_containers),
        ((PROXY_LABEL, RUN_LABEL), remove_idle_proxies),
    ],
)
def test_what_comes_after_the_first_look_is_removed(
    base_image: str, plan: str, labels: tuple[str, str], remove: Callable[[str], object]
) -> None:
    """The first look finds nothing; then the engine creates the container."""
    late: list[threading.Thread] = []

    def look() -> None:
        remove(plan)
        if not late:
            late.append(
                threading.Thread(target=partial(created, base_image, **{labels[0]: plan, labels[1]: "true"}))
            )
            late[0].start()
            late[0].join()

    removed_late(look)
    assert late
    assert containers(f"{labels[0]}={plan}") == []
