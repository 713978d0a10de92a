"""What lw_coder made in a repository, takes room on the disk, and is no longer needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import Struct

from lw_coder.containers import engine
from lw_coder.containers.image_names import repo_hash
from lw_coder.containers.labels import PLAN_RUNS, REPLAY_RUNS, REPO_LABEL
from lw_coder.foundation.counting import counted
from lw_coder.foundation.disk import size_of
from lw_coder.foundation.errors import LwCoderError, RunError
from lw_coder.foundation.locks import is_locked, plan_lock
from lw_coder.plans.plan_rules import is_plan_id
from lw_coder.repository import dropped_refs
from lw_coder.repository.git import Repository, list_refs, root_commit
from lw_coder.repository.incomplete_worktrees import quoted
from lw_coder.repository.temporary_worktrees import temp_worktree_names
from lw_coder.repository.worktrees import (
    BRANCH_PREFIX,
    WORKTREES_FOLDER,
    abandoned_worktrees,
    plans_with_worktree,
    worktree_folders,
)
from lw_coder.runs.dropping import examine, remove
from lw_coder.runs.pruning import Pruning, judged_runs, why_kept
from lw_coder.runs.run_folders import (
    Run,
    abandoned_folders,
    has_partial_runs,
    list_runs,
    read_record,
    remove_abandoned_folder,
    remove_run,
)
from lw_coder.runs.taken import is_merged
from lw_coder.sessions.cleanup import remove_ended, require_idle_if_there_is_an_engine
from lw_coder.sessions.leftovers import find_leftovers
from lw_coder.sessions.replays import Replays

_IN_USE = "its plan is in use"
_UNCERTAIN = "all of its commits are on your branches, but neither a run nor the plan tells where it began"
_IGNORED, _SEVERAL = "ignored file or folder", "ignored files or folders"


@dataclass(frozen=True)
class Clutter:
    """Something that can be removed.

    Attributes:
        kind: `run`, `worktree`, `folder`, `image`, `containers` or `refs`.
        name: which one.
        size: the bytes that it takes, or None if that is unknown or next to nothing.
        note: what a person should know of it; may be empty.
        remove: removes it; raises LwCoderError or OSError.
    """

    kind: str
    name: str
    size: int | None
    note: str
    remove: Callable[[], object] = field(compare=False, repr=False)


class Kept(Struct, frozen=True):
    """Something that is old or finished, and stays nevertheless: its kind, its name, and why."""

    kind: str
    name: str
    why: str


Found = Iterator[Clutter | Kept]


def find_clutter(repository: Repository, age: timedelta) -> list[Clutter | Kept]:
    """Find what can be removed. Nothing is changed.

    Args:
        repository: the user's.
        age: runs that are older are not needed.

    Raises:
        EngineError: the engine does not answer; the rest is found without it, see `find_without_engine`.
        GitError: git failed.
    """
    found = find_without_engine(repository, age)
    removed = {each.name for each in found if isinstance(each, Clutter) and each.kind == "run"}
    return [*found, *_containers(repository), *_images(repository, removed)]


def find_without_engine(repository: Repository, age: timedelta) -> list[Clutter | Kept]:
    """Find what can be removed apart from images and containers.

    Raises:
        GitError: git failed.
    """
    return [*_worktrees(repository), *_runs(repository, age), *_folders(repository), *_refs(repository)]


def _worktrees(repository: Repository) -> Found:
    """Find the worktrees and branches of plans whose commits are all on other branches."""
    prefix = f"refs/heads/{BRANCH_PREFIX}"
    branches = list_refs(repository, prefix.rstrip("/"))
    tips = {name.removeprefix(prefix): tip for name, tip in branches.items()}
    for plan_id in filter(is_plan_id, tips):
        merged = is_merged(repository, plan_id, tips[plan_id])
        if merged is not False:
            why = f"{_UNCERTAIN}; to remove it, type: lw_coder drop {plan_id}"
            yield _explained(repository, plan_id, None if merged else why)
    for plan_id in plans_with_worktree(repository):
        if is_plan_id(plan_id) and plan_id not in tips:
            folder = repository.home / WORKTREES_FOLDER / plan_id
            why = f"{folder}: the plan has no branch; check its contents, then type: rm -rf {quoted(folder)}"
            yield _explained(repository, plan_id, why)


def _explained(repository: Repository, plan_id: str, why_kept: str | None) -> Clutter | Kept:
    """Describe a worktree, or say why it stays."""
    try:
        found = _worktree(repository, plan_id)
    except LwCoderError as error:
        return Kept("worktree", plan_id, f"{error.message}; {error.remedy}")
    if why_kept is None or isinstance(found, Kept):
        return found
    return Kept("worktree", plan_id, why_kept)


def _worktree(repository: Repository, plan_id: str) -> Clutter | Kept:
    if is_locked(repository.common_dir, plan_id):
        return Kept("worktree", plan_id, _IN_USE)
    remains = examine(repository, plan_id, with_runs=False)
    files = remains.files
    if files.are_uncommitted:
        why = "it is merged, but has uncommitted files"
        return Kept("worktree", plan_id, f"{why}; to remove it, type: lw_coder drop {plan_id}")
    if remains.place.elsewhere:
        return Kept("worktree", plan_id, f"its branch is checked out at {remains.place.elsewhere}")
    ignored = f", with {counted(len(files.ignored), _IGNORED, _SEVERAL)}" if files.ignored else ""
    size = size_of(remains.place.path) if remains.has_folder else None
    return Clutter(
        "worktree", plan_id, size, f"merged{ignored}", partial(_drop, repository, plan_id, remains.tip)
    )


def _drop(repository: Repository, plan_id: str, tip: str | None) -> None:
    with plan_lock(repository.common_dir, plan_id):
        require_idle_if_there_is_an_engine(_identity(repository), plan_id)
        remains = examine(repository, plan_id, with_runs=False)
        if remains.is_nothing:  # another command has removed it
            return
        if remains.tip != tip or remains.files.are_uncommitted:
            raise RunError(f"{plan_id}: changed meanwhile", "look at it, and try again")
        remove(repository, remains)


def _runs(repository: Repository, age: timedelta) -> Found:
    again = Pruning(age, busy=Replays(repository).why_busy)  # asked after the yes
    for run, why in judged_runs(repository, Pruning(age, busy=Replays(repository).why_busy)):
        if why:
            yield Kept("run", run.identity, why)
        else:
            note, size = "no training data any more", size_of(run.folder)
            yield Clutter("run", run.identity, size, note, partial(_remove_run, repository, again, run))


def _remove_run(repository: Repository, wanted: Pruning, run: Run) -> None:
    if not run.is_there():
        return
    wanted.busy(run)  # so that the engine is not waited for while the lock is held
    lock = nullcontext() if run.plan_id == PLAN_RUNS else plan_lock(repository.common_dir, run.plan_id)
    with lock:
        why = why_kept(repository, run, wanted, run.plan_id)
        if why and run.is_there():
            raise RunError(f"{run.identity}: {why}", "look at it, and try again")
        _require_gone(run.folder.parent, is_gone=remove_run(run))


def _require_gone(folder: Path, *, is_gone: bool) -> None:
    if not is_gone:
        raise RunError(f"{folder}: not all could be removed", "correct the permissions of what is left")


def _folders(repository: Repository) -> Found:
    for plan_id, folder in (*abandoned_folders(repository.home), *abandoned_worktrees(repository)):
        if not _may_be_in_use(repository, plan_id):
            name, size = str(repository.shown(folder)), size_of(folder)
            yield Clutter(
                "folder", name, size, "left by a killed command", partial(_sweep, repository, plan_id, folder)
            )


def _may_be_in_use(repository: Repository, plan_id: str) -> bool:
    """Return whether a command may be at work in what is listed of a plan; it is asked after the listing."""
    is_temporary = plan_id == REPLAY_RUNS and temp_worktree_names(repository)
    return bool(is_temporary) or plan_id == PLAN_RUNS or is_locked(repository.common_dir, plan_id)


def _sweep(repository: Repository, plan_id: str, folder: Path) -> None:
    if plan_id == REPLAY_RUNS and temp_worktree_names(repository):
        raise RunError(f"{plan_id}: a replay has begun meanwhile", "look at it, and try again")
    with plan_lock(repository.common_dir, plan_id):
        _require_gone(folder, is_gone=remove_abandoned_folder(folder))


def _refs(repository: Repository) -> Found:
    names = dropped_refs.expired(repository)
    if names:
        note = f"dropped more than {dropped_refs.KEPT_FOR.days} days ago"
        yield Clutter(
            "refs", counted(len(names), "ref"), None, note, partial(dropped_refs.remove, repository, names)
        )


def _containers(repository: Repository) -> Found:
    """Find stopped containers, which contain the values of the session's variables, and idle proxies."""
    identity = _identity(repository)
    for owner in find_leftovers(identity).owners:
        if "/" in owner or is_locked(repository.common_dir, owner):
            yield Kept("containers", owner, "a session may be using them")
        else:
            note = "of replays, or of a killed command"
            yield Clutter("containers", owner, None, note, partial(_remove_ended, repository, owner))


