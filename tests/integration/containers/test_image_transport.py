"""Images that are pushed to a registry."""

from __future__ import annotations

import secrets
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lw_coder.containers.image_transport import ensure_image
from lw_coder.containers.registry import Registry
from lw_coder.foundation.errors import EngineError
from tests.support.engine import docker
from tests.support.small_registry import Server, served


@pytest.fixture
def image(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "content").write_text(secrets.token_hex(), encoding="ascii")
    with tarfile.open(tmp_path / "image.tar", "w") as tar:
        tar.add(tmp_path / "content", "content")
    made = docker("import", str(tmp_path / "image.tar"))
    yield made
    docker("image", "rm", "--force", made)


def test_a_registry_that_fails_is_pushed_to_again(image: str) -> None:
    with served(Server()) as server:
        server.failures = {"manifests": 2}  # the client itself tries again to upload a layer
        name = ensure_image(Registry(server.place), image, "session")
        assert server.failures == {"manifests": 0}
        assert name.partition("@")[2] in server.manifests
        server.failures, server.manifests = {"manifests": 1000}, {}
        with pytest.raises(EngineError, match=r"was not pushed: .*500"):
            ensure_image(Registry(server.place), image, "session")
