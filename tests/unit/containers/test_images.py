"""What of the images needs no engine: names, fingerprints, the files that a build is made from."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from lw_coder.containers.image_names import BASE_TAG, repo_hash, repo_tag
from lw_coder.containers.images import base_build, base_fingerprint, new_log, read_build_files
from lw_coder.foundation.errors import ConfigError, EngineError
from lw_coder.foundation.shipped import shipped_folder
from lw_coder.settings.docker_flags import parse_build_flags


def repository(root: Path, dockerfile: str | bytes = "FROM lw_coder_droid:latest\n") -> Path:
    (root / ".lw_coder").mkdir()
    content = dockerfile.encode() if isinstance(dockerfile, str) else dockerfile
    (root / ".lw_coder/code.Dockerfile").write_bytes(content)
    return root


def test_a_repositorys_name() -> None:
    identity = repo_hash("a" * 40, Path("/repo/.git"))
    assert identity == repo_hash("a" * 40, Path("/repo/.git"))
    assert len({identity, repo_hash("b" * 40, Path("/repo/.git")), repo_hash("a" * 40, Path("/r/.git"))}) == 3
    assert repo_tag(identity) == f"lw_coder_droid:{identity}"
    assert len(identity) == 12


def test_the_base_image() -> None:
    build = base_build()
    assert build.dockerfile == shipped_folder("docker") / "droid/Dockerfile"
    assert build.dockerfile.is_file()
    assert (build.args["UID"], build.args["GID"]) == (str(os.getuid()), str(os.getgid()))
    assert list(build.labels.values()) == [base_fingerprint()]


def test_what_the_repositorys_image_is_built_from(tmp_path: Path) -> None:
    (repository(tmp_path) / ".lw_coder/.dockerignore").write_text("node_modules\n!.env\n", encoding="ascii")
    files = read_build_files(tmp_path, tmp_path / "secrets/prod")
    lines = files.ignore.splitlines()
    assert files.dockerfile == "FROM lw_coder_droid:latest\n"
    assert lines[:2] == ["node_modules", "!.env"]
    # The last line that matches counts: what is ours comes behind what is the repository's.
    for never in ("**/.git", "**/.env*", ".lw_coder/runs", ".lw_coder/worktrees", "secrets/prod"):
        assert lines.index(never) > 1


def test_without_an_ignore_file(tmp_path: Path) -> None:
    files = read_build_files(repository(tmp_path), Path("/elsewhere/.env"))
    assert files.ignore.startswith("**/.git\n")
    assert "elsewhere" not in files.ignore


def test_no_dockerfile(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read_build_files(tmp_path, None)
    assert caught.value.message == ".lw_coder/code.Dockerfile: file not found"
    assert "FROM lw_coder_droid:latest" in caught.value.remedy


def test_a_dockerfile_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_build_files(repository(tmp_path, b"\xff\xfe"), None)


@pytest.mark.parametrize("name", ["compose", "docker"])
def test_what_ships(name: str) -> None:
    assert any(shipped_folder(name).iterdir())


def test_an_env_file_that_is_a_link(tmp_path: Path) -> None:
    repository(tmp_path)
    (tmp_path / "config").mkdir()
    (tmp_path / "config/secrets").touch()
    (tmp_path / "session").symlink_to("config/secrets")
    lines = read_build_files(tmp_path, tmp_path / "session").ignore.splitlines()
    assert lines[-2:] == ["session", "config/secrets"]


def test_an_env_file_whose_name_is_a_pattern(tmp_path: Path) -> None:
    repository(tmp_path)
    (tmp_path / "[prod]*!.txt").touch()
    assert read_build_files(tmp_path, tmp_path / "[prod]*!.txt").ignore.endswith("\n\\[prod\\]\\*\\!.txt\n")


OLD = ("docker/dockerfile:1.0", "docker/dockerfile:1.0.2", "docker.io/docker/dockerfile:1.0-experimental")


@pytest.mark.parametrize("syntax", OLD)
def test_a_syntax_that_reads_no_ignore_file(tmp_path: Path, syntax: str) -> None:
    repository(tmp_path)
    file = tmp_path / ".lw_coder/code.Dockerfile"
    file.write_text(f"# escape=`\n# Syntax = {syntax}\nFROM {BASE_TAG}\n", encoding="ascii")
    with pytest.raises(ConfigError, match="reads no ignore file"):
        read_build_files(tmp_path, None)
    file.write_text(f"FROM {BASE_TAG}\n# syntax={syntax}\n", encoding="ascii")
    read_build_files(tmp_path, None)
    with pytest.raises(ConfigError, match="reads no ignore file"):
        read_build_files(tmp_path, None, parse_build_flags(["--build-arg", f"BUILDKIT_SYNTAX={syntax}"]))


@pytest.mark.parametrize("syntax", ["docker/dockerfile:1", "docker/dockerfile:1.10", "other/frontend:1.0"])
def test_a_syntax_that_reads_it(tmp_path: Path, syntax: str) -> None:
    repository(tmp_path)
    (tmp_path / ".lw_coder/code.Dockerfile").write_text(f"# syntax={syntax}\n", encoding="ascii")
    read_build_files(tmp_path, None)


def test_a_repository_whose_path_is_no_text() -> None:
    assert len(repo_hash("a" * 40, Path(os.fsdecode(b"/caf\xe9/.git")))) == 12


def test_each_process_has_a_build_log_of_its_own(tmp_path: Path) -> None:
    log = tmp_path / "build-base.log"
    others, old, crash = (tmp_path / name for name in ("build-base-1.log", "build-base-2.log", "crash-1.log"))
    for path in (new_log(log), others, old, crash):
        path.touch()
    for path in (old, crash):
        os.utime(path, (0, 0))
    own = new_log(log)
    assert own == tmp_path / f"build-base-{os.getpid()}.log"
    assert sorted(tmp_path.iterdir()) == [others, crash]


def test_the_newest_logs_are_kept(tmp_path: Path) -> None:
    for number in range(100):
        path = tmp_path / f"build-{'0' * 12}-{number}.log"
        path.touch()
        os.utime(path, (time.time() - number, time.time() - number))
    new_log(tmp_path / f"build-{'0' * 12}.log").touch()
    kept = {path.name.rpartition("-")[2] for path in tmp_path.iterdir()}
    assert kept == {f"{number}.log" for number in (*range(39), os.getpid())}


def test_a_build_log_that_cannot_be_removed(tmp_path: Path) -> None:
    new_log(tmp_path / "build-base.log").mkdir()
    with pytest.raises(EngineError, match=r"build-base-\d+\.log: cannot be removed: "):
        new_log(tmp_path / "build-base.log")
