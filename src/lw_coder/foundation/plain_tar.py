"""Tars of regular files alone: `ustar` headers, and nothing that changes what follows it.

Python's own reader follows extended headers, which can rename, resize and multiply entries; one that reads
hostile input would have to know what each of them can do. This one knows a single kind of entry.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from typing import Protocol

from msgspec import Struct

_BLOCK = 512
_CHUNK = 1 << 20
_DEEPEST = 40  # folders in a name
_KINDS = {
    tarfile.LNKTYPE: "a hard link",
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.DIRTYPE: "a folder",
    tarfile.FIFOTYPE: "a pipe",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
    tarfile.XHDTYPE: "an extended header",
    tarfile.XGLTYPE: "an extended header",
    tarfile.GNUTYPE_LONGNAME: "an extended header",
    tarfile.GNUTYPE_LONGLINK: "an extended header",
}


class Readable(Protocol):
    """What bytes are read from."""

    def read(self, size: int, /) -> bytes:
        """Return at most so many bytes; none at its end."""


class Writable(Protocol):
    """What bytes are written to."""

    def write(self, content: bytes, /) -> int:
        """Write all of them."""


class Entry(Struct, frozen=True):
    """A file in a tar: its name, its size in bytes, and whether it can be run."""

    name: str
    size: int
    is_program: bool = False


class BadTarError(ValueError):
    """What was read is not such a tar; the text says why, in ASCII."""


class TarWriter:
    """Writes files to a stream, each with the time 0 and no owner, so that equal files make equal tars.

    Args:
        stream: receives the tar.
    """

    def __init__(self, stream: Writable) -> None:
        self._stream = stream

    def add(self, entry: Entry, content: Readable) -> None:
        """Add a file; a content that is shorter than its size is filled with zeros.

        Raises:
            ValueError: its name cannot be in such a tar.
        """
        require_name(entry.name)
        header = tarfile.TarInfo(entry.name)
        header.size, header.mode = entry.size, 0o755 if entry.is_program else 0o644
        self._stream.write(header.tobuf(tarfile.USTAR_FORMAT, "utf-8", "strict"))
        left = entry.size
        while left and (chunk := content.read(min(left, _CHUNK))):
            self._stream.write(chunk)
            left -= len(chunk)
        self._fill(left)
        self._fill(-entry.size % _BLOCK)

    def end(self) -> None:
        """Write the end of the tar."""
        self._stream.write(bytes(2 * _BLOCK))

    def _fill(self, count: int) -> None:
        while count:
            self._stream.write(bytes(min(count, _CHUNK)))
            count -= min(count, _CHUNK)


class TarReader:
    """Reads such a tar from a stream. Each entry's content has to be read before the next entry.

    Args:
        stream: what is read; it may be hostile.
        most_bytes: of all that is read together; more is an error, before it is read.
        most_files: entries.
    """

    def __init__(self, stream: Readable, most_bytes: int, most_files: int) -> None:
        self._stream, self._room, self._files = stream, most_bytes, most_files

    def __iter__(self) -> Iterator[Entry]:
        """Yield each entry.

        Raises:
            BadTarError: it is not such a tar, or larger than allowed.
        """
        while any(block := self._block()):
            entry = _entry(block)
            self._files -= 1
            if self._files < 0:
                raise BadTarError("it has too many files")
            if entry.size > self._room:
                raise BadTarError(f"{entry.name!a} is too large")
            yield entry
            self._skip(-entry.size % _BLOCK)
        if any(self._block()):
            raise BadTarError("its end is damaged")
        if self._read(1):
            raise BadTarError("something follows its end")

    def content(self, entry: Entry) -> Iterator[bytes]:
        """Yield the parts of an entry's content.

        Raises:
            BadTarError: the tar ends before it.
        """
        left = entry.size
        while left:
            chunk = self._exactly(min(left, _CHUNK))
            left -= len(chunk)
            yield chunk

    def _skip(self, count: int) -> None:
        if any(self._exactly(count)):
            raise BadTarError("there is something between its files")

    def _block(self) -> bytes:
        return self._exactly(_BLOCK)

    def _exactly(self, count: int) -> bytes:
        read = self._read(count)
        if len(read) < count:
            raise BadTarError("it is cut off")
        self._room -= count
        if self._room < 0:
            raise BadTarError("it is too large")
        return read

    def _read(self, count: int) -> bytes:
        parts: list[bytes] = []
        while count and (part := self._stream.read(count)):
            parts.append(part)
            count -= len(part)
        return b"".join(parts)


def _entry(block: bytes) -> Entry:
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
    except (tarfile.HeaderError, ValueError):  # a name that is not UTF-8 too
        raise BadTarError("a header of it is damaged") from None
    if header.type not in {tarfile.REGTYPE, tarfile.AREGTYPE}:
        raise BadTarError(f"{header.name!a} is {_KINDS.get(header.type, 'of an unknown kind')}, not a file")
    if header.size < 0:
        raise BadTarError(f"{header.name!a} has a negative size")
    if block[257:265] != tarfile.POSIX_MAGIC:
        raise BadTarError(f"{header.name!a} has no ustar header")
    try:
        require_name(header.name)
    except ValueError as error:
        raise BadTarError(str(error)) from None
    return Entry(header.name, header.size, is_program=bool(header.mode & 0o100))


def require_name(name: str) -> None:
    """Check that a name stays below the folder that a tar is unpacked to, and can be shown.

    Raises:
        ValueError: it does not, or cannot; the text says why, in ASCII.
    """
    parts = name.split("/")
    if any(part in {"", ".", ".."} for part in parts):
        raise ValueError(f"{name!a} is not a path below its folder")
    if not name.isprintable():
        raise ValueError(f"{name!a} contains a character that cannot be shown")
    if len(parts) > _DEEPEST:
        raise ValueError(f"{name[:100]!a} is nested too deeply")


def unpack(reader: TarReader, entry: Entry, folder: int, mode: int = 0o600) -> None:
    """Write an entry's content to a new file below a folder, which nobody else writes to.

    Args:
        reader: reads the tar.
        entry: the file; folders in its name are made.
        folder: a descriptor of the folder.
        mode: permissions of the file; folders get them with those to enter.

    Raises:
        BadTarError: there is a file of that name already, or one of its folders' names.
        OSError: the disk is full.
    """
    try:
        descriptor = _new_file(entry.name, folder, mode)
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise BadTarError(f"{entry.name!a} is there twice") from None
    with os.fdopen(descriptor, "wb") as file:
        for part in reader.content(entry):
            file.write(part)


def _new_file(name: str, folder: int, mode: int) -> int:
    *folders, last = name.split("/")
    here = os.dup(folder)
    try:
        for each in folders:
            if not _is_there(each, here):
                os.mkdir(each, 0o700, dir_fd=here)
            inner = os.open(each, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY, dir_fd=here)
            os.close(here)
            here = inner
        return os.open(last, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode, dir_fd=here)
    finally:
        os.close(here)


def _is_there(name: str, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
