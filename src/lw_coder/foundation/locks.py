"""Locks that end with the process that holds them: one session on a plan's worktree at a time."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from lw_coder.foundation.errors import RunError
from lw_coder.foundation.json_text import read_json
from lw_coder.foundation.state import lock_folder


@contextmanager
def exclusive(path: Path) -> Iterator[bool]:
    """Lock a file during the block, creating it if needed; yield False at once if it is locked already.

    It uses flock(2) directly: a library takes longer to import than the rest of a plan's checks.

    Raises:
        OSError: the file cannot be created or locked.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        yield _is_taken(descriptor)
    finally:
        os.close(descriptor)


def _is_taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def plan_lock(root: Path, plan_id: str) -> Iterator[None]:
    """Hold the plan's lock during the block.

    Raises:
        RunError: another process holds it (the message says which, and since when), or it cannot be created.
    """
    what = f"{plan_id}: a session is already running on this plan"
    with _held(_lock_path(root, plan_id), what, "leave that session first, or wait until it ends"):
        yield


@contextmanager
def batch_lock(root: Path) -> Iterator[None]:
    """Hold the lock of a repository's batches during the block.

    Raises:
        RunError: as `plan_lock`.
    """
    what = f"{root}: a batch is already running in this repository"
    with _held(_lock_path(root, "").with_suffix(".batch"), what, "end it first, or wait until it ends"):
        yield


@contextmanager
def _held(path: Path, what: str, remedy: str) -> Iterator[None]:
    holder = path.with_suffix(".json")
    with ExitStack() as stack:
        try:
            is_ours = stack.enter_context(exclusive(path))
            if is_ours:
                _write_holder(holder)
        except OSError as error:
            raise _unusable(path, error) from error
        if not is_ours:
            raise RunError(f"{what}{_holder_note(holder)}", remedy)
        stack.callback(holder.unlink, missing_ok=True)
        yield


@contextmanager
def writers_lock(root: Path, plan_id: str) -> Iterator[int | None]:
    """Lock a plan's worktree while git creates it; yield the descriptor, or None if it is locked already.

    A git process that inherits the descriptor holds the lock as long as it runs, even if lw_coder is killed.

    Raises:
        RunError: the lock file cannot be created.
    """
    with _inherited(_lock_path(root, plan_id).with_suffix(".writer")) as descriptor:
        yield descriptor


@contextmanager
def child_lock(root: Path, plan_id: str) -> Iterator[int | None]:
    """Lock a plan for a process that carries it out; yield the descriptor, or None if it is locked already.

    The process inherits the descriptor and holds the lock as long as it runs, whatever becomes of its parent.
    `note_child` tells others which process it is.

    Raises:
        RunError: the lock file cannot be created.
    """
    with _inherited(_lock_path(root, plan_id).with_suffix(".child")) as descriptor:
        if descriptor is not None:
            os.ftruncate(descriptor, 0)
        yield descriptor


def note_child(lock: int, pid: int) -> None:
    """Write the id of the process that has inherited a `child_lock`."""
    os.pwrite(lock, str(pid).encode(), 0)


def holder_of_child_lock(root: Path, plan_id: str) -> int | None:
    """Return the id of the process that holds a `child_lock`, 0 if it is not known; None if there is none."""
    path = _lock_path(root, plan_id).with_suffix(".child")
    if not path.exists():
        return None
    with _inherited(path) as descriptor:
        if descriptor is not None:
            return None
    written = path.read_bytes()
    return int(written) if written.isdigit() else 0


@contextmanager
def _inherited(path: Path) -> Iterator[int | None]:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        yield descriptor if _is_taken(descriptor) else None
    finally:
        os.close(descriptor)


def is_locked(root: Path, plan_id: str) -> bool:
    """Return whether a process holds the plan's lock."""
    path = _lock_path(root, plan_id)
    try:
        with exclusive(path) as is_free:
            return not is_free
    except OSError as error:
        raise _unusable(path, error) from error


def is_in_use(root: Path, plan_id: str) -> bool:
    """As `is_locked`, but take no lock that nobody holds: a session that begins now would be refused."""
    return _lock_path(root, plan_id).with_suffix(".json").exists() and is_locked(root, plan_id)


def _lock_path(root: Path, plan_id: str) -> Path:
    # Outside the repository: a refused command leaves nothing in it.
    worktree = hashlib.sha256(os.fsencode(f"{root}\0{plan_id}")).hexdigest()[:24]
    return lock_folder() / f"{worktree}.lock"


def _unusable(path: Path, error: OSError) -> RunError:
    reason = error.strerror or type(error).__name__
    return RunError(
        f"{error.filename or path}: cannot be locked: {reason}", "correct its owner and permissions"
    )


def _write_holder(holder: Path) -> None:
    since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    holder.write_text(json.dumps({"pid": os.getpid(), "since": since}), encoding="ascii")


def _holder_note(holder: Path) -> str:
    try:
        known = read_json(holder.read_text(encoding="ascii"))
        return f" (process {known['pid']}, since {known['since']})"
    except (OSError, ValueError, KeyError, TypeError):  # it is being written, or the disk is full
        return ""
