"""`lw_coder init` in a project of each kind: the session's image is made for that kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.installed import typed
from tests.support.projects import PROJECTS, make_project


@pytest.mark.parametrize("kind", list(PROJECTS))
def test_its_kind_is_seen_and_its_image_described(kind: str, tmp_path: Path) -> None:
    root = tmp_path / kind
    make_project(root, PROJECTS[kind])
    done = typed("init", "--yes", cwd=root)
    assert done.returncode == 0, done.stderr
    assert f"the session's image, for: {kind}" in done.stderr
    assert "\nFROM lw_coder_droid:latest\n" in (root / ".lw_coder/code.Dockerfile").read_text(
        encoding="ascii"
    )
