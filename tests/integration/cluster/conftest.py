"""One cluster for all tests that want one; nothing of it starts before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.cluster import Cluster, running_cluster


@pytest.fixture(scope="session")
def shared_cluster() -> Iterator[Cluster]:
    with running_cluster() as one:
        yield one


@pytest.fixture
def cluster(shared_cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """The cluster, chosen by this process's environment; a test that leaves something there fails."""
    for name, value in shared_cluster.environment.items():
        monkeypatch.setenv(name, value)
    shared_cluster.start(*(node for node in shared_cluster.nodes if node.process is None))
    yield shared_cluster
    assert shared_cluster.settled_leavings() == []
