"""What a session on a node leaves, as one file: written there, and read here, where it is hostile.

Here it is unpacked into a folder of its own. Only names that such a session writes are accepted, and only
regular files; then these files replace those of the run's folder, and the import is that of every run.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import shutil
import stat
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from lw_coder.engines.job_document import encode
from lw_coder.engines.session_record import RESULT_FILE, read_session_record, record_of
from lw_coder.foundation.errors import GitError, RunError
from lw_coder.foundation.plain_tar import BadTarError, Entry, TarReader, TarWriter, unpack
from lw_coder.foundation.report import warn
from lw_coder.gateway.settings import FOLDER as GATEWAY
from lw_coder.gateway.spending import is_countable, read_spending
from lw_coder.repository.importing.untrusted_files import UntrustedFolder
from lw_coder.runs.run_folders import disk_error
from lw_coder.sessions.event_log import EVENTS_FILE, SUMMARY_FILE
from lw_coder.sessions.session_watch import SETUP_FOLDER
from lw_coder.sessions.transcripts import SESSIONS

if TYPE_CHECKING:
    from lw_coder.repository.private_git import PrivateGit
    from lw_coder.runs.session_result import SessionResult
    from lw_coder.settings.limits import Limits

LARGEST_FILE = 4 << 30  # bytes of a result, compressed
MOST_BYTES = 8 << 30  # unpacked
MOST_FILES = 200_000
LARGEST_RECORD = 4 << 20  # bytes of result.json

_SETUP_OUT = f"{SETUP_FOLDER}/out"
_GIT = "git"
_PACK = r"pack-[0-9a-f]{40}(?:[0-9a-f]{24})?\.(?:pack|idx)"
_OBJECTS = rf"objects/(?:[0-9a-f]{{2}}/[0-9a-f]{{38}}(?:[0-9a-f]{{24}})?|pack/{_PACK})"
_REFS = r"HEAD|packed-refs|refs/.+|logs/.+"
_LFS = r"lfs/objects/[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{64}"
_FOLDERS = rf"{SESSIONS}/.+|{GATEWAY}/[^/]+(?:/[^/]+)?|{_SETUP_OUT}/(?:log|end\.json)"
_OTHERS = rf"{RESULT_FILE}|{EVENTS_FILE}|{SUMMARY_FILE}|{_FOLDERS}"
_LEVEL = 1  # of compression: git's objects are compressed already
_ROOM_AT_HOME = 1 << 20  # bytes and more that headers need
_KEPT_OF_GIT = ("config", "info", "shallow", "objects/info")
_KEPT_OF_WORKTREE = ("commondir", "gitdir", "info")


def _is_expected(worktree: str) -> re.Pattern[str]:
    """Return what matches the names in a result, for the name of the worktree in the git folder."""
    own = rf"worktrees/{re.escape(worktree)}/(?:HEAD|logs/HEAD)"
    return re.compile(rf"{_GIT}/(?:{_OBJECTS}|{_REFS}|{_LFS}|{own})|{_OTHERS}")


# Written on the node.


def write_result(folder: Path, worktree: str, result: SessionResult, job: str, target: IO[bytes]) -> None:
    """Write what a session left as one file; what does not fit is left out, and counted.

    Args:
        folder: the run's, where an agent has written.
        worktree: the name of the worktree in the run's git folder.
        result: how the session ended.
        job: the job's name.
        target: receives the file.

    Raises:
        OSError: the disk is full.
        GitError: the folder cannot be read.
    """
    with gzip.GzipFile(fileobj=target, mode="wb", compresslevel=_LEVEL, mtime=0) as stream:
        packing = _Packing(UntrustedFolder(folder), TarWriter(stream), _is_expected(worktree))
        for name in (_GIT, EVENTS_FILE, SUMMARY_FILE, GATEWAY, _SETUP_OUT, SESSIONS):
            packing.add(name)
        record = encode(record_of(result, job, os.uname().nodename, packing.left_out))
        packing.writer.add(Entry(RESULT_FILE, len(record)), io.BytesIO(record))
        packing.writer.end()


class _Packing:
    """The files that have been added, and those that were left out."""

    def __init__(self, folder: UntrustedFolder, writer: TarWriter, expected: re.Pattern[str]) -> None:
        self.writer, self.left_out = writer, 0
        self._folder, self._expected = folder, expected
        self._bytes, self._files = MOST_BYTES - LARGEST_RECORD - _ROOM_AT_HOME, MOST_FILES - 1

    def add(self, top: str) -> None:
        """Add a file, or what is below a folder."""
        for name in self._names(top):
            if self._expected.fullmatch(name):
                self._add_file(name)

    def _names(self, top: str) -> Iterator[str]:
        if (found := self._folder.stat(top)) is None:
            return iter(())
        return self._folder.files(top) if stat.S_ISDIR(found.st_mode) else iter([top])

    def _add_file(self, name: str) -> None:
        with self._folder.opened(name) as file:
            size = os.fstat(file.fileno()).st_size if file else 0
            needed = size + 1024
            if file is None or self._files <= 0 or needed > self._bytes or not _is_writable(name):
                self.left_out += 1
                return
            self.writer.add(Entry(name, size), file)
        self._bytes -= needed
        self._files -= 1


def _is_writable(name: str) -> bool:
    try:
        TarWriter(io.BytesIO()).add(Entry(name, 0), io.BytesIO())
    except ValueError:
        return False
    return True


# Read here.


class RefusedResultError(RunError):
    """A result that breaks a rule."""


class Bounds(Struct, frozen=True):
    """How large a result may be: bytes of all that it has, unpacked, and files."""

    most_bytes: int = MOST_BYTES
    most_files: int = MOST_FILES


class Expected(Struct, frozen=True):
    """What a result has to fit.

    Attributes:
        job: the job's name.
        folder: the run's folder.
        git: the run's private git folder.
        limits: the session's.
        bounds: how large it may be.
    """

    job: str
    folder: Path
    git: PrivateGit
    limits: Limits
    bounds: Bounds = field(default_factory=Bounds)


def take_result(archive: IO[bytes], expected: Expected) -> SessionResult:
    """Check a result, and put its files into the run's folder in the place of those that were sent.

    Args:
        archive: what came from a node; it may be hostile.
        expected: what it has to fit.

    Returns:
        How the session ended.

    Raises:
        RefusedResultError: it is refused; the run's folder has not changed.
        RunError: the disk is full.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="quarantine-", dir=expected.folder) as partial:
            result = _checked(archive, Path(partial), expected)
            _install(Path(partial), expected)
            return replace(result, spending=read_spending(expected.folder))
    except OSError as error:
        raise disk_error(expected.folder, error) from error


