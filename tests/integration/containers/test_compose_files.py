"""Compose itself reads what we render, in a folder whose name it could take for a variable."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from lw_coder.containers.compose_files import ComposeSpec, ImageBuild, render
from lw_coder.containers.specs import Mount, SessionSpec
from lw_coder.settings.docker_flags import parse_build_flags, parse_run_flags
from tests.support.patience import PATIENCE

IMAGE = "sha256:" + "0" * 64
RUN_FLAGS = ("-v", "./$data:/data", "-v", "cache:/cache", "-e", "PRICE=5$HOME", "--env-file", "extra.env")
BUILD_FLAGS = ("--secret", "id=token,src=$token", "--build-arg", "WORD=$HOME", "--build-context", "a=sub")


@pytest.fixture
def spec(tmp_path: Path) -> ComposeSpec:
    root = tmp_path / "of $mine"
    folder = root / ".lw_coder/runs/a-plan/20250630T120000Z"
    folder.mkdir(parents=True)
    (root / ".env").write_text("API_KEY='5$HOME'\nNOT_FORWARDED=1\n", encoding="ascii")
    (root / "extra.env").write_text("EXTRA='raw'\n", encoding="ascii")
    mounts = (Mount(root, "/workspace", read_only=False), Mount(root / ".env", "/ro"))
    session = SessionSpec("lw-test", "0:0", mounts, ("API_KEY", "ABSENT"), {"FIXED": "$x"}, {"l": "$v"})
    options = parse_build_flags(BUILD_FLAGS)
    repo = ImageBuild("lw_coder_test:none", root, folder / "code.Dockerfile", {}, {}, options)
    run = parse_run_flags(RUN_FLAGS)
    return ComposeSpec(
        folder, root, session, run, {"repo": repo}, root / ".env", root / "ca.pem", IMAGE, IMAGE
    )


def compose(spec: ComposeSpec, *args: str) -> subprocess.CompletedProcess[str]:
    for name, text in render(spec).items():
        (spec.folder / name).write_text(text, encoding="utf-8")
    env = {name: os.environ[name] for name in ("PATH", "HOME", "DOCKER_HOST") if name in os.environ}
    return subprocess.run(
        ["docker", "compose", "-f", str(spec.folder / "compose.yml"), "--profile", "build", "config", *args],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


def read(spec: ComposeSpec) -> dict[str, Any]:
    result = compose(spec, "--format", "json")
    assert (result.returncode, result.stderr) == (0, "")
    # `config` doubles each dollar, so that its output can be read again.
    found: dict[str, Any] = json.loads(result.stdout.replace("$$", "$"))
    return found


def test_valid_and_without_a_warning(spec: ComposeSpec) -> None:
    result = compose(spec, "--quiet")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_variables_as_they_are_meant(spec: ComposeSpec) -> None:
    assert read(spec)["services"]["droid"]["environment"] == {
        "ABSENT": None,
        "API_KEY": "5$HOME",
        "EXTRA": "'raw'",
        "FIXED": "$x",
        "PRICE": "5$HOME",
    }


def test_paths_as_they_are_meant(spec: ComposeSpec) -> None:
    found = read(spec)
    droid, build = found["services"]["droid"], found["services"]["repo"]["build"]
    root = str(spec.root)
    assert [one["source"] for one in droid["volumes"]] == [root, f"{root}/.env", f"{root}/$data", "cache"]
    assert droid["labels"] == {"l": "$v"}
    assert build["context"] == root
    assert build["args"] == {"WORD": "$HOME"}
    assert build["additional_contexts"] == {"a": f"{root}/sub"}
    assert {name: one["file"] for name, one in found["secrets"].items()} == {
        "ca_bundle": f"{root}/ca.pem",
        "needs_buildkit": f"{spec.folder}/compose.yml",
        "token": f"{root}/$token",
    }
    assert found["volumes"] == {"cache": {"name": "cache", "external": True}}


def test_no_value_stands_in_the_files(spec: ComposeSpec) -> None:
    assert "5$" not in "".join(render(spec).values()).replace("PRICE=5$$HOME", "")


def test_without_an_env_file(spec: ComposeSpec) -> None:
    """A .env beside the run's files, or at the root, is then not read."""
    without = replace(spec, env_file=None)
    assert read(without)["services"]["droid"]["environment"]["API_KEY"] is None
