"""Read a session's index and its unfinished merge or rebase from its git folder, without git."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from lw_coder.foundation.errors import GitError
from lw_coder.repository.git import Repository, missing_objects, run_git
from lw_coder.repository.importing.quarantine import import_blobs
from lw_coder.repository.importing.untrusted_files import UntrustedFolder
from lw_coder.repository.index_file import INTENT_TO_ADD, SKIP_WORKTREE, IndexEntry, read_index
from lw_coder.repository.worktree_index import STAGEABLE_MODES, IndexChanges
from lw_coder.repository.worktrees import UNFINISHED

if TYPE_CHECKING:
    from lw_coder.repository.private_git import PrivateGit
    from lw_coder.repository.worktrees import Worktree

MAX_INDEX = 256 << 20  # bytes
MAX_HEAD = 4096  # bytes
MAX_STAGED = 100_000  # files; if there are more, none is staged, but all stay in the worktree


def unfinished_operation(session: PrivateGit) -> str | None:
    """Return the operation that the agent did not finish ("merge", "rebase" ...), or None."""
    folder = UntrustedFolder(session.folder)
    names = (
        name for name in UNFINISHED if folder.stat(f"worktrees/{session.worktree_name}/{name}") is not None
    )
    first = next(names, None)
    return None if first is None else UNFINISHED[first][0]


def is_on(session: PrivateGit, branch: str | None) -> bool:
    """Return whether the agent's worktree is on this branch."""
    head = UntrustedFolder(session.folder).read(f"worktrees/{session.worktree_name}/HEAD", MAX_HEAD)
    return branch is not None and os.fsdecode(head or b"").strip() == f"ref: refs/heads/{branch}"


def has_same_index(worktree: Worktree, session: PrivateGit) -> bool:
    """Return whether the session's index is still the worktree's, byte by byte, as it is until git writes it.

    Then there is nothing to take from it, however many files it lists.
    """
    try:
        data = _index_data(session)
    except GitError:  # far too long
        return False
    own = worktree.git_dir / "index"
    return own.is_file() and own.stat().st_size == len(data or b"") and own.read_bytes() == data


def _index_data(session: PrivateGit) -> bytes | None:
    return UntrustedFolder(session.folder).read(f"worktrees/{session.worktree_name}/index", MAX_INDEX)


def read_session_index(
    repository: Repository, worktree: Path, session: PrivateGit, head: str, *, with_staged: bool
) -> IndexChanges:
    """Compare the agent's index with its commit; an index that cannot be read counts as unchanged.

    Args:
        repository: the user's; staged contents are imported into it.
        worktree: the folder that the agent worked in.
        session: the run's private git folder, which may be hostile.
        head: the commit that the worktree is on now.
        with_staged: whether the agent's index belongs to that commit.

    Raises:
        GitError: the repository cannot be read.
        OSError: the disk is full.
    """
    entries = _agents_entries(session, repository.sha_length // 2)
    if not entries:
        return IndexChanges()
    folders = {entry.path for entry in entries if entry.path.endswith("/")}
    listed = {entry.path: entry for entry in entries if not entry.stage}
    committed = _committed(repository, head)

    def is_skipped(path: str) -> bool:
        entry = listed.get(path)
        return _is_below(path, folders) if entry is None else bool(entry.flags & SKIP_WORKTREE)

    left = IndexChanges(
        skipped=frozenset(path for path in committed if is_skipped(path) and not _is_there(worktree, path)),
        shown=frozenset(path for path, entry in listed.items() if not entry.flags & SKIP_WORKTREE),
    )
    return (
        _with_staged(repository, worktree, session, left, _changes(listed, committed))
        if with_staged
        else left
    )


def _is_below(path: str, folders: set[str]) -> bool:
    """Tell whether one of the folders, each with a slash at its end, holds the path; of any number."""
    return any(path[: at + 1] in folders for at, letter in enumerate(path) if letter == "/")


def _agents_entries(session: PrivateGit, hash_size: int) -> list[IndexEntry]:
    try:
        data = _index_data(session)
        return read_index(data, hash_size) if data else []
    except GitError:
        return []


def _committed(repository: Repository, commit: str) -> dict[str, tuple[int, str]]:
    listed = run_git("ls-tree", "-r", "-z", "--full-tree", commit, place=repository.place).stdout
    entries = (line.split("\t", 1) for line in listed.split("\0") if line)
    described = ((path, text.split(" ")) for text, path in entries)
    return {path: (int(mode, 8), sha) for path, (mode, _, sha) in described}


def _is_there(worktree: Path, path: str) -> bool:
    return os.path.lexists(worktree / path)


def _changes(listed: Mapping[str, IndexEntry], committed: Mapping[str, tuple[int, str]]) -> list[IndexEntry]:
    """List the index's entries that differ from the commit, without submodules."""
    return [
        entry
        for path, entry in listed.items()
        if entry.mode in STAGEABLE_MODES
        and not entry.flags & SKIP_WORKTREE
        and committed.get(path) != (entry.mode, entry.sha)
    ]


def _with_staged(
    repository: Repository,
    worktree: Path,
    session: PrivateGit,
    left: IndexChanges,
    changes: Sequence[IndexEntry],
) -> IndexChanges:
    if len(changes) > MAX_STAGED:
        return left
    contents = [entry for entry in changes if not entry.flags & INTENT_TO_ADD]
    if not _are_here(repository, session, [entry.sha for entry in contents]):
        contents = []
    staged = tuple((entry.path, entry.mode, entry.sha) for entry in contents)
    names = {entry.path for entry in changes} - {path for path, _, _ in staged}
    intended = tuple(path for path in sorted(names) if _is_plain_file(worktree, path))
    return replace(left, staged=staged, intended=intended)


def _are_here(repository: Repository, session: PrivateGit, shas: Sequence[str]) -> bool:
    """Import staged contents that the repository lacks; return whether it now has all of them."""
    missing = list(dict.fromkeys(missing_objects(repository, list(shas)))) if shas else []
    try:
        if missing:
            import_blobs(repository, session, missing, staged_ref(session))
    except GitError:
        return False
    return _are_contents(repository, shas)


def _are_contents(repository: Repository, shas: Sequence[str]) -> bool:
    """Tell whether all are contents of files: a tree's id as a file's would make a commit that is damaged."""
    if not shas:
        return True
    names = "".join(f"{sha}\n" for sha in dict.fromkeys(shas))
    kinds = run_git("cat-file", "--batch-check=%(objecttype)", place=repository.place, stdin=names).stdout
    return set(kinds.split("\n")) == {"blob"}


def staged_ref(session: PrivateGit) -> str:
    """Return the ref that protects staged contents from git's gc until they are in the index."""
    return f"refs/lw_coder-staged/{session.worktree_name}/contents"


def _is_plain_file(worktree: Path, path: str) -> bool:
    found = UntrustedFolder(worktree).stat(path)
    return found is not None and stat.S_ISREG(found.st_mode)
