"""An engine of the torture's own, whose base image is a stand-in: its agent runs a script."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.cluster import Cluster, running_cluster
from tests.support.stand_in import give_base_image


@contextmanager
def own_engines(folder: Path) -> Iterator[Cluster]:
    """Start two engines; the manager's has the stand-in.

    Args:
        folder: an empty one.
    """
    with running_cluster() as cluster:
        (folder / "image").mkdir()
        give_base_image(cluster.manager.host, folder / "image")
        yield cluster
