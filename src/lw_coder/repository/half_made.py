"""Worktrees that `git worktree add` did not finish: it was killed, or the power failed. Git is not asked.

Git keeps a lock with the reason "initializing" on a worktree while it makes it. Where that lock was removed
by hand, the index is still missing. Nobody can work on such a worktree: `git commit --all` would delete
every file that is not there yet.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

from lw_coder.foundation.errors import GitError
from lw_coder.foundation.report import printable, warn
from lw_coder.repository.git import Repository, committed_files, run_git

_INITIALIZING = "initializing"
# In a worktree's record: git folders of its submodules, the last commit's message, a merge and the like.
_SIGNS_OF_WORK = (
    *("modules", "COMMIT_EDITMSG", "MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "sequencer"),
    *("rebase-merge", "rebase-apply", "BISECT_LOG"),
)
_SMALLEST_INDEX = 32  # bytes: a header and a checksum


def is_half_made(repository: Repository, path: Path) -> bool:
    """Tell whether a worktree was never finished; one that the person has locked is the person's."""
    git_dir = admin_dir(repository, path)
    if git_dir is None:
        return _is_half_made_folder(repository, path)
    reason = lock_reason(git_dir)
    if reason is not None:
        return reason == _INITIALIZING
    return not all(_is_there(git_dir / name) for name in ("HEAD", "commondir")) or not _has_index(git_dir)


def remove_half_made(repository: Repository, path: Path, head: str) -> None:
    """Remove a half-made worktree and git's record of it; what is not surely git's own is put aside.

    Git's lock shows only that git did not end: a person can have finished the checkout, and worked there.

    Args:
        repository: the person's.
        path: the worktree's folder, which may be gone.
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
            warn(f"{path}: was never finished; what was in it is in {_put_aside(path)} now")
    remove_record(repository, path)


def _require_unused(path: Path, git_dir: Path) -> None:
    """Refuse a record with what `git worktree add` never makes before the index, its last step."""
    if _has_index(git_dir):
        if lock_reason(git_dir) == _INITIALIZING:
            raise GitError(
                f"{path}: is complete, but still has the lock that git puts on a worktree that it makes",
                f"look at it with git status, then type: git worktree unlock {quoted(path)}",
            )
        raise GitError(f"{git_dir / 'HEAD'}: is empty", "write into it: ref: refs/heads/<the branch>")
    if any(os.path.lexists(git_dir / name) for name in _SIGNS_OF_WORK) or _is_detached(git_dir):
        raise GitError(
            f"{path}: has no index, but someone has worked there",
            f"type: git -C {quoted(path)} reset, and look at it with git status",
        )


def _is_detached(git_dir: Path) -> bool:
    return _is_there(git_dir / "HEAD") and not (git_dir / "HEAD").read_bytes().startswith(b"ref: ")


def mend_record(repository: Repository, path: Path) -> None:
    """Write the part of a half-made worktree's record without which git reads no worktree's record at all."""
    git_dir = admin_dir(repository, path)
    if git_dir is not None and not _is_there(git_dir / "commondir"):
        (git_dir / "commondir").write_text("../..\n", encoding="ascii")


def remove_record(repository: Repository, path: Path) -> None:
    """Remove git's record of a worktree whose folder is gone, locked or not.

    Raises:
        GitError: it could not be removed.
    """
    git_dir = admin_dir(repository, path)
    if git_dir is None:
        return
    # `worktree prune` would drop the records of absent disks as well; `remove` needs a HEAD that it can read.
    run_git("worktree", "remove", "--force", "--force", str(path), place=repository.place, check=False)
    if git_dir.is_dir():
        remove_folder(git_dir)


def lock_reason(git_dir: Path) -> str | None:
    """Return why a worktree is locked, possibly an empty text, or None if it is not."""
    try:
        return (git_dir / "locked").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def admin_dir(repository: Repository, path: Path) -> Path | None:
    """Find the folder below `.git/worktrees` of a worktree, without reading anything in the worktree."""
    every = sorted((repository.common_dir / "worktrees").glob("*/gitdir"))
    found = [gitdir.parent for gitdir in every if named_path(gitdir, "") == path / ".git"]
    # Of several, others than the one with an index are remains.
    return next(filter(_has_index, found), found[0] if found else None)


def named_path(file: Path, prefix: str) -> Path | None:
    """Return the path that a one-line file names; git 2.48 can write it relative to the file's folder."""
    text = os.fsdecode(file.read_bytes()[:8192]).removesuffix("\n")
    if not text.startswith(prefix):
        return None
    return Path(os.path.normpath(file.parent / text.removeprefix(prefix)))


def remove_folder(path: Path) -> None:
    """Remove a folder with all that is in it, or a link or file; absent ones are no error.

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
    """Write a path as it can be typed in a shell, without what a terminal would act upon."""
    return shlex.quote(printable(str(path)))


def _is_half_made_folder(repository: Repository, path: Path) -> bool:
    """Tell whether a folder without a record is what a power cut left of one: its record lost its content."""
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
    """Tell whether a file has content; a power cut can leave it empty."""
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
    """Tell whether every file is a commit's, unchanged or still empty: git can make it again."""
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
    """Return the id that git gives to a file's content as it stands, or None if it cannot be read."""
    try:
        content = os.fsencode(file.readlink()) if file.is_symlink() else file.read_bytes()
    except OSError:
        return None
    digest = hashlib.new(object_format, usedforsecurity=False)
    digest.update(b"blob %d\0" % len(content) + content)
    return digest.hexdigest()


def _put_aside(path: Path) -> Path:
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
