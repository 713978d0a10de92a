"""The base image, for tests that begin without a session."""

from __future__ import annotations

from pathlib import Path

from lw_coder.containers import images
from lw_coder.containers.compose_files import ComposeSpec, render
from lw_coder.runs.run_folders import write_file
from lw_coder.settings.docker_flags import RunOptions


def ensure_base_image(folder: Path) -> str:
    """Build the base image if the engine lacks it, as a session would; return its id.

    Args:
        folder: an empty one.
    """
    spec = ComposeSpec(folder, folder, None, RunOptions(), {"base": images.base_build()}, None, None)
    for name, text in render(spec).items():
        write_file(folder, name, text)
    return images.build_base(folder, folder / "build.log")
