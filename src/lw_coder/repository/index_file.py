"""Read git's index file without git, because an agent may have written it. See gitformat-index(5)."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import NamedTuple

from lw_coder.foundation.errors import GitError

SKIP_WORKTREE, INTENT_TO_ADD = 1 << 14, 1 << 13  # of an entry's extended flags

_EXTENDED = 1 << 14
_STAGE = 0x3000
_HEADER = struct.Struct(">4sII")
# Of an entry: modification time, mode and size; not change time, device, inode, owner and group.
_STAT = struct.Struct(">8xII8xI8xI")
_NUMBER = struct.Struct(">H")
_COMPRESSING_VERSION = 4
_MAX_NAMES = 256 << 20  # bytes of all names together; compressed names can be longer than the file
_MAX_NUMBER = 1 << 24
_UNREADABLE = "check the worktree with git status"


class IndexEntry(NamedTuple):
    """An entry of an index.

    Attributes:
        path: relative to the worktree. In a sparse index it can be a folder, with a slash at the end.
        mode: as in a tree.
        sha: id of the blob.
        stage: 0, or 1 to 3 in a conflict.
        size: bytes of the file when git last compared it with the entry; 0 if git has not.
        mtime: modification time of that file, in nanoseconds.
        flags: SKIP_WORKTREE and INTENT_TO_ADD.
    """

    path: str
    mode: int
    sha: str
    stage: int
    size: int
    mtime: int
    flags: int


def read_index(data: bytes, hash_size: int) -> list[IndexEntry]:
    """Return an index file's entries.

    Args:
        data: the file's content.
        hash_size: bytes of an object id.

    Raises:
        GitError: it is damaged, or a split index, which is not supported.
    """
    try:
        signature, version, count = _HEADER.unpack_from(data)
        if signature != b"DIRC" or version not in {2, 3, 4}:
            raise GitError("the index has an unknown format", _UNREADABLE)
        reader = _Reader(data, hash_size, version)
        entries = [reader.entry() for _ in range(count)]
        if b"link" in reader.extensions():
            raise GitError("the index is a split one", _UNREADABLE)
    except (struct.error, IndexError, ValueError) as error:
        raise GitError("the index is damaged", _UNREADABLE) from error
    return entries


class _Reader:
    def __init__(self, data: bytes, hash_size: int, version: int) -> None:
        self._data, self._hash_size, self._version = data, hash_size, version
        self._at, self._name, self._room = _HEADER.size, b"", _MAX_NAMES

    def entry(self) -> IndexEntry:
        start = self._at
        seconds, nanoseconds, mode, size = _STAT.unpack_from(self._data, start)
        at = start + _STAT.size
        self._at = at + self._hash_size
        sha = self._data[at : self._at].hex()
        flags, more = self._number(), 0
        if flags & _EXTENDED:
            more = self._number()
        self._name = (
            self._compressed_name() if self._version == _COMPRESSING_VERSION else self._plain_name(start)
        )
        self._room -= len(self._name)
        if self._room < 0:
            raise ValueError
        mtime, stage = seconds * 10**9 + nanoseconds, (flags & _STAGE) >> 12
        return IndexEntry(os.fsdecode(self._name), mode, sha, stage, size, mtime, more)

    def extensions(self) -> Iterator[bytes]:
        while self._at + 8 <= len(self._data) - self._hash_size:
            name, size = struct.unpack_from(">4sI", self._data, self._at)
            yield name
            self._at += 8 + size

    def _number(self) -> int:
        (number,) = _NUMBER.unpack_from(self._data, self._at)
        self._at += 2
        return int(number)

    def _plain_name(self, start: int) -> bytes:
        end = self._data.index(b"\0", self._at)
        name = self._data[self._at : end]
        self._at = start + (end - start + 8) // 8 * 8  # NULs up to a multiple of eight
        return name

    def _compressed_name(self) -> bytes:
        kept = len(self._name) - self._variable_number()
        end = self._data.index(b"\0", self._at)
        name = self._name[: max(kept, 0)] + self._data[self._at : end]
        self._at = end + 1
        return name

    def _variable_number(self) -> int:
        number = -1
        while True:
            byte = self._data[self._at]
            self._at += 1
            number = (number + 1) << 7 | byte & 0x7F
            if not byte & 0x80:
                return number
            if number > _MAX_NUMBER:
                raise ValueError
