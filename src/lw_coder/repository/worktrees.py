"""Worktrees: permanent ones of plans, and temporary ones. The two kinds share no folder.

`ensure_worktree` removes nothing, `ensured_worktree` only what it created itself. `create_temp_worktree` and
`remove_temp_worktree` work below `.lw_coder/temp-worktrees` alone.
"""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lw_coder.foundation.errors import GitError
from lw_coder.foundation.locks import exclusive
from lw_coder.foundation.report import printable
from lw_coder.repository.git import (
    Place,
    Repository,
    is_ancestor,
    is_ref_name,
    list_refs,
    ref_value,
    require_commit,
    require_no_sessions_commit,
    run_git,
    text_lines,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


WORKTREES_FOLDER = Path(".lw_coder/worktrees")
TEMP_WORKTREES_FOLDER = Path(".lw_coder/temp-worktrees")
BRANCH_PREFIX = "lw/task/"


class PlanBase(Protocol):
    """What a worktree is created from: a plan's id, and the commit that the plan starts from."""

    @property
    def plan_id(self) -> str:
        """Name of the worktree's folder, and the end of its branch's name."""

    @property
    def git_sha(self) -> str:
        """Full hex id of a commit."""


@dataclass(frozen=True)
class Worktree:
    """The worktree of a session.

    Attributes:
        path: its absolute folder.
        branch: short name of its branch, or None if HEAD is detached.
        git_dir: its absolute folder below the repository's `.git/worktrees`; the container's pointer file
            contains the folder's name.
        head: object id of the commit that is checked out.
    """

    path: Path
    branch: str | None
    git_dir: Path
    head: str

    @property
    def place(self) -> Place:
        """The worktree's git folder only: git neither reads nor follows the worktree's files."""
        return Place(self.git_dir, git_dir=self.git_dir)

    def has_own_pointer(self) -> bool:
        """Return whether `.git` in the worktree is still a regular file that points to `git_dir`."""
        return _points_to(self.path, self.git_dir)


@dataclass(frozen=True)
class _Record:
    """One entry of `git worktree list`; branch is a full ref name."""

    path: Path
    branch: str | None
    is_locked: bool
    is_gone: bool


def ensure_worktree(repository: Repository, plan: PlanBase) -> Worktree:
    """Return the plan's worktree `.lw_coder/worktrees/<plan_id>` on branch `lw/task/<plan_id>`.

    A new branch starts at the plan's git_sha. An existing one is used if its tip is git_sha or descends from
    it; uncommitted changes of an earlier run stay. A deleted folder is created again from the branch.

    Raises:
        GitError: the worktree cannot be created without changing something of the person's; nothing changed.
    """
    require_commit(repository, plan.git_sha)
    return _ensured(repository, plan, _tip(repository, plan.plan_id), "git_sha")


def _tip(repository: Repository, plan_id: str) -> str | None:
    return ref_value(repository, f"refs/heads/{BRANCH_PREFIX}{plan_id}")


def _ensured(repository: Repository, plan: PlanBase, tip: str | None, where: str) -> Worktree:
    branch = BRANCH_PREFIX + plan.plan_id
    path = (repository.root / WORKTREES_FOLDER).resolve() / plan.plan_id
    _require_branch_name(plan.plan_id, branch)
    if tip is None:
        require_no_sessions_commit(repository, plan.git_sha, where)
    _require_room_for_branch(repository, branch, tip)
    _require_descent(repository, branch, tip, plan.git_sha)
    record = _record_at(repository, path, branch)
    if os.path.lexists(path):
        _require_own_worktree(repository, path, branch, record)
        return _worktree_at(repository, path, branch, tip)
    _add_plan_worktree(repository, path, branch, start=plan.git_sha if tip is None else None)
    return _worktree_at(repository, path, branch, tip or plan.git_sha)


def plan_worktree(repository: Repository, plan_id: str) -> Worktree | None:
    """Return a plan's worktree, or None if there is none; create nothing."""
    path = (repository.root / WORKTREES_FOLDER).resolve() / plan_id
    if not path.is_dir() or _admin_dir(repository, path) is None:
        return None
    return _worktree_at(repository, path, BRANCH_PREFIX + plan_id)


@contextmanager
def ensured_worktree(repository: Repository, plan: PlanBase, where: str = "git_sha") -> Iterator[Worktree]:
    """Yield the plan's worktree; if the block fails, remove only what was created for it.

    It stays if it has new files or commits. The block ends before a session begins.

    Args:
        repository: the person's.
        plan: the plan; `require_commit` has checked its git_sha.
        where: the file and field that git_sha comes from, for messages.

    Raises:
        GitError: as `ensure_worktree`.
    """
    parent = repository.root / WORKTREES_FOLDER
    had_parent, had_folder = os.path.lexists(parent), os.path.lexists(parent / plan.plan_id)
    tip = _tip(repository, plan.plan_id)
    try:
        worktree = _ensured(repository, plan, tip, where)
        try:
            yield worktree
        except BaseException:
            if not had_folder:
                _undo_plan_worktree(repository, worktree, with_branch=tip is None)
            raise
    except BaseException:
        if not had_parent:
            _remove_ignored_folder(parent)
        raise


def _undo_plan_worktree(repository: Repository, worktree: Worktree, *, with_branch: bool) -> None:
    # Without --force git refuses to remove changes. Neither call may hide the block's own error.
    run_git("worktree", "remove", str(worktree.path), place=repository.place, check=False)
    if with_branch and not worktree.path.exists():
        ref = f"refs/heads/{worktree.branch}"
        run_git("update-ref", "-d", ref, worktree.head, place=repository.place, check=False)


@contextmanager
def temporary_worktree(repository: Repository, sha: str) -> Iterator[Worktree]:
    """Check a commit out, detached, in a new temporary worktree; hold its lock; remove it at the end.

    Raises:
        GitError: the commit is unknown, or the worktree could not be made or removed.
    """
    name, parent = f"plan-{secrets.token_hex(6)}", repository.root / TEMP_WORKTREES_FOLDER
    had_parent = os.path.lexists(parent)
    try:
        _make_ignored_folder(parent)
        with exclusive(_lock_path(_temp_path(repository, name))):
            try:
                yield create_temp_worktree(repository, sha, name)
            finally:
                remove_temp_worktree(repository, name)
    except BaseException:
        if not had_parent:
            _remove_ignored_folder(parent)
        raise


def create_temp_worktree(repository: Repository, sha: str, name: str) -> Worktree:
    """Check a commit out, detached, at `.lw_coder/temp-worktrees/<name>`.

    Without the lock that `temporary_worktree` holds, `remove_stale_temp_worktrees` would remove it.

    Raises:
        GitError: the commit is unknown, the name is taken, or git failed.
    """
    path = _temp_path(repository, name)
    require_commit(repository, sha)
    if os.path.lexists(path):
        raise GitError(f"{path}: already exists", f"check its contents, then type: rm -rf {_quoted(path)}")
    _make_ignored_folder(path.parent)
    run_git("worktree", "add", "--quiet", "--force", "--detach", str(path), sha, place=repository.place)
    return _worktree_at(repository, path, None)


def remove_temp_worktree(repository: Repository, name: str) -> None:
    """Remove a temporary worktree, git's record of it and its lock file; a missing one is no error.

    Raises:
        GitError: the folder could not be removed.
    """
    path = _temp_path(repository, name)
    _remove_folder(path)
    if _admin_dir(repository, path) is not None:
        # The folder no longer exists, so git only removes its record; `prune` would also remove records of
        # unmounted disks.
        run_git("worktree", "remove", "--force", "--force", str(path), place=repository.place)
    _lock_path(path).unlink(missing_ok=True)


def remove_stale_temp_worktrees(
    repository: Repository, before: Callable[[str], None] | None = None
) -> tuple[str, ...]:
    """Remove temporary worktrees whose lock nobody holds, after a crash; return their names.

    Args:
        repository: the person's.
        before: called with each name, with its lock held, before it is removed.

    Raises:
        GitError: one of them could not be removed.
    """
    names = temp_worktree_names(repository)
    return tuple(name for name in names if _remove_if_free(repository, name, before))


def temp_worktree_names(repository: Repository) -> tuple[str, ...]:
    """Return the names of all temporary worktrees, sorted."""
    folder = (repository.root / TEMP_WORKTREES_FOLDER).resolve()
    return (
        tuple(sorted(entry.name for entry in folder.iterdir() if entry.is_dir())) if folder.is_dir() else ()
    )


def _remove_if_free(repository: Repository, name: str, before: Callable[[str], None] | None) -> bool:
    with exclusive(_lock_path(_temp_path(repository, name))) as is_free:
        if is_free:
            if before is not None:
                before(name)
            remove_temp_worktree(repository, name)
    return is_free


def _lock_path(path: Path) -> Path:
    return path.with_name(path.name + ".lock")


def _temp_path(repository: Repository, name: str) -> Path:
    if not name or Path(name).name != name or name.startswith(".") or name.endswith(".lock"):
        raise GitError(f"{printable(name)}: is not a valid worktree name", "use letters, digits and hyphens")
    return (repository.root / TEMP_WORKTREES_FOLDER).resolve() / name


def _remove_folder(path: Path) -> None:
    if path.is_symlink() or not path.exists():
        path.unlink(missing_ok=True)
        return
    try:
        _remove_tree(path)
    except (OSError, RecursionError) as error:
        raise GitError(f"{path}: could not be removed", f"type: rm -rf {_quoted(path)}") from error


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


def _require_branch_name(plan_id: str, branch: str) -> None:
    if not is_ref_name(f"refs/heads/{branch}"):
        raise GitError(
            f"plan_id: {printable(plan_id)!r} is not valid in a branch name",
            "choose a plan_id that neither begins nor ends with a dot, and does not end in .lock",
        )


def _require_room_for_branch(repository: Repository, branch: str, tip: str | None) -> None:
    if tip is not None:
        return
    wanted = f"refs/heads/{branch}"
    for name in list_refs(repository, "refs/heads/lw"):
        if wanted.startswith(f"{name}/") or name.startswith(f"{wanted}/"):
            other = name.removeprefix("refs/heads/")
            raise GitError(
                f"branch {branch} cannot be created: it conflicts with branch {printable(other)}",
                f"type: git branch -m {_quoted(other)} <another name>",
            )


def _require_descent(repository: Repository, branch: str, tip: str | None, sha: str) -> None:
    if tip is not None and not is_ancestor(repository, sha, tip):
        raise GitError(
            f"branch {branch} does not descend from the plan's git_sha {sha}",
            f"correct git_sha, or rename the branch: git branch -m {branch} {branch}-old",
        )


def _record_at(repository: Repository, path: Path, branch: str) -> _Record | None:
    """Find git's record of the path; refuse a locked one, and a branch that is checked out elsewhere."""
    here = None
    for record in _records(repository):
        if record.path == path:
            here = record
        elif record.branch == f"refs/heads/{branch}":
            raise _checked_out_elsewhere(path, branch, record)
    if here is not None and here.is_locked:
        raise GitError(f"{path}: the worktree is locked", f"type: git worktree unlock {_quoted(path)}")
    return here


def _checked_out_elsewhere(path: Path, branch: str, record: _Record) -> GitError:
    if not record.is_gone:
        message = f"branch {branch} is checked out at {printable(str(record.path))}"
        return GitError(
            message, f"switch that worktree to another branch: git -C {_quoted(record.path)} switch ..."
        )
    message = (
        f"branch {branch} belongs to a worktree at {printable(str(record.path))}, which no longer exists"
    )
    if os.path.lexists(path):
        return GitError(message, f"if the repository was moved, type: git worktree repair {_quoted(path)}")
    return GitError(message, "type: git worktree prune")


def _records(repository: Repository) -> list[_Record]:
    listed = run_git("worktree", "list", "--porcelain", place=repository.place).stdout
    return [_parse_record(text_lines(block)) for block in listed.split("\n\n") if block.strip()]


def _parse_record(lines: list[str]) -> _Record:
    values = {line.partition(" ")[0]: line.partition(" ")[2] for line in lines}
    path = Path(values["worktree"])
    return _Record(path, values.get("branch"), "locked" in values, not path.is_dir())


def _require_own_worktree(repository: Repository, path: Path, branch: str, record: _Record | None) -> None:
    if record is None:
        raise GitError(
            f"{path}: exists, but is not a worktree of this repository",
            f"move it away: mv {_quoted(path)} {_quoted(path.with_name(path.name + '.old'))}",
        )
    git_dir = _admin_dir(repository, path)
    if git_dir is None or not _points_to(path, git_dir):
        raise GitError(
            f"{path}: the worktree is broken: its .git file does not point to its git folder",
            f"check it, then type: git worktree repair {_quoted(path)}",
        )
    if record.branch != f"refs/heads/{branch}":
        found = (record.branch or "no branch").removeprefix("refs/heads/")
        raise GitError(
            f"{path}: is on {printable(found)}, not on {branch}",
            f"type: git -C {_quoted(path)} switch {branch}",
        )


def _add_plan_worktree(repository: Repository, path: Path, branch: str, start: str | None) -> None:
    _make_ignored_folder(path.parent)
    target = ("--no-track", "-b", branch, str(path), start) if start else (str(path), branch)
    # --force: git may still have a record of this path, whose folder was deleted.
    try:
        run_git("worktree", "add", "--quiet", "--force", *target, place=repository.place)
    except BaseException:
        # git usually removes the folder again, but never the branch. Nobody has used either yet.
        run_git("worktree", "remove", "--force", str(path), place=repository.place, check=False)
        if start:
            run_git("update-ref", "-d", f"refs/heads/{branch}", start, place=repository.place, check=False)
        _remove_empty_remains(repository, branch)
        raise


def _remove_empty_remains(repository: Repository, branch: str) -> None:
    """Remove the empty files and folders that a failed git command leaves in the git folder."""
    heads = [
        Path(kind, "heads", parent) for kind in ("refs", "logs/refs") for parent in Path(branch).parents[:-1]
    ]
    log = repository.common_dir / "logs/refs/heads" / branch
    if log.is_file() and not log.stat().st_size:
        log.unlink()
    for folder in (Path("worktrees"), *heads):
        with suppress(OSError):
            (repository.common_dir / folder).rmdir()


def _make_ignored_folder(folder: Path) -> None:
    ignore = folder / ".gitignore"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Closed to other users: they must not be able to reach a setuid file that an agent left.
        folder.mkdir(mode=0o700, exist_ok=True)
        if not ignore.exists():
            ignore.write_text("*\n", encoding="ascii")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise GitError(
            f"{folder}: cannot be written: {reason}", "free some space or correct its permissions"
        ) from error


def _remove_ignored_folder(folder: Path) -> None:
    """Remove what `_make_ignored_folder` created, unless it contains something else."""
    with suppress(OSError):
        if [path.name for path in folder.iterdir()] == [".gitignore"]:
            (folder / ".gitignore").unlink()
        folder.rmdir()


def _worktree_at(repository: Repository, path: Path, branch: str | None, head: str | None = None) -> Worktree:
    git_dir = _admin_dir(repository, path)
    if git_dir is None:
        raise GitError(f"{path}: git has no record of this worktree", "type: git worktree list")
    place = Place(git_dir, git_dir=git_dir)
    return Worktree(
        path, branch, git_dir, head or run_git("rev-parse", "--verify", "HEAD", place=place).stdout
    )


def _admin_dir(repository: Repository, path: Path) -> Path | None:
    """Find a worktree's folder below `.git/worktrees`, without reading anything in the worktree."""
    for gitdir in sorted((repository.common_dir / "worktrees").glob("*/gitdir")):
        if _named_path(gitdir, "") == path / ".git":
            return gitdir.parent
    return None


def _points_to(path: Path, git_dir: Path) -> bool:
    pointer = path / ".git"
    if pointer.is_symlink() or not pointer.is_file():
        return False
    return _named_path(pointer, "gitdir: ") == git_dir


def _named_path(file: Path, prefix: str) -> Path | None:
    """Return the path in a one-line file; git 2.48 can write it relative to the file's folder."""
    text = os.fsdecode(file.read_bytes()[:8192]).removesuffix("\n")
    if not text.startswith(prefix):
        return None
    return Path(os.path.normpath(file.parent / text.removeprefix(prefix)))


def _quoted(path: Path | str) -> str:
    return shlex.quote(printable(str(path)))
