"""docker's client reads the person's configuration in a session too, with other detach keys."""

from __future__ import annotations

import json
import os
from pathlib import Path

from lw_coder.containers.client_config import DETACH_KEYS, keys_freed


def test_all_but_the_keys_is_the_persons(tmp_path: Path) -> None:
    own = {"auths": {"r.test": {"auth": "c2VjcmV0"}}, "currentContext": "far", "detachKeys": "ctrl-z"}
    (tmp_path / "config.json").write_text(json.dumps(own), encoding="ascii")
    (tmp_path / "contexts").mkdir()
    with keys_freed({"DOCKER_CONFIG": str(tmp_path)}) as (variables, _):
        folder = Path(variables["DOCKER_CONFIG"])
        assert json.loads((folder / "config.json").read_text()) == {**own, "detachKeys": DETACH_KEYS}
        assert (folder / "contexts").resolve() == tmp_path / "contexts"
        assert folder.stat().st_mode & 0o077 == 0
    assert not os.path.lexists(folder)
    assert json.loads((tmp_path / "config.json").read_text()) == own


def test_no_credential_is_written(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"auths": {"r.test": {"auth": "c2VjcmV0"}}}', encoding="ascii")
    with keys_freed({"DOCKER_CONFIG": str(tmp_path)}) as (variables, _):
        link = Path(variables["DOCKER_CONFIG"]) / "config.json"
        assert link.readlink().is_relative_to("/proc")
        assert [path.name for path in link.parent.iterdir() if not path.is_symlink()] == []


def test_without_any_configuration(tmp_path: Path) -> None:
    with keys_freed({"DOCKER_CONFIG": str(tmp_path / "none")}) as (variables, _):
        config = Path(variables["DOCKER_CONFIG"]) / "config.json"
        assert json.loads(config.read_text()) == {"detachKeys": DETACH_KEYS}
