"""When an image need not be built again, judged from what it is built from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lw_coder.containers.build_inputs import build_digest
from lw_coder.settings.docker_flags import BuildOptions, parse_build_flags

FROM = "FROM lw_coder_droid:latest\n"
COPIES = f"{FROM}COPY uv.lock pyproject.toml /opt/\nCOPY src /opt/src\n"
MOUNTS = f"{FROM}RUN --mount=type=bind,target=/source true\n"
NEVER = "**/.git\n**/.env*\n.lw_coder/runs\n"
MOST_FILES, MOST_BYTES = 2000, 16 << 20


def digest(
    root: Path, dockerfile: str = COPIES, ignore: str = NEVER, *, flags: str = "", tag: str = "a:b"
) -> str | None:
    options = parse_build_flags(flags.split()) if flags else BuildOptions()
    return build_digest(root, tag, dockerfile, ignore, options)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "src/inner").mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    for name in (
        "uv.lock",
        "pyproject.toml",
        "src/a.py",
        "src/inner/b.py",
        "other.txt",
        ".git/index",
        ".env",
    ):
        (tmp_path / name).write_text(name, encoding="ascii")
    return tmp_path


@pytest.mark.parametrize("dockerfile", [FROM, COPIES, MOUNTS, f"{FROM}COPY *.lock /\n", f"{FROM}COPY . /\n"])
def test_the_same_files_have_the_same_digest(root: Path, dockerfile: str) -> None:
    assert digest(root, dockerfile) is not None
    assert digest(root, dockerfile) == digest(root, dockerfile)


@pytest.mark.parametrize("dockerfile", [COPIES, MOUNTS, f"{FROM}COPY uv* src*/ /\n", f"{FROM}COPY $X /\n"])
@pytest.mark.parametrize("name", ["uv.lock", "src/a.py", "src/inner/b.py", "src/new.py"])
def test_a_file_that_is_read_counts(root: Path, dockerfile: str, name: str) -> None:
    before = digest(root, dockerfile)
    (root / name).write_text("changed", encoding="ascii")
    assert digest(root, dockerfile) not in {before, None}


def test_its_mode_counts_and_its_absence(root: Path) -> None:
    before = digest(root)
    (root / "src/a.py").chmod(0o755)
    executable = digest(root)
    (root / "src/inner/b.py").unlink()
    assert len({before, executable, digest(root), None}) == 4


def test_a_file_that_was_changed_and_changed_back_counts(root: Path) -> None:
    before, status = digest(root), (root / "uv.lock").stat()
    (root / "uv.lock").write_text("changed", encoding="ascii")
    while (root / "uv.lock").stat().st_ctime_ns == status.st_ctime_ns:
        (root / "uv.lock").write_text("changed", encoding="ascii")
    (root / "uv.lock").write_text("uv.lock", encoding="ascii")
    os.utime(root / "uv.lock", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert digest(root) != before


def test_a_file_that_is_not_read_does_not_count(root: Path) -> None:
    before = digest(root)
    (root / "other").write_text("changed", encoding="ascii")
    assert digest(root) == before


@pytest.mark.parametrize("name", [".git/index", ".env", "logs/a.log", "src/cache/x"])
def test_what_is_ignored_does_not_count(root: Path, name: str) -> None:
    ignore = f"logs\n**/cache\n{NEVER}"
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_text("first", encoding="ascii")
    before = digest(root, MOUNTS, ignore)
    (root / name).write_text("second", encoding="ascii")
    assert digest(root, MOUNTS, ignore) == before


@pytest.mark.parametrize(
    "ignore", ["logs\n!logs/a.log\n", "logs\n  !logs/a.log\n", "log?\n", "/logsx\n", "# logs\n", ""]
)
def test_what_may_be_included_counts(root: Path, ignore: str) -> None:
    (root / "logs").mkdir()
    (root / "logs/a.log").write_text("first", encoding="ascii")
    before = digest(root, MOUNTS, ignore + NEVER)
    (root / "logs/a.log").write_text("second", encoding="ascii")
    assert digest(root, MOUNTS, ignore + NEVER) not in {before, None}


def test_each_of_the_other_inputs_counts(root: Path) -> None:
    found = [
        digest(root),
        digest(root, tag="a:c"),
        digest(root, f"{COPIES}RUN true\n"),
        digest(root, ignore=f"x\n{NEVER}"),
        digest(root, flags="--build-arg A=1"),
        digest(root, flags="--build-arg A=2"),
        digest(root, flags="--label a=b"),
        digest(root, flags="--target x"),
    ]
    assert None not in found
    assert len(set(found)) == len(found)


@pytest.mark.parametrize(
    "flags",
    [
        "--no-cache",
        "--pull",
        "--build-arg A",
        "--build-context x=/y",
        "--secret id=a,env=A",
        "--network host",
    ],
)
def test_flags_that_leave_it_to_the_build(root: Path, flags: str) -> None:
    assert digest(root, flags=flags) is None


@pytest.mark.parametrize(
    "dockerfile",
    [
        "FROM debian:trixie-slim\n",
        "FROM $BASE\n",
        "FROM --platform=linux/arm64 lw_coder_droid:latest\n",
        f"FROM python AS one\n{FROM}",
        f"{FROM}COPY --from=python:3 /usr /usr\n",
        f"{FROM}RUN --mount=type=bind,from=python:3,target=/x true\n",
        f"{FROM}RUN --mount=type=$TYPE,source=a,target=/x true\n",
        f'{FROM}RUN --mount="type=bind,source=a b,target=/x" true\n',
        f"{FROM}ADD https://example.org/x /x\n",
        f"{FROM}ADD uv.lock /x\n",
        f"{FROM}ONBUILD COPY . /\n",
        f"{FROM}RUN <<END\ntrue\nEND\n",
        f'{FROM}COPY ["uv.lock", "/x"]\n',
        f"{FROM}RUN true \\\\\nCOPY uv.lock /\n",
        f"# syntax=docker/dockerfile:1\n{FROM}",
        f"# escape=`\n{FROM}",
        f"{FROM}COPY ../outside /x\n",
        f"{FROM}COPY missing /x\n",
        f"{FROM}COPY linked /x\n",
        f"{FROM}WHATEVER it is\n",
        FROM.replace("\n", "\r\n"),
    ],
)
def test_dockerfiles_that_leave_it_to_the_build(root: Path, dockerfile: str) -> None:
    (root / "linked").symlink_to("src")
    (root.parent / "outside").touch()
    assert digest(root, dockerfile) is None


def test_a_stage_of_the_same_dockerfile_is_known(root: Path) -> None:
    stages = f"{FROM.strip()} AS one\nCOPY uv.lock /\nFROM one AS two\n{FROM}COPY --from=two /uv.lock /\n"
    assert digest(root, stages) is not None


def test_many_files_leave_it_to_the_build(root: Path) -> None:
    (root / "many").mkdir()
    for number in range(MOST_FILES):
        (root / f"many/{number}").touch()
    assert digest(root, MOUNTS) is None
    assert digest(root) is not None


def test_large_files_leave_it_to_the_build(root: Path) -> None:
    with (root / "src/large").open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    assert digest(root) is None


def test_pipes_leave_it_to_the_build(root: Path) -> None:
    os.mkfifo(root / "src/pipe")
    assert digest(root) is None
