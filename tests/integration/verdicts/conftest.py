"""An image with pytest and setuptools-scm, which the tests of this folder share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lw_coder.containers.image_names import BASE_TAG
from tests.integration.verdicts.scene import Scene, make_scene
from tests.support.engine import docker, remove_images

_DOCKERFILE = f"""FROM {BASE_TAG}
RUN apt-get update \\
    && apt-get install -y --no-install-recommends python3 python3-pytest python3-setuptools-scm \\
    && rm -rf /var/lib/apt/lists/*
COPY tool.txt /tool.txt
"""


@pytest.fixture(scope="session", autouse=True)
def begin_without_a_session(base_image: str) -> None:
    """Have the base image, which no session has built before these tests."""
    assert base_image


@pytest.fixture(scope="session")
def python_image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder, tag = tmp_path_factory.mktemp("image"), f"lw_coder_check_test:{os.getpid()}"
    (folder / "Dockerfile").write_text(_DOCKERFILE)
    (folder / "tool.txt").write_text("tool\n")
    docker("build", "--quiet", "--tag", tag, str(folder))
    yield tag
    remove_images([tag])


@pytest.fixture
def scene(tmp_path: Path, home: Path, engine: str) -> Scene:
    """A repository on the base image."""
    assert engine
    return make_scene(tmp_path / "scene", home, {"good": "yes\n", "bad": "no\n"})


@pytest.fixture
def python_scene(tmp_path: Path, home: Path, python_image: str) -> Scene:
    """A repository on an image with Python."""
    return make_scene(tmp_path / "scene", home, {"good": "yes\n"}, python_image)
