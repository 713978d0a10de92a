"""One cluster for all tests that want one; nothing of it starts before."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cluster.remote import Remote
from tests.support.cluster import Cluster, running_cluster
from tests.support.sample_repository import make_sample_repository
from tests.support.stand_in import give_images


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


@pytest.fixture(scope="session")
def with_images(shared_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    give_images(shared_cluster, tmp_path_factory.mktemp("stand-in"))
    return shared_cluster


@pytest.fixture
def remote(home: Path, tmp_path: Path, cluster: Cluster, with_images: Cluster) -> Remote:
    assert with_images is cluster
    sample = make_sample_repository(tmp_path / "sample")
    kept = {name: os.environ[name] for name in ("PATH", "SSL_CERT_FILE") if name in os.environ}
    env = {**kept, **cluster.environment, "HOME": str(home), "LANG": "C.UTF-8"}
    one = Remote(home, sample, cluster, env)
    one.configure()
    return one