def _checked(archive: IO[bytes], partial: Path, expected: Expected) -> SessionResult:
    try:
        _unpack(archive, partial, _is_expected(expected.git.worktree_name), expected.bounds)
        record = partial / RESULT_FILE
        if not record.is_file():
            raise BadTarError(f"it has no {RESULT_FILE}")
        told, result = read_session_record(record, expected.job, expected.limits)
        _require_countable(partial)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise _refused(expected, "it is cut off or damaged") from None
    except (ValueError, GitError) as error:
        raise _refused(expected, str(error)) from None
    if told.left_out:
        warn(f"{told.left_out} files of the session, such as links or large ones, stayed on the node")
    return result


def _refused(expected: Expected, why: str) -> RunError:
    return RefusedResultError(
        f"the result of job {expected.job} is refused: {why}",
        "nothing of it was used; look for the cause on its node, and start the plan again",
    )


def _unpack(archive: IO[bytes], partial: Path, names: re.Pattern[str], bounds: Bounds) -> None:
    folder = os.open(partial, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with gzip.GzipFile(fileobj=archive, mode="rb") as stream:
            reader = TarReader(stream, bounds.most_bytes, bounds.most_files)
            for entry in reader:
                if not names.fullmatch(entry.name):
                    raise BadTarError(f"{entry.name!a} is not what a session leaves")
                if entry.name == RESULT_FILE and entry.size > LARGEST_RECORD:
                    raise BadTarError(f"{RESULT_FILE} is too large")
                unpack(reader, entry, folder)
    finally:
        os.close(folder)


def _require_countable(partial: Path) -> None:
    """Check that what the gateway counted is what a gateway writes: others read it later.

    Raises:
        ValueError: it is not.
    """
    if not is_countable(partial):
        raise ValueError(f"{GATEWAY}/ is not what a gateway writes")


def _install(partial: Path, expected: Expected) -> None:
    own = expected.git.folder
    worktree = f"worktrees/{expected.git.worktree_name}"
    new = partial / _GIT
    for name in (*_KEPT_OF_GIT, *(f"{worktree}/{name}" for name in _KEPT_OF_WORKTREE)):
        _copy(own / name, new / name)
    for name in ("refs/heads", "refs/tags", "objects/pack"):
        (new / name).mkdir(parents=True, exist_ok=True)
    aside = partial / "replaced"
    aside.mkdir()
    for number, name in enumerate((SESSIONS, GATEWAY, _SETUP_OUT, EVENTS_FILE, SUMMARY_FILE, _GIT)):
        if os.path.lexists(partial / name):
            if os.path.lexists(expected.folder / name):
                (expected.folder / name).rename(aside / str(number))
            (expected.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (partial / name).rename(expected.folder / name)


def _copy(source: Path, target: Path) -> None:
    """Copy what lw_coder itself has written before the session, in the place of what came."""
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    elif source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
