"""Plans that a session wrote outside the tasks folder, in a worktree that is about to be removed.

Agents put plans anywhere. New and changed Markdown files, those closest to the worktree's top first, are
copied to the run's folder. The worktree is not trusted: no link is followed, and only regular files are
opened.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from lw_coder.foundation.errors import GitError
from lw_coder.plans.plan_file import MAX_PLAN_BYTES
from lw_coder.repository.importing.untrusted_files import Entry, UntrustedFolder

KEPT = Path("left")  # in the run's folder
MOST_KEPT = 50
MOST_ENTRIES = 20_000
DEEPEST = 12  # folders; each is opened from the top, so that no part of the path can be a link
LONGEST_NAME = 1000  # characters; the path of a copy must not be too long to open


class StrayPlans(Struct, frozen=True):
    """The stray plans of a session.

    Attributes:
        kept: paths of the copies, below KEPT, as they were in the worktree.
        lost: how many could not be kept: too many, too large, or unreadable.
    """

    kept: tuple[str, ...] = ()
    lost: int = 0


def keep_stray_plans(worktree: Path, committed: Mapping[str, str], run_folder: Path) -> StrayPlans:
    """Copy each new or changed Markdown file to the run's folder.

    Args:
        worktree: the session's worktree.
        committed: the files that were checked out: blob ids by path.
        run_folder: receives KEPT, if there is anything to keep.
    """
    found = sorted(
        (name for name in _markdown(worktree) if not _is_known(worktree, name, committed)), key=_nearest_first
    )
    kept = [name for name in found[:MOST_KEPT] if _copied(worktree, name, run_folder / KEPT)]
    return StrayPlans(tuple(kept), len(found) - len(kept))


def _nearest_first(name: str) -> tuple[int, str]:
    return name.count("/"), name


def _is_known(worktree: Path, name: str, committed: Mapping[str, str]) -> bool:
    if name not in committed:
        return False
    try:
        content = UntrustedFolder(worktree).read(name, MAX_PLAN_BYTES)
    except GitError:
        return True  # too large for a plan
    return content is None or _blob_id(content, len(committed[name])) == committed[name]


def _blob_id(content: bytes, digits: int) -> str:
    """Compute git's blob id of this content; git itself is not run where an agent wrote."""
    digest = (
        hashlib.sha256()
        if digits == hashlib.sha256().digest_size * 2
        else hashlib.sha1(usedforsecurity=False)
    )
    digest.update(b"blob %d\0" % len(content) + content)
    return digest.hexdigest()


def _markdown(worktree: Path) -> Iterator[str]:
    folder, waiting, seen = UntrustedFolder(worktree.parent), deque([worktree.name]), 0
    while waiting:
        inner = waiting.popleft()
        is_deepest = inner.count("/") >= DEEPEST
        for entry in _entries(folder, inner):
            seen += 1
            if seen > MOST_ENTRIES:
                return
            name = f"{inner}/{entry.name}"
            if entry.is_folder and not is_deepest:
                waiting.append(name)
            elif name.lower().endswith(".md"):
                yield name.removeprefix(f"{worktree.name}/")


def _entries(folder: UntrustedFolder, name: str) -> list[Entry]:
    try:
        return folder.entries(name)
    except GitError:
        return []  # the person cannot read it either


def _copied(worktree: Path, name: str, into: Path) -> bool:
    if len(name) > LONGEST_NAME:
        return False
    try:
        (into / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        UntrustedFolder(worktree).copy(name, into / name, MAX_PLAN_BYTES)
    except (GitError, OSError):
        with suppress(OSError):
            (into / name).unlink(missing_ok=True)
        return False
    return True
