"""One session on a plan's worktree at a time."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from lw_coder.errors import RunError
from lw_coder.state import lock_folder


@contextmanager
def plan_lock(root: Path, plan_id: str) -> Iterator[None]:
    """Hold the plan's lock for the length of the block.

    Raises:
        RunError: another process holds it, the message says which, and since when; or it cannot be made.
    """
    from filelock import FileLock, Timeout

    path = _lock_path(root, plan_id)
    lock, holder = FileLock(path, blocking=False), path.with_suffix(".json")
    try:
        lock.acquire()
        _tell(holder)
    except Timeout:
        raise RunError(
            f"{plan_id}: a session is already at work on this plan{_told(holder)}",
            "leave that session first, or wait for its end",
        ) from None
    except OSError as error:
        lock.release()
        raise _unusable(path, error) from error
    try:
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def is_locked(root: Path, plan_id: str) -> bool:
    """Tell whether some process holds the plan's lock."""
    from filelock import FileLock, Timeout

    path = _lock_path(root, plan_id)
    try:
        with FileLock(path, blocking=False):
            return False
    except Timeout:
        return True
    except OSError as error:
        raise _unusable(path, error) from error


def _lock_path(root: Path, plan_id: str) -> Path:
    # Outside the repository: a refused command leaves nothing there.
    worktree = hashlib.sha256(os.fsencode(f"{root}\0{plan_id}")).hexdigest()[:24]
    return lock_folder() / f"{worktree}.lock"


def _unusable(path: Path, error: OSError) -> RunError:
    reason = error.strerror or type(error).__name__
    return RunError(
        f"{error.filename or path}: cannot be locked: {reason}", "correct its owner and permissions"
    )


def _tell(holder: Path) -> None:
    since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    holder.write_text(json.dumps({"pid": os.getpid(), "since": since}), encoding="ascii")


def _told(holder: Path) -> str:
    try:
        known = json.loads(holder.read_text(encoding="ascii"))
        return f" (process {known['pid']}, since {known['since']})"
    except (OSError, ValueError, KeyError, TypeError):  # it is being written, or its disk is full
        return ""
