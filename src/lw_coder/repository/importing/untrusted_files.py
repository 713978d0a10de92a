"""Read a folder that a container could write, without following symbolic links or running anything."""

from __future__ import annotations

import os
import resource
import stat
from contextlib import contextmanager
from itertools import groupby
from typing import IO, TYPE_CHECKING, NamedTuple

from msgspec import Struct

from lw_coder.foundation.errors import GitError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

MAX_ENTRIES = 1_000_000
MAX_MEMORY = 2 << 30  # bytes of data, for this process and for each git process that it starts
MAX_DEPTH = 40

_NEVER_FOLLOW = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_CHUNK = 1 << 20
_LOOK = "inspect it in a replay; git on the host would use the folder's config"


class Entry(NamedTuple):
    """A name in a folder, and whether it is a folder; a link to a folder is not."""

    name: str
    is_folder: bool


@contextmanager
def memory_limited() -> Iterator[None]:
    """Limit this process, and each process that it starts meanwhile, to MAX_MEMORY.

    What an agent wrote can be small, but need more memory than there is when it is read. Here that raises a
    MemoryError; git fails. Mapped files, such as git's packs, do not count.
    """
    before = resource.getrlimit(resource.RLIMIT_DATA)
    limits = [limit for limit in (*before, MAX_MEMORY) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min(limits), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


class UntrustedFolder(Struct, frozen=True):
    """A folder whose contents may be hostile; its own path is trusted.

    Names are relative to it, with `/` as separator. Every part is opened separately and without following
    links, so that not even a running container can redirect a read.
    """

    root: Path

    def read(self, name: str, limit: int) -> bytes | None:
        """Return a regular file's bytes, or None if there is none by that name.

        Raises:
            GitError: the file is longer than `limit` bytes.
        """
        try:
            with self._opened(name) as handle:
                if not stat.S_ISREG(os.fstat(handle).st_mode):
                    return None
                with os.fdopen(os.dup(handle), "rb") as file:
                    data = file.read(limit + 1)
        except OSError:
            return None
        if len(data) > limit:
            raise too_large(f"{name} is longer than {limit} bytes")
        return data

    def read_part(self, name: str, start: int, length: int) -> bytes:
        """Return at most `length` bytes of a regular file, from `start` on; empty if there are none."""
        try:
            with self._opened(name) as handle:
                is_file = stat.S_ISREG(os.fstat(handle).st_mode)
                return os.pread(handle, length, start) if is_file else b""
        except OSError:
            return b""

    @contextmanager
    def opened(self, name: str) -> Iterator[IO[bytes] | None]:
        """Open a regular file; None if there is none by that name."""
        try:
            with self._opened(name) as handle:
                is_file = stat.S_ISREG(os.fstat(handle).st_mode)
                file = os.fdopen(os.dup(handle), "rb") if is_file else None
        except OSError:
            file = None
        if file is None:
            yield None
            return
        with file:
            yield file

    def stat(self, name: str) -> os.stat_result | None:
        """Return the status of a name, without following links; None if there is no such name."""
        *folders, last = name.split("/")
        try:
            with self._folder(folders) as handle:
                return os.stat(last, dir_fd=handle, follow_symlinks=False)
        except OSError:
            return None

    def sizes(self, names: Iterable[str]) -> Iterator[int]:
        """Yield the size of each regular file, without following links; 0 for anything else.

        A folder is opened once for all of its files that follow each other.
        """
        for folder, inside in groupby(names, lambda name: name.rpartition("/")[0]):
            yield from self._sizes_in(folder, [name.rpartition("/")[2] for name in inside])

    def _sizes_in(self, folder: str, names: Sequence[str]) -> list[int]:
        try:
            with self._folder(folder.split("/") if folder else []) as handle:
                return [_size(handle, name) for name in names]
        except OSError:
            return [0] * len(names)

    def copy(self, name: str, target: Path, limit: int) -> int:
        """Copy a regular file to a new one; return its size in bytes.

        Raises:
            GitError: it is not a regular file, cannot be read, or is longer than `limit` bytes.
        """
        try:
            with self._opened(name) as handle:
                if not stat.S_ISREG(os.fstat(handle).st_mode):
                    raise GitError(f"{name!a} in the run's git folder is not a regular file", _LOOK)
                return _copy_bytes(handle, target, limit)
        except OSError as error:
            raise _unreadable(name, error) from error

    def entries(self, name: str) -> list[Entry]:
        """List a folder inside it, sorted by name; empty if there is no such folder.

        Raises:
            GitError: the folder cannot be read.
        """
        try:
            with self._opened(name, os.O_DIRECTORY) as handle, os.scandir(handle) as found:
                return sorted(Entry(entry.name, entry.is_dir(follow_symlinks=False)) for entry in found)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise _unreadable(name, error) from error

    def files(self, name: str) -> Iterator[str]:
        """Yield the names of everything below a folder that is not itself a folder, including links.

        Raises:
            GitError: there are more entries, or deeper ones, than a git folder of lw_coder can have.
        """
        waiting, seen = [name], 0
        while waiting:
            folder = waiting.pop()
            for entry in self.entries(folder):
                seen += 1
                inner = f"{folder}/{entry.name}"
                if seen > MAX_ENTRIES or inner.count("/") > MAX_DEPTH:
                    raise too_large("it contains too many files")
                if entry.is_folder:
                    waiting.append(inner)
                else:
                    yield inner

    @contextmanager
    def _opened(self, name: str, flags: int = 0) -> Iterator[int]:
        *folders, last = name.split("/")
        with self._folder(folders) as folder:
            handle = _step(folder, last, flags)
            try:
                yield handle
            finally:
                os.close(handle)

    @contextmanager
    def _folder(self, names: Sequence[str]) -> Iterator[int]:
        handle = os.open(self.root, _NEVER_FOLLOW | os.O_DIRECTORY)
        try:
            for name in names:
                inner = _step(handle, name, os.O_DIRECTORY)
                os.close(handle)
                handle = inner
            yield handle
        finally:
            os.close(handle)


def too_large(why: str) -> GitError:
    """Make the error for a git folder that exceeds a limit."""
    return GitError(f"the run's git folder was not read: {why}", _LOOK)


def _unreadable(name: str, error: OSError) -> GitError:
    return GitError(f"{name!a} in the run's git folder cannot be read: {error.strerror}", _LOOK)


def _size(folder: int, name: str) -> int:
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else 0


def _step(folder: int, name: str, flags: int) -> int:
    if name in {"", ".", ".."}:
        raise FileNotFoundError(name)
    return os.open(name, _NEVER_FOLLOW | flags, dir_fd=folder)


def _copy_bytes(handle: int, target: Path, limit: int) -> int:
    size = 0
    with os.fdopen(os.dup(handle), "rb") as source, target.open("xb") as copy:
        while chunk := source.read(_CHUNK):
            size += len(chunk)
            if size > limit:
                raise too_large("its new objects are too large")
            copy.write(chunk)
    return size
