"""The permanent worktrees of plans. Temporary ones, in `temporary_worktrees`, share no folder with them.

`ensure_worktree` removes nothing, `ensured_worktree` only what it created itself.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from msgspec import Struct

from lw_coder.foundation.errors import GitError
from lw_coder.foundation.folders import entries_of, make_folder, real_path, remove_if_unused
from lw_coder.foundation.locks import is_being_written, writers_lock
from lw_coder.foundation.report import printable, waiting
from lw_coder.foundation.signals import interruptible
from lw_coder.foundation.system_errors import remedy_of
from lw_coder.repository.commit_ids import require_commit, require_no_sessions_commit
from lw_coder.repository.git import (
    Place,
    Repository,
    is_ancestor,
    is_ref_name,
    list_refs,
    ref_value,
    run_git,
    text_lines,
)
from lw_coder.repository.incomplete_worktrees import (
    admin_dir,
    is_incomplete,
    named_path,
    quoted,
    remove_folder,
    remove_incomplete,
    remove_record,
    repair_record,
)
from lw_coder.repository.worktree_index import is_own_lock
from lw_coder.repository.worktree_removal import remains_among, remove_remains, remove_worktree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


_Result = TypeVar("_Result")

WORKTREES_FOLDER = Path(".lw_coder/worktrees")
BRANCH_PREFIX = "lw/task/"

_LONGEST_CHECKOUT = 900.0  # seconds
_LOOK = 0.1  # seconds; how often a git that is waited for is looked at
_TRIES = 20
_LEFT_UNFINISHED = "lw_coder-unfinished"  # in the worktree's git folder: the operation and the run
UNFINISHED = {  # files of unfinished operations in a git folder: the operation, and how to finish or abort it
    "rebase-apply/applying": ("git am", "am --continue", "am --abort"),
    "rebase-apply": ("rebase", "rebase --continue", "rebase --abort"),
    "rebase-merge": ("rebase", "rebase --continue", "rebase --abort"),
    "CHERRY_PICK_HEAD": ("cherry-pick", "cherry-pick --continue", "cherry-pick --abort"),
    "REVERT_HEAD": ("revert", "revert --continue", "revert --abort"),
    "sequencer": ("cherry-pick or revert", "cherry-pick --continue", "cherry-pick --abort"),
    "MERGE_HEAD": ("merge", "merge --continue", "merge --abort"),
    "BISECT_LOG": ("bisect", "bisect reset", "bisect reset"),
}


class PlanBase(Protocol):
    """What a worktree is created from: a plan's id, and the commit that the plan starts from."""

    @property
    def plan_id(self) -> str:
        """Name of the worktree's folder, and the end of its branch's name."""

    @property
    def git_sha(self) -> str:
        """Full hex id of a commit."""


class Worktree(Struct, frozen=True):
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


class _Record(Struct, frozen=True):
    """One entry of `git worktree list`; branch is a full ref name, head the id of its commit."""

    path: Path
    branch: str | None
    head: str | None
    is_locked: bool
    is_gone: bool


class _Found(NamedTuple):
    """The tip of a plan's branch, if there is one, and all worktrees; None if git cannot list them yet."""

    tip: str | None
    records: list[_Record] | None


def ensure_worktree(repository: Repository, plan: PlanBase) -> Worktree:
    """Return the plan's worktree `.lw_coder/worktrees/<plan_id>` on branch `lw/task/<plan_id>`.

    A new branch starts at the plan's git_sha. An existing one is used if its tip is git_sha or descends from
    it; uncommitted changes of an earlier run stay. A deleted folder is created again from the branch.

    Raises:
        GitError: the worktree cannot be created without changing something that belongs to the user. Nothing
            has been changed.
    """
    require_commit(repository, plan.git_sha)
    _wait_for_writer(repository, plan.plan_id)
    return _ensured(repository, plan, _find(repository, plan.plan_id), "git_sha")


def _path(repository: Repository, plan_id: str) -> Path:
    return real_path(repository.home / WORKTREES_FOLDER) / plan_id


def _find(repository: Repository, plan_id: str) -> _Found:
    """Look for a plan's branch: in git's list of worktrees, which is needed anyway, then among the refs."""
    incomplete = is_incomplete(repository, _path(repository, plan_id))
    records = None if incomplete else _records(repository)
    branch = f"refs/heads/{BRANCH_PREFIX}{plan_id}"
    heads = (record.head for record in records or () if record.branch == branch)
    # Where the branch has no commit, git lists zeros.
    known = next((head for head in heads if head and head.strip("0")), None)
    return _Found(known or ref_value(repository, branch), records)


