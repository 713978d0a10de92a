"""Where a value could have got to: each search counts what it looked at, and names what holds it."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import sqlite3
import subprocess
import tarfile
import threading
import zipfile
import zlib
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from tests.support.engine import docker

_CHUNK = 8 << 20  # bytes of a layer that are looked at together
_OVERLAP = 1 << 10  # bytes that two chunks share; longer than any form of a marker
_DEEPEST = 3  # a compressed value in a database in an archive
_GZIP_OR_ZLIB = 47  # zlib's window bits for either

Part = tuple[str, bytes]


@dataclass(frozen=True)
class Searched:
    """What came of one search.

    Attributes:
        place: where.
        items: how many files, objects, lines or parts were looked at.
        size: bytes of them, unpacked where they were packed.
        finds: names of those that hold the text.
    """

    place: str
    items: int
    size: int
    finds: tuple[str, ...]


class Search:
    """Looks for one text: as it is, in base64, hexadecimal and UTF-16, in all that can be unpacked."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._forms = tuple(_forms(text))
        self._variable = re.compile(re.escape(text.encode()) + rb"-([A-Z_]+)")

    def parts(self, place: str, parts: Iterable[Part], besides: Iterable[str] = ()) -> Searched:
        """Look at parts; those of one name are one item.

        Args:
            place: what they are together.
            parts: their names and contents.
            besides: variables whose values are known to be there, and why is said where it is printed.
        """
        known = [f"{self._text}-{name}".encode() for name in besides]
        names, size, finds = set(), 0, set()
        for name, data in parts:
            names.add(name)
            for layer in unpacked(data):
                size += len(layer)
                rest = _without(layer, known)
                if any(form in rest for form in self._forms):
                    finds.add(f"{name} ({self._which(layer)})")
        return Searched(place, len(names), size, tuple(sorted(finds)))

    def _which(self, data: bytes) -> str:
        named = self._variable.search(data)
        return named[1].decode() if named else "in another form"


def _without(data: bytes, known: Iterable[bytes]) -> bytes:
    for text in known:
        data = data.replace(text, b"")
    return data