def _remove_ended(repository: Repository, plan_id: str) -> None:
    with plan_lock(repository.common_dir, plan_id):
        remove_ended(_identity(repository), plan_id)


def _images(repository: Repository, removed: set[str]) -> Found:
    """Find images of earlier builds: without a name, and in no run that stays."""
    needed = _needed_images(repository, removed)
    for image in engine.images_with({REPO_LABEL: _identity(repository)}):
        short = image.id.removeprefix("sha256:")[:12]
        if image.tags:
            continue
        if needed is None:
            yield Kept("image", short, "a run whose record cannot be read may need it")
        elif image.id in needed:
            yield Kept("image", short, "a run can be replayed with it")
        elif engine.has_containers(image.id):
            yield Kept("image", short, "a container uses it")
        elif has_partial_runs(repository.home):
            yield Kept("image", short, "a run that is being prepared may need it")
        else:
            note = "of an earlier build; shares layers with others"
            yield Clutter(
                "image", short, image.size, note, partial(_remove_image, repository, removed, image.id)
            )


def _remove_image(repository: Repository, removed: set[str], image: str) -> None:
    needed = _needed_images(repository, removed)
    if needed is None or image in needed or has_partial_runs(repository.home):
        raise RunError("a run that has begun meanwhile may need it", "try again later")
    engine.remove_image(image)


def _needed_images(repository: Repository, removed: set[str]) -> set[str] | None:
    """Return the images of the runs in all worktrees, except those to remove; None if that is unknown."""
    needed: set[str] = set()
    for folder in worktree_folders(repository):
        for run in list_runs(folder):
            if folder == repository.home and run.identity in removed:
                continue
            try:
                needed |= _of(read_record(run))
            except RunError:
                if run.is_there():
                    return None
    return needed


def _of(record: dict[str, Any]) -> set[str]:
    images = record.get("images")
    return {str(image) for image in images.values()} if isinstance(images, dict) else set()


def _identity(repository: Repository) -> str:
    return repo_hash(root_commit(repository), repository.common_dir)