def require_usable(repository: Repository, plan: PlanBase) -> None:
    """Make the checks of `ensure_worktree`, and change nothing.

    Raises:
        GitError: as `ensure_worktree`, or the plan's git_sha does not exist.
    """
    found, path = _find(repository, plan.plan_id), _path(repository, plan.plan_id)
    branch = _checked_branch(repository, plan, found, "git_sha")
    if found.records is None:  # incomplete; it is created again
        return
    record = _record_at(found.records, path, branch, is_incomplete=False)
    if os.path.lexists(path):
        git_dir = _require_own_worktree(repository, path, branch, record)
        _require_nothing_left_unfinished(path, git_dir, yes=False)


def _checked_branch(repository: Repository, plan: PlanBase, found: _Found, where: str) -> str:
    """Return the name of a plan's branch, once the branch can be created or used."""
    branch = BRANCH_PREFIX + plan.plan_id
    _require_branch_name(plan.plan_id, branch)
    if found.tip is None:
        require_no_sessions_commit(repository, plan.git_sha, where)
    _require_room_for_branch(repository, branch, found.tip)
    _require_descent(repository, _path(repository, plan.plan_id), branch, found.tip, plan.git_sha)
    return branch


def _ensured(
    repository: Repository, plan: PlanBase, found: _Found, where: str, *, yes: bool = False
) -> Worktree:
    path, tip = _path(repository, plan.plan_id), found.tip
    branch = _checked_branch(repository, plan, found, where)
    incomplete = is_incomplete(repository, path)
    if incomplete:
        repair_record(repository, path)
        incomplete = is_incomplete(repository, path)
    records = _records(repository) if found.records is None else found.records
    record = _record_at(records, path, branch, is_incomplete=incomplete)
    if os.path.lexists(path) and not incomplete:
        git_dir = _require_own_worktree(repository, path, branch, record)
        _require_nothing_left_unfinished(path, git_dir, yes=yes)
        return worktree_at(repository, path, branch, tip)
    head = tip or plan.git_sha
    with writers_lock(repository.common_dir, plan.plan_id) as lock:
        if lock is None:
            raise _still_being_created(path)
        if incomplete:
            if not is_incomplete(repository, path):  # git has finished it meanwhile
                raise _still_being_created(path)
            remove_incomplete(repository, path, head)
        start = plan.git_sha if tip is None else None
        _beside_others(partial(_add_plan_worktree, repository, path, branch, start=start, lock=lock))
    return worktree_at(repository, path, branch, head)


def _wait_for_writer(repository: Repository, plan_id: str) -> None:
    """Wait until a git that outlives its lw_coder, which was killed, has created the plan's worktree.

    What it creates can then be used. It may also fail, or take too long: the caller looks again.
    """
    if not is_being_written(repository.common_dir, plan_id):
        return
    path, deadline = _path(repository, plan_id), time.monotonic() + _LONGEST_CHECKOUT
    with waiting(
        f"{path}: waiting for a git that is still creating this worktree, for a killed lw_coder ..."
    ):
        while is_being_written(repository.common_dir, plan_id) and time.monotonic() < deadline:
            with interruptible():
                time.sleep(_LOOK)


def _beside_others(call: Callable[[], _Result]) -> _Result:
    """Call git again if it could not read the record of a worktree that another git is just writing."""
    for _ in range(_TRIES):
        try:
            return call()
        except GitError as error:
            if "commondir" not in error.message:
                raise
        with interruptible():
            time.sleep(_LOOK)
    return call()


def _still_being_created(path: Path) -> GitError:
    return GitError(
        f"{path}: git is still creating this worktree for an lw_coder that was killed",
        "wait until that git process has finished, then try again",
    )


def plan_worktree(repository: Repository, plan_id: str) -> Worktree | None:
    """Return a plan's existing worktree, or None if there is none or it is incomplete. Create nothing."""
    path = real_path(repository.home / WORKTREES_FOLDER) / plan_id
    if not path.is_dir() or admin_dir(repository, path) is None or is_incomplete(repository, path):
        return None
    return worktree_at(repository, path, BRANCH_PREFIX + plan_id)


