"""Worktrees that `git worktree add` did not finish, because it was killed or the power failed.

While git creates a worktree, it keeps a lock with the reason "initializing" on it. If a user has removed that
lock, the index is still missing. Nobody can work in such a worktree: `git commit --all` would delete every
file that is still missing. This module finds and removes incomplete worktrees mostly without git, which can
fail on them.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

from lw_coder.foundation.errors import GitError
from lw_coder.foundation.folders import entries_of
from lw_coder.foundation.report import printable, warn
from lw_coder.repository.git import Place, Repository, committed_files, run_git

_INITIALIZING = "initializing"
# In a worktree's record: git folders of its submodules, the last commit's message, a merge and the like.
_SIGNS_OF_WORK = (
    *("modules", "COMMIT_EDITMSG", "MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "sequencer"),
    *("rebase-merge", "rebase-apply", "BISECT_LOG"),
)
_SMALLEST_INDEX = 32  # bytes: a header and a checksum


def is_incomplete(repository: Repository, path: Path) -> bool:
    """Return whether git did not finish a worktree. One that the user has locked does not count."""
    git_dir = admin_dir(repository, path)
    if git_dir is None:
        return _is_incomplete_folder(repository, path)
    reason = lock_reason(git_dir)
    if reason is not None:
        return reason == _INITIALIZING
    return not all(_is_there(git_dir / name) for name in ("HEAD", "commondir")) or not _has_index(git_dir)


def remove_incomplete(repository: Repository, path: Path, head: str) -> None:
    """Remove an incomplete worktree and git's record of it.

    If the folder can contain files of the user, it is renamed and not removed.

    Git's lock shows only that git did not end: a person can have finished the checkout, and worked there.

    Args:
        repository: the user's.
        path: the worktree's folder, which may be missing.
        head: object id of the commit that git was checking out.

    Raises:
        GitError: it could not be removed, or git's record of it shows that someone has worked there.
    """
    git_dir = admin_dir(repository, path)
    if git_dir is not None:
        _require_unused(path, git_dir)
    if os.path.lexists(path):
        if _holds_only(path, committed_files(repository, head), repository.object_format):
            remove_folder(path)
        else:
            aside = _move_aside(path)
            warn(f"{path}: git had not finished creating this worktree; its files are now in {aside}")
    remove_record(repository, path)


def _require_unused(path: Path, git_dir: Path) -> None:
    """Refuse a record with what `git worktree add` never makes before the index, its last step."""
    if _has_index(git_dir):
        if lock_reason(git_dir) == _INITIALIZING:
            raise GitError(
                f"{path}: has an index, but not all of its files, and is locked as git locks what it creates",
                f"check it with git status, then type: git worktree unlock {quoted(path)}",
            )
        raise GitError(f"{git_dir / 'HEAD'}: is empty", "write into it: ref: refs/heads/<the branch>")
    if any(os.path.lexists(git_dir / name) for name in _SIGNS_OF_WORK) or _is_detached(git_dir):
        raise GitError(
            f"{path}: has no index, but someone has worked there",
            f"type: git -C {quoted(path)} reset, and check it with git status",
        )


def _is_detached(git_dir: Path) -> bool:
    """Return whether HEAD names a commit; `git worktree add` begins with a HEAD of zeros."""
    head = (git_dir / "HEAD").read_bytes() if _is_there(git_dir / "HEAD") else b""
    return bool(head.strip(b"0\n")) and not head.startswith(b"ref: ")


def repair_record(repository: Repository, path: Path) -> None:
    """Do what git can have missed last, or lost: write the `commondir` file, and unlock a complete worktree.

    Without `commondir`, git can list no worktree at all. Git unlocks a worktree after it has written the
    index, which it does when all files are there.
    """
    git_dir = admin_dir(repository, path)
    if git_dir is None:
        return
    if not _is_there(git_dir / "commondir"):
        (git_dir / "commondir").write_text("../..\n", encoding="ascii")
    if lock_reason(git_dir) == _INITIALIZING and _has_index(git_dir) and _has_all_files(path, git_dir):
        (git_dir / "locked").unlink(missing_ok=True)


def _has_all_files(path: Path, git_dir: Path) -> bool:
    """Return whether every file of the index is in a worktree; if git cannot tell, it is not complete."""
    if not path.is_dir() or not _is_there(git_dir / "HEAD"):
        return False
    here = Place(path, git_dir=git_dir, work_tree=path, alone=True)
    missing = run_git("ls-files", "--deleted", place=here, check=False)
    return missing.code == 0 and not missing.stdout


def remove_record(repository: Repository, path: Path) -> None:
    """Remove git's record of a worktree whose folder is missing, even if it is locked.

    Raises:
        GitError: it could not be removed.
    """
    git_dir = admin_dir(repository, path)
    if git_dir is None:
        return
    # `worktree prune` would also remove records of worktrees on disks that are not mounted. `worktree remove`
    # fails if it cannot read HEAD.
    run_git("worktree", "remove", "--force", "--force", str(path), place=repository.place, check=False)
    if git_dir.is_dir():
        remove_folder(git_dir)


def lock_reason(git_dir: Path) -> str | None:
    """Return the reason of a worktree's lock, which can be empty, or None if it is not locked."""
    try:
        return (git_dir / "locked").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def admin_dir(repository: Repository, path: Path) -> Path | None:
    """Return a worktree's folder below `.git/worktrees`, without reading anything in the worktree."""
    every = [Path(entry.path) / "gitdir" for entry in entries_of(repository.common_dir / "worktrees")]
    found = [gitdir.parent for gitdir in every if named_path(gitdir, "") == path / ".git"]
    # If there are several, all but the one with an index are remains.
    return next(filter(_has_index, found), found[0] if found else None)


