"""One value planted in each kind of place, which a search then has to find: else its zero says nothing."""

from __future__ import annotations

import base64
import gzip
import io
import sqlite3
import subprocess
import sys
import tarfile
import zlib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from tests.scan.searches import CommandLines, Part, container, files, git_objects, image, layers, names
from tests.support.engine import docker
from tests.support.patience import wait_until
from tests.support.sample_repository import run_git

BASE = "lw_coder_droid:latest"


def in_a_file(folder: Path, value: str) -> Iterator[Part]:
    (folder / "plain.log").write_text(f"key={value}")
    return files(folder)


def in_a_name(folder: Path, value: str) -> Iterator[Part]:
    (folder / value).mkdir()
    return names(folder)


def in_a_link(folder: Path, value: str) -> Iterator[Part]:
    (folder / "link").symlink_to(f"/nowhere/{value}")
    return files(folder)


def in_base64(folder: Path, value: str) -> Iterator[Part]:
    (folder / "header").write_bytes(base64.b64encode(f"u:{value}".encode()))
    return files(folder)


def in_a_compressed_file(folder: Path, value: str) -> Iterator[Part]:
    (folder / "old.log.gz").write_bytes(gzip.compress(value.encode()))
    return files(folder)


def in_a_compressed_column(folder: Path, value: str) -> Iterator[Part]:
    connection = sqlite3.connect(folder / "cache.db")
    with connection:
        connection.execute("create table cache (value blob)")
        connection.execute("insert into cache values (?)", (zlib.compress(value.encode()),))
    connection.close()
    return files(folder)


def in_a_packed_object(folder: Path, value: str) -> Iterator[Part]:
    run_git(folder, "init", "--quiet", "--template=")
    (folder / "file").write_text(value)
    run_git(folder, "add", "file")
    run_git(folder, "commit", "--quiet", "--message=planted")
    run_git(folder, "gc", "--quiet")
    return git_objects(folder / ".git")


def on_a_command_line(_: Path, value: str) -> Iterator[Part]:
    command = (sys.executable, "-c", "input()", value)
    with CommandLines() as lines, subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        wait_until(lambda: any(value.encode() in line for line in list(lines.seen)), "the command line")
        process.communicate(b"\n")
    return lines.parts()


def in_a_container(_: Path, value: str) -> Iterator[Part]:
    made = docker("create", "--label", f"planted={value}", BASE)
    try:
        yield from container(made)
    finally:
        docker("rm", made)


def in_an_images_history(_: Path, value: str) -> Iterator[Part]:
    made = docker("create", BASE, "true")
    try:
        planted = docker("commit", "--message", f"made with {value}", made)
    finally:
        docker("rm", made)
    yield from _looked_at(planted, layers(BASE))


def in_a_layer(folder: Path, value: str) -> Iterator[Part]:
    with tarfile.open(folder / "layer.tar", "w") as archive:
        entry = tarfile.TarInfo("etc/credentials")
        entry.size = len(value)
        archive.addfile(entry, io.BytesIO(value.encode()))
    yield from _looked_at(docker("import", str(folder / "layer.tar")))


def _looked_at(planted: str, older: Collection[str] = ()) -> Iterator[Part]:
    try:
        yield from image(planted, older)
    finally:
        docker("image", "rm", planted)


PLANTS: tuple[Callable[[Path, str], Iterator[Part]], ...] = (
    in_a_file,
    in_a_name,
    in_a_link,
    in_base64,
    in_a_compressed_file,
    in_a_compressed_column,
    in_a_packed_object,
    on_a_command_line,
    in_a_container,
    in_an_images_history,
    in_a_layer,
)