def plans_with_worktree(repository: Repository) -> list[str]:
    """List the ids of the plans for which there is a folder among the worktrees, whatever is in it."""
    return [entry.name for entry in entries_of(repository.home / WORKTREES_FOLDER) if entry.is_dir()]


def abandoned_worktrees(repository: Repository) -> list[tuple[str, Path]]:
    """List what killed removals of worktrees left, with the ids of the plans."""
    return remains_among(repository.home / WORKTREES_FOLDER)


def worktree_folders(repository: Repository) -> list[Path]:
    """List the folders of all worktrees, the main one first; some may no longer exist.

    Raises:
        GitError: git cannot list them.
    """
    return [record.path for record in _records(repository)]


def branch_in_worktree(repository: Repository, plan_id: str) -> str | None:
    """Return the short name of the branch that a plan's worktree is on, also of another one; or None.

    Raises:
        GitError: git cannot list the worktrees.
    """
    path = _path(repository, plan_id)
    branches = [record.branch for record in _records(repository) if record.path == path]
    return branches[0].removeprefix("refs/heads/") if branches and branches[0] else None


class Removable(NamedTuple):
    """A plan's worktree that can be removed.

    Attributes:
        path: its folder, which may be missing.
        worktree: the worktree, or None if there is none, or an incomplete one.
        elsewhere: another worktree that has the plan's branch checked out, or None.
    """

    path: Path
    worktree: Worktree | None
    elsewhere: Path | None


def removable_worktree(repository: Repository, plan_id: str) -> Removable:
    """Find a plan's worktree, to remove it. Nothing is changed.

    Raises:
        GitError: the folder is not the plan's worktree, is locked, on another branch, or in the middle of a
            merge or the like; or another git process is at work there.
    """
    path, branch = _path(repository, plan_id), BRANCH_PREFIX + plan_id
    repair_record(repository, path)
    incomplete = is_incomplete(repository, path)
    records = _records(repository)
    here = next((record for record in records if record.path == path), None)
    there = (record.path for record in records if record.path != path)
    others = {record.path for record in records if record.branch == f"refs/heads/{branch}"}
    elsewhere = next((other for other in there if other in others), None)
    if not os.path.lexists(path) or incomplete:
        return Removable(path, None, elsewhere)
    if here is not None and here.is_locked:
        raise _locked(path)
    require_unlocked(path, _require_own_worktree(repository, path, branch, here))
    return Removable(path, worktree_at(repository, path, branch), elsewhere)


def remove_plan_worktree(repository: Repository, found: Removable, plan_id: str, head: str | None) -> None:
    """Remove a plan's worktree and git's record of it; of an incomplete one, files of the user are kept.

    Args:
        repository: the user's.
        found: what `removable_worktree` found.
        plan_id: the plan.
        head: id of the commit of its branch, or None if it has none.

    Raises:
        GitError: it could not be removed, or git is still creating it.
    """
    with writers_lock(repository.common_dir, plan_id) as lock:
        if lock is None:
            raise _still_being_created(found.path)
        if found.worktree is None and head is not None and is_incomplete(repository, found.path):
            remove_incomplete(repository, found.path, head)
        if found.worktree is None and os.path.lexists(found.path):  # its branch no longer exists
            raise GitError(
                f"{found.path}: is not complete, and its branch does not exist",
                f"check its contents, then type: rm -rf {quoted(found.path)}",
            )
        remove_worktree(repository, found.path)


@contextmanager
def ensured_worktree(
    repository: Repository, plan: PlanBase, where: str = "git_sha", *, yes: bool = False
) -> Iterator[Worktree]:
    """Yield the plan's worktree; if the block fails, remove what was created for it, and nothing else.

    A worktree with new files or commits is kept. The block ends before a session begins.

    Args:
        repository: the user's.
        plan: the plan; `require_commit` has accepted its git_sha.
        where: the file and the field that git_sha comes from, for a message about it.
        yes: start even if an earlier session left a merge, rebase or similar unfinished.

    Raises:
        GitError: as `ensure_worktree`.
    """
    _wait_for_writer(repository, plan.plan_id)
    parent = repository.home / WORKTREES_FOLDER
    path = real_path(parent) / plan.plan_id
    remove_remains(path)
    had_parent = os.path.lexists(parent)
    had_folder = os.path.lexists(path) and not is_incomplete(repository, path)
    found = _find(repository, plan.plan_id)
    try:
        worktree = _ensured(repository, plan, found, where, yes=yes)
        try:
            yield worktree
        except BaseException:
            if not had_folder:
                _undo_plan_worktree(repository, worktree, with_branch=found.tip is None)
            raise
    except BaseException:
        if not had_parent:
            remove_if_unused(parent)
        raise