def named_path(file: Path, prefix: str) -> Path | None:
    """Return the path in a one-line file; since git 2.48 it can be relative to the file's folder.

    None if the file is not there, as when another command is removing the worktree, or begins otherwise.
    """
    try:
        text = os.fsdecode(file.read_bytes()[:8192]).removesuffix("\n")
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not text.startswith(prefix):
        return None
    return Path(os.path.normpath(file.parent / text.removeprefix(prefix)))


def remove_folder(path: Path) -> None:
    """Remove a folder with its contents, or a link or file. A missing one is no error.

    Raises:
        GitError: it could not be removed.
    """
    if path.is_symlink() or not path.exists():
        path.unlink(missing_ok=True)
        return
    try:
        _remove_tree(path)
    except (OSError, RecursionError) as error:
        raise GitError(f"{path}: could not be removed", f"type: rm -rf {quoted(path)}") from error


def quoted(path: Path | str) -> str:
    """Quote a path for a shell, with control characters escaped."""
    return shlex.quote(printable(str(path)))


def _is_incomplete_folder(repository: Repository, path: Path) -> bool:
    """Return whether a folder is an incomplete worktree whose record was emptied by a power failure."""
    if path.is_symlink() or not path.is_dir():
        return False
    pointer = path / ".git"
    if pointer.is_symlink() or not pointer.is_file():
        return not any(path.iterdir())
    named = named_path(pointer, "gitdir: ")
    if named is None or named.parent != repository.common_dir / "worktrees":
        return not pointer.stat().st_size
    return named.is_dir() and not _is_there(named / "gitdir")


def _is_there(file: Path) -> bool:
    """Return whether a file has content; a power failure can leave it empty."""
    try:
        return file.stat().st_size > 0
    except OSError:
        return False


def _has_index(git_dir: Path) -> bool:
    try:
        return (git_dir / "index").stat().st_size >= _SMALLEST_INDEX
    except OSError:
        return False


def _holds_only(folder: Path, committed: dict[str, str], object_format: str) -> bool:
    """Return whether every file is empty or identical to the commit's, so that git can create it again."""
    empty = _blob_id(Path(os.devnull), object_format)
    try:
        for file in _files(folder):
            name = file.relative_to(folder).as_posix()
            if name != ".git" and _blob_id(file, object_format) not in {committed.get(name), empty}:
                return False
    except OSError:  # a folder that cannot be read
        return False
    return True


def _files(folder: Path) -> Iterator[Path]:
    """Yield everything that is no folder, links to folders as well."""
    for parent, folders, names in os.walk(folder, onerror=_raise):
        inner = Path(parent)
        yield from (inner / name for name in names)
        yield from (inner / name for name in folders if (inner / name).is_symlink())


def _raise(error: OSError) -> None:
    raise error


def _blob_id(file: Path, object_format: str) -> str | None:
    """Return the blob id of a file's content, without filters, or None if the file cannot be read."""
    try:
        content = os.fsencode(file.readlink()) if file.is_symlink() else file.read_bytes()
    except OSError:
        return None
    digest = hashlib.new(object_format, usedforsecurity=False)
    digest.update(b"blob %d\0" % len(content) + content)
    return digest.hexdigest()


def _move_aside(path: Path) -> Path:
    number = 1
    while os.path.lexists(aside := path.with_name(f"{path.name}.unfinished-{number}")):
        number += 1
    return path.rename(aside)


def _remove_tree(path: Path) -> None:
    try:
        shutil.rmtree(path)
    except PermissionError:
        _make_folders_writable(path)
        shutil.rmtree(path)


def _make_folders_writable(path: Path) -> None:
    path.chmod(0o700)
    for parent, folders, _ in os.walk(path):
        for folder in folders:
            inner = Path(parent, folder)
            if not inner.is_symlink():
                inner.chmod(0o700)
