"""`lw_coder init` in a project of each kind: the session's image is made for that kind."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.installed import LW_CODER
from tests.support.patience import PATIENCE
from tests.support.projects import PROJECTS, make_project


@pytest.mark.parametrize("kind", list(PROJECTS))
def test_its_kind_is_seen_and_its_image_described(kind: str, tmp_path: Path) -> None:
    root = tmp_path / kind
    make_project(root, PROJECTS[kind])
    command = [LW_CODER, "init", "--yes"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    assert f"the session's image, for: {kind}" in done.stderr
    assert "\nFROM lw_coder_droid:latest\n" in (root / ".lw_coder/code.Dockerfile").read_text(
        encoding="ascii"
    )