def _undo_plan_worktree(repository: Repository, worktree: Worktree, *, with_branch: bool) -> None:
    # No call may hide the block's own error.
    here = Place(worktree.path, git_dir=worktree.git_dir)
    with suppress(GitError):
        # What is ignored counts as well. `git status` would run what a nested repository configures.
        if run_git("ls-files", "--others", "--directory", "--modified", place=here).stdout:
            return
        remove_worktree(repository, worktree.path)
    if with_branch and not worktree.path.exists():
        ref = f"refs/heads/{worktree.branch}"
        run_git("update-ref", "-d", ref, worktree.head, place=repository.place, check=False)


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
                f"type: git branch -m {quoted(other)} <another name>",
            )


def _require_descent(repository: Repository, path: Path, branch: str, tip: str | None, sha: str) -> None:
    if tip is None or tip == sha or is_ancestor(repository, sha, tip):
        return
    message = f"branch {branch} does not descend from the plan's git_sha {sha}"
    if path.is_dir() and is_ancestor(repository, tip, sha):
        forward = f"git -C {quoted(path)} merge --ff-only {sha}"
        raise GitError(message, f"it has no commits of its own; to move it there, type: {forward}")
    raise GitError(message, f"correct git_sha, or start anew: {_setting_aside(path, branch)}")


def _setting_aside(path: Path, branch: str) -> str:
    """Return the commands that give a branch, and its worktree if there is one, another name."""
    rename = f"git branch -m {branch} {branch}-old"
    if not path.is_dir():
        return rename
    return f"git worktree move {quoted(path)} {quoted(path.with_name(f'{path.name}-old'))} && {rename}"


def _record_at(records: list[_Record], path: Path, branch: str, *, is_incomplete: bool) -> _Record | None:
    """Find git's record of the path; refuse a locked one, and a branch that is checked out elsewhere."""
    here = None
    for record in records:
        if record.path == path:
            here = record
        elif record.branch == f"refs/heads/{branch}":
            raise _checked_out_elsewhere(path, branch, record)
    if here is not None and here.is_locked and not is_incomplete:
        raise _locked(path)
    return here


def _locked(path: Path) -> GitError:
    return GitError(f"{path}: the worktree is locked", f"type: git worktree unlock {quoted(path)}")


def _checked_out_elsewhere(path: Path, branch: str, record: _Record) -> GitError:
    if not record.is_gone:
        message = f"branch {branch} is checked out at {printable(str(record.path))}"
        return GitError(
            message, f"switch that worktree to another branch: git -C {quoted(record.path)} switch ..."
        )
    message = (
        f"branch {branch} belongs to a worktree at {printable(str(record.path))}, which no longer exists"
    )
    if os.path.lexists(path):
        return GitError(message, f"if the repository was moved, type: git worktree repair {quoted(path)}")
    return GitError(message, "type: git worktree prune")


def _records(repository: Repository) -> list[_Record]:
    list_all = partial(run_git, "worktree", "list", "--porcelain", place=repository.place)
    listed = _beside_others(list_all).stdout
    return [_parse_record(text_lines(block)) for block in listed.split("\n\n") if block.strip()]


def _parse_record(lines: list[str]) -> _Record:
    values = {line.partition(" ")[0]: line.partition(" ")[2] for line in lines}
    path = Path(values["worktree"])
    return _Record(path, values.get("branch"), values.get("HEAD"), "locked" in values, not path.is_dir())


def _require_own_worktree(repository: Repository, path: Path, branch: str, record: _Record | None) -> Path:
    """Return the git folder of a plan's worktree; refuse what is none, or is in use."""
    if record is None:
        raise GitError(
            f"{path}: exists, but is not a worktree of this repository",
            f"move it away: mv {quoted(path)} {quoted(path.with_name(path.name + '.old'))}",
        )
    git_dir = admin_dir(repository, path)
    if git_dir is None or not _points_to(path, git_dir):
        raise GitError(
            f"{path}: the worktree is broken: its .git file does not point to its git folder",
            f"check it, then type: git worktree repair {quoted(path)}",
        )
    require_nothing_unfinished(path, git_dir)
    if record.branch != f"refs/heads/{branch}":
        found = (record.branch or "no branch").removeprefix("refs/heads/")
        old = quoted(path.with_name(f"{path.name}-old"))
        remedy = (
            f"git -C {quoted(path)} switch {branch}"
            if ref_value(repository, f"refs/heads/{branch}")
            else f"git worktree move {quoted(path)} {old}"
        )
        raise GitError(f"{path}: is on {printable(found)}, not on {branch}", f"type: {remedy}")
    return git_dir


