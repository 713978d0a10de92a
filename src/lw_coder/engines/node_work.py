"""The folders of the attempts on a node: each belongs to the runner that holds its lock."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lw_coder.engines.node_paths import WORK
from lw_coder.runs.run_folders import remove_tree

BEGUN = "begun"  # in such a folder: its session has started
_LOCK = "lock"
_NEW, _REMOVED = ".new-", ".removed-"


@contextmanager
def own_work(name: str, among: Path = WORK) -> Iterator[Path]:
    """Yield a new folder for an attempt, and remove it at the end.

    If the runner is killed, or fails after its session has begun, the folder stays: it has the only copy of
    what the session did, and the next runner sends it.

    Args:
        name: of the attempt.
        among: the folder of all of them.
    """
    among.mkdir(mode=0o711, parents=True, exist_ok=True)
    # Locked before it has its name: a folder without a lock is one that a killed runner left.
    new = among / f"{_NEW}{secrets.token_hex(8)}"
    new.mkdir(mode=0o700)
    with (new / _LOCK).open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = among / name
        new.rename(folder)
        try:
            yield folder
        except BaseException:
            if not (folder / BEGUN).exists():
                remove_work(folder)
            raise
        remove_work(folder)


def remove_work(folder: Path) -> None:
    """Remove the folder of an attempt, renamed: a part of it must not be taken for what a session left."""
    doomed = folder.with_name(f"{_REMOVED}{secrets.token_hex(8)}")
    folder.rename(doomed)
    remove_tree(doomed)


@contextmanager
def left_work(among: Path = WORK, *, job: str = "") -> Iterator[list[Path]]:
    """Yield the folders that killed runners left; no other runner sees them meanwhile.

    Args:
        among: the folder of all of them.
        job: the only job whose folders are wanted, or empty.
    """
    for doomed in among.glob(f"{_REMOVED}*"):
        remove_tree(doomed)
    held: list[int] = []
    try:
        wanted = (folder for folder in _folders(among) if folder.name.startswith(job))
        yield [folder for folder in wanted if _is_taken(folder, held)]
    finally:
        for lock in held:
            os.close(lock)


def _folders(among: Path) -> list[Path]:
    return sorted(Path(entry.path) for entry in os.scandir(among) if entry.is_dir(follow_symlinks=False))


def _is_taken(folder: Path, held: list[int]) -> bool:
    if folder.name.startswith((_NEW, _REMOVED)):
        return False
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return False
    held.append(lock)
    return True
