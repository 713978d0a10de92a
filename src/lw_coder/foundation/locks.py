"""Locks that end with the process that holds them: one session on a plan's worktree at a time.

A repository's locks are files in the `.git` folder that all its worktrees share, so everybody who works on it
meets there, whatever their home is. Each is removed by who releases it: nothing is left in the repository.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from lw_coder.foundation.errors import LockedError, RunError
from lw_coder.foundation.json_text import read_json

_PREFIX = "lw_coder-"
_TRIES, _PAUSE = 10, 0.02  # seconds; who only looks whether a lock is held has it for a moment


@contextmanager
def exclusive(path: Path) -> Iterator[bool]:
    """Lock a file during the block, creating it if needed; yield False at once if it is locked already.

    It is False, too, if another process has locked and removed the file since it was opened here.

    It uses flock(2) directly: a library takes longer to import than the rest of a plan's checks.

    Raises:
        OSError: the file cannot be created or locked.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        yield _is_taken(descriptor) and _is_still(path, descriptor)
    finally:
        os.close(descriptor)


def _is_taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def plan_lock(git_folder: Path, plan_id: str) -> Iterator[None]:
    """Hold the plan's lock during the block.

    Args:
        git_folder: the one that all worktrees of the repository share.
        plan_id: the plan.

    Raises:
        LockedError: another process holds it; the message says which, and since when.
        RunError: it cannot be created.
    """
    what = f"{plan_id}: a session is already running on this plan"
    with _held(_lock_path(git_folder, plan_id), what, "leave that session first, or wait until it ends"):
        yield


@contextmanager
def batch_lock(git_folder: Path) -> Iterator[None]:
    """Hold the lock of a repository's batches during the block.

    Raises:
        RunError: as `plan_lock`.
    """
    what = "a batch is already running in this repository"
    with _held(_lock_path(git_folder, "", "batch"), what, "end it first, or wait until it ends"):
        yield


@contextmanager
def _held(path: Path, what: str, remedy: str) -> Iterator[None]:
    with _removed_afterwards(path) as descriptor:
        if descriptor is None:
            raise LockedError(f"{what}{_holder_note(path)}", remedy)
        _remove_what_is_left(path)
        with suppress(OSError):  # on a full disk: it is held all the same
            _write_holder(descriptor)
        try:
            yield
        finally:
            _remove_what_is_left(path)


def _remove_what_is_left(own: Path) -> None:
    """Remove the locks of killed commands, and of children that have ended; nobody holds them."""
    for other in own.parent.glob(f"{_PREFIX}*"):
        if other != own:
            _remove_if_free(other)


@contextmanager
def writers_lock(git_folder: Path, plan_id: str) -> Iterator[int | None]:
    """Lock a plan's worktree while git creates it; yield the descriptor, or None if it is locked already.

    A git process that inherits the descriptor holds the lock as long as it runs, even if lw_coder is killed.

    Raises:
        RunError: the lock file cannot be created.
    """
    with _removed_afterwards(_lock_path(git_folder, plan_id, "writer")) as descriptor:
        yield descriptor


def is_being_written(git_folder: Path, plan_id: str) -> bool:
    """Return whether a process holds a plan's `writers_lock`.

    Raises:
        RunError: the lock file cannot be opened.
    """
    return _is_held(_lock_path(git_folder, plan_id, "writer"))


@contextmanager
def child_lock(git_folder: Path, plan_id: str) -> Iterator[int | None]:
    """Lock a plan for a process that carries it out; yield the descriptor, or None if it is locked already.

    The process inherits the descriptor and holds the lock as long as it runs, whatever becomes of its parent.
    `note_child` tells others which process it is.

    Raises:
        RunError: the lock file cannot be created.
    """
    with _removed_afterwards(_lock_path(git_folder, plan_id, "child")) as descriptor:
        if descriptor is not None:
            os.ftruncate(descriptor, 0)
        yield descriptor


def note_child(lock: int, pid: int) -> None:
    """Write the id of the process that has inherited a `child_lock`."""
    os.pwrite(lock, str(pid).encode(), 0)


def holder_of_child_lock(git_folder: Path, plan_id: str) -> int | None:
    """Return the id of the process that holds a `child_lock`, 0 if it is not known; None if there is none."""
    path = _lock_path(git_folder, plan_id, "child")
    if not path.exists():
        return None
    with _removed_afterwards(path, tries=1) as descriptor:
        if descriptor is not None:
            return None
        written = path.read_bytes() if path.exists() else b""
    return int(written) if written.isdigit() else 0


def is_locked(git_folder: Path, plan_id: str) -> bool:
    """Return whether a process holds the plan's lock.

    Raises:
        RunError: the lock file cannot be opened.
    """
    return _is_held(_lock_path(git_folder, plan_id))


def _is_held(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        return not _is_taken(descriptor)
    finally:
        os.close(descriptor)


def _lock_path(git_folder: Path, plan_id: str, kind: str = "plan") -> Path:
    return git_folder / f"{_PREFIX}{hashlib.sha256(os.fsencode(plan_id)).hexdigest()[:24]}.{kind}"


@contextmanager
def _removed_afterwards(path: Path, tries: int = _TRIES) -> Iterator[int | None]:
    """Lock a file; yield its descriptor, or None if it is locked. Whoever holds it last removes it.

    Raises:
        RunError: it cannot be created or locked.
    """
    try:
        descriptor = _taken(path, tries)
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        yield descriptor
    finally:
        if descriptor is not None:
            os.close(descriptor)
            _remove_if_free(path)


def _taken(path: Path, tries: int) -> int | None:
    while True:
        descriptor = _opened(path)
        if not _is_taken(descriptor):
            os.close(descriptor)
            tries -= 1
            if tries < 1:
                return None
            time.sleep(_PAUSE)
        elif _is_still(path, descriptor):
            return descriptor
        else:  # who held it has removed it
            os.close(descriptor)


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    except PermissionError:
        if not path.exists():
            raise
        if _remove_if_free(path):  # left by a killed command of another user
            return _opened(path)
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _remove_if_free(path: Path) -> bool:
    """Remove a lock that nobody holds; a process that has inherited it goes on holding it."""
    with suppress(OSError), ExitStack() as stack:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        stack.callback(os.close, descriptor)
        if _is_taken(descriptor) and _is_still(path, descriptor):
            path.unlink()
            return True
    return False


def _unusable(path: Path, error: OSError) -> RunError:
    reason = error.strerror or type(error).__name__
    return RunError(f"{path}: cannot be locked: {reason}", "correct its owner and permissions")


def _write_holder(descriptor: int) -> None:
    since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "since": since}).encode(), 0)


def _holder_note(path: Path) -> str:
    for _ in range(_TRIES):
        try:
            known = read_json(path.read_text(encoding="ascii"))
            return f" (process {known['pid']}, since {known['since']})"
        except OSError:  # it has been released
            break
        except (ValueError, KeyError, TypeError):  # it is being written, or the disk is full
            time.sleep(_PAUSE)
    return ""