def _forms(text: str) -> Iterator[bytes]:
    plain = text.encode()
    yield from (plain, plain.hex().encode(), text.encode("utf-16-le"))
    for before in range(3):  # how many bytes of a group of three stand before it
        encoded = base64.b64encode(b"\0" * before + plain)
        certain = encoded[(0, 2, 3)[before] : (before + len(plain)) * 8 // 6]
        yield from {certain, certain.translate(bytes.maketrans(b"+/", b"-_"))}


def unpacked(data: bytes, depth: int = 0) -> Iterator[bytes]:
    """Yield data, and what is in it where it is compressed, an archive or a database."""
    yield data
    if depth == _DEEPEST:
        return
    for inner in _inner(data):
        yield from unpacked(inner, depth + 1)


def _inner(data: bytes) -> Iterator[bytes]:
    if data.startswith((b"\x1f\x8b", b"\x78")):
        yield from _inflated(data)
    elif data.startswith(b"SQLite format 3\0"):
        yield from _columns(data)
    elif data.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            yield from (archive.read(name) for name in archive.namelist())


def _inflated(data: bytes) -> Iterator[bytes]:
    try:
        yield zlib.decompressobj(_GZIP_OR_ZLIB).decompress(data)
    except zlib.error:  # it only began like one
        return


def _columns(data: bytes) -> Iterator[bytes]:
    # One with a write-ahead log cannot be opened in memory; what that log holds is searched as it is.
    plain = data[:18] + b"\x01\x01" + data[20:]
    connection = sqlite3.connect(":memory:")
    try:
        connection.deserialize(plain)
        tables = connection.execute("select name from sqlite_master where type = 'table'").fetchall()
        for (table,) in tables:
            for row in connection.execute(f'select * from "{table}"'):  # noqa: S608 - its own name
                yield from (value if isinstance(value, bytes) else str(value).encode() for value in row)
    finally:
        connection.close()


def files(*roots: Path, besides: Iterable[Path] = ()) -> Iterator[Part]:
    """Yield the contents of what is below folders, or of files, and where links lead to."""
    left_out = set(besides)
    yield from (_file(path) for root in roots for path in _paths(root) if path not in left_out)


def _paths(root: Path) -> Iterator[Path]:
    if root.is_file():
        yield root
    for folder, folders, names in os.walk(root):
        yield from (Path(folder, name) for name in [*folders, *names])


def _file(path: Path) -> Part:
    try:
        if path.is_symlink():
            return str(path), os.fsencode(path.readlink())
        return str(path), path.read_bytes() if path.is_file() else b""
    except FileNotFoundError:
        return str(path), b""  # the engine has removed it meanwhile


def names(*roots: Path) -> Iterator[Part]:
    """Yield the names alone of all that is below folders."""
    yield from ((str(path), os.fsencode(path.name)) for root in roots for path in _paths(root))


def git_objects(*git_dirs: Path) -> Iterator[Part]:
    """Yield every object of git folders, packed or loose, reachable or not."""
    for git_dir in git_dirs:
        listing = ["git", "--git-dir", str(git_dir), "cat-file", "--batch-all-objects", "--batch"]
        stream = io.BytesIO(subprocess.run(listing, check=True, capture_output=True).stdout)
        while header := stream.readline():
            sha, _, size = header.split()
            yield sha.decode(), stream.read(int(size) + 1)


def container(identity: str) -> Iterator[Part]:
    """Yield all that the engine tells of a container, but its environment, which has to hold the values."""
    (told,) = json.loads(docker("inspect", identity))
    told["Config"].pop("Env")
    yield from ((f"{identity[:12]} {name}", json.dumps(part).encode()) for name, part in told.items())


def layers(identity: str) -> list[str]:
    """Name an image's layers; there are none where there is no such image."""
    if not docker("image", "ls", "--quiet", identity):
        return []
    return list(json.loads(docker("image", "inspect", "--format", "{{json .RootFS.Layers}}", identity)))


def image(identity: str, older: Collection[str] = ()) -> Iterator[Part]:
    """Yield an image: its layers, unpacked, its configuration and its history.

    Args:
        identity: of the image.
        older: layers that were there before there was anything to find.
    """
    left_out = {f"blobs/sha256/{layer.removeprefix('sha256:')}" for layer in older}
    saving = subprocess.Popen(["docker", "save", identity], stdout=subprocess.PIPE)
    assert saving.stdout
    with saving.stdout, tarfile.open(fileobj=saving.stdout, mode="r|") as archive:
        for member in archive:
            stream = None if member.name in left_out else archive.extractfile(member)
            if stream:
                yield from ((member.name, chunk) for chunk in _overlapping(_plain(stream)))
    assert saving.wait() == 0, f"docker save {identity} failed"


def _plain(stream: IO[bytes]) -> Iterator[bytes]:
    inflate = None
    while data := stream.read(_CHUNK):
        if inflate is None:
            is_packed = data.startswith(b"\x1f\x8b")
            inflate = zlib.decompressobj(_GZIP_OR_ZLIB).decompress if is_packed else bytes
        yield inflate(data)


def _overlapping(chunks: Iterable[bytes]) -> Iterator[bytes]:
    end = b""
    for chunk in chunks:
        yield end + chunk
        end = (end + chunk)[-_OVERLAP:]


class CommandLines:
    """Takes down the command lines of all processes, all the time that its `with` block takes."""

    def __init__(self) -> None:
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.seen: set[bytes] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def parts(self) -> Iterator[Part]:
        """Yield each line that was seen."""
        yield from ((line.replace(b"\0", b" ").decode(errors="replace"), line) for line in self.seen)

    def _watch(self) -> None:
        while not self._done.wait(0.02):
            for entry in os.scandir("/proc"):
                if entry.name.isdigit():
                    self._take_down(f"{entry.path}/cmdline")

    def _take_down(self, path: str) -> None:
        # pathlib takes three times as long, which is a tenth of a core.
        with suppress(OSError), open(path, "rb", buffering=0) as file:  # noqa: PTH123
            self.seen.add(file.read())  # OSError: it has ended meanwhile