def require_nothing_unfinished(path: Path, git_dir: Path) -> None:
    """Refuse a worktree in which the user is in the middle of a merge, rebase or similar.

    Raises:
        GitError: there is one; the remedy says what to type.
    """
    for name, (what, finish, abort) in UNFINISHED.items():
        if os.path.lexists(git_dir / name):
            git = f"git -C {quoted(path)}"
            remedy = f"type: {git} {finish}" + (f", or: {git} {abort}" if abort != finish else "")
            raise GitError(f"{path}: is in the middle of a {what}", remedy)


def require_unlocked(path: Path, git_dir: Path) -> None:
    """Refuse a worktree in which a git process is at work, or was killed; a killed lw_coder does no harm.

    Raises:
        GitError: its index is locked.
    """
    lock = git_dir / "index.lock"
    if lock.exists() and not is_own_lock(lock):
        raise GitError(
            f"{path}: another git process is at work here: {lock} exists",
            f"wait until it has ended; if none is running, type: rm {quoted(lock)}",
        )


def note_unfinished(worktree: Worktree, what: str | None, run_name: str) -> None:
    """Record that a session left a merge, rebase or similar unfinished; with None, remove that record."""
    note = worktree.git_dir / _LEFT_UNFINISHED
    if what is None:
        note.unlink(missing_ok=True)
    else:
        note.write_text(f"{what}\n{run_name}\n", encoding="ascii")


def _require_nothing_left_unfinished(path: Path, git_dir: Path, *, yes: bool) -> None:
    note = git_dir / _LEFT_UNFINISHED
    if not note.is_file():
        return
    if yes:
        note.unlink()
        return
    what, run_name = note.read_text(encoding="ascii").split("\n")[:2]
    raise GitError(
        f"{path}: the session {run_name} left a {what} unfinished",
        f"finish it in a replay (lw_coder runs show {run_name}) and type: lw_coder runs import {run_name}; or"
        f" continue without it: lw_coder code --yes {path.name}",
    )


def _add_plan_worktree(
    repository: Repository, path: Path, branch: str, *, start: str | None, lock: int
) -> None:
    make_ignored_folder(path.parent)
    target = ("--no-track", "-b", branch, str(path), start) if start else (str(path), branch)
    # --force: git may still have a record of this very path, whose folder someone deleted.
    command = ("worktree", "add", "--quiet", "--force", *target)
    try:
        run_git(*command, place=repository.place, keeps_open=(lock,))
        make_ignored_folder(path.parent)  # again: a command that failed meanwhile can have removed it
    except BaseException:
        # git usually removes the folder, but never the branch. Only git has written there so far.
        with suppress(GitError):
            remove_folder(path)
            remove_record(repository, path)
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


def make_ignored_folder(folder: Path) -> None:
    """Create a folder for worktrees, in which git sees nothing.

    Raises:
        GitError: it cannot be created.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Closed to other users: they must not be able to reach a setuid file that an agent left.
        make_folder(folder, gitignore=True)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise GitError(f"{folder}: cannot be written: {reason}", remedy_of(error)) from error


def worktree_at(repository: Repository, path: Path, branch: str | None, head: str | None = None) -> Worktree:
    """Return the worktree at a path; its head, unless it is known, is asked for.

    Raises:
        GitError: git has no record of it.
    """
    git_dir = admin_dir(repository, path)
    if git_dir is None:
        raise GitError(f"{path}: git has no record of this worktree", "type: git worktree list")
    place = Place(git_dir, git_dir=git_dir)
    return Worktree(
        path, branch, git_dir, head or run_git("rev-parse", "--verify", "HEAD", place=place).stdout
    )


def _points_to(path: Path, git_dir: Path) -> bool:
    pointer = path / ".git"
    if pointer.is_symlink() or not pointer.is_file():
        return False
    return named_path(pointer, "gitdir: ") == git_dir
