"""Bring home what a session committed. Its git folder and its worktree are taken to be hostile.

No git of the host ever runs in that folder: its refs are parsed here, its objects are copied by name into a
fresh repository, and the person's repository fetches from that one with every object checked.
"""

from __future__ import annotations

import os
import re
import shlex
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lw_coder.errors import GitError
from lw_coder.git import (
    Place,
    Repository,
    init_bare,
    is_ancestor,
    is_ref_name,
    list_refs,
    missing_objects,
    ref_value,
    run_git,
    shown,
)
from lw_coder.planted import find_nested_git
from lw_coder.private_refs import NewRefs, read_new_refs
from lw_coder.untrusted import MAX_ENTRIES, UntrustedFolder, too_large

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lw_coder.session_git import SessionGit
    from lw_coder.worktrees import Worktree

REFS_PREFIX = "refs/lw_coder"
NO_GIT_THERE = "where git would run what the agent's config says: look at them in a replay"
MAX_OBJECT_BYTES = 4 << 30  # compressed, all new objects of a session together

_LOOSE = re.compile(r"[0-9a-f]{38}(?:[0-9a-f]{24})?")
_PACK = re.compile(r"pack-[0-9a-f]{40}(?:[0-9a-f]{24})?\.pack")
_GITLINK = "160000"


@dataclass(frozen=True)
class Homecoming:
    """What became of a session's commits.

    Attributes:
        refs: full names below `refs/lw_coder/<run>/` that the repository has now.
        commits: how many commits the session put on the worktree's branch.
        tip: object id of the last of them, or None if there are none.
        moved: whether the branch itself has them now.
        planted: nested `.git` entries in the worktree, escaped; git should not run there until they are gone.
        notes: one line each for the person, escaped.
        problem: why nothing could be brought home, in one line, or None; the run's folder keeps it all.
    """

    refs: tuple[str, ...] = ()
    commits: int = 0
    tip: str | None = None
    moved: bool = False
    planted: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    problem: str | None = None


def bring_home(
    repository: Repository, worktree: Worktree | None, session: SessionGit, run_name: str
) -> Homecoming:
    """Import every new ref of a session as `refs/lw_coder/<run_name>/...`, then move the worktree's branch.

    Branches arrive as `heads/...`, tags as `tags/...`, stashes as `stash/0` (the newest) and on, a detached
    HEAD as `detached`. The branch moves only forward. The worktree's index follows it, unless something is
    planted there; its files are never touched. Bringing home again changes nothing.

    Args:
        repository: the person's.
        worktree: what the session worked in, or None if that is gone: then the refs alone come home.
        session: the run's private git folder; no container works on it any more.
        run_name: `<plan_id>/<timestamp>`, or another name that can be part of a ref.

    Raises:
        GitError: the repository itself, or the run's name, cannot be used. What is wrong with the session's
            folder is no exception but `problem`.
    """
    if not is_ref_name(f"{REFS_PREFIX}/{run_name}"):
        raise GitError(f"{shown(run_name)}: git can make no ref of this run's name", "rename the run")
    home = Homecoming() if worktree is None else _looked_over(worktree)
    try:
        new = read_new_refs(session)
        refs = _import(repository, session, new, f"{REFS_PREFIX}/{run_name}")
    except (GitError, OSError) as error:
        why = error.message if isinstance(error, GitError) else f"commits were not copied: {error.strerror}"
        return replace(home, problem=f"{why}; the commits stay in {session.folder}, {NO_GIT_THERE}")
    home = replace(home, refs=refs, notes=home.notes + _ignored_notes(new))
    if worktree is None or worktree.branch is None:
        return home
    tip = new.values.get(f"heads/{worktree.branch}")
    return home if tip is None else _advance(repository, worktree, home, tip, session.head, run_name)


def pending(repository: Repository, session: SessionGit) -> bool:
    """Tell whether a run's git folder has commits that the repository lacks, or cannot be read."""
    try:
        return bool(missing_objects(repository, list(read_new_refs(session).values.values())))
    except (GitError, OSError):
        return True


def _advance(
    repository: Repository, worktree: Worktree, home: Homecoming, tip: str, start: str, run_name: str
) -> Homecoming:
    ref = f"refs/heads/{worktree.branch}"
    old = ref_value(repository, ref)
    try:
        if old not in {None, tip} and _is_home_already(repository, start, tip, str(old)):
            return replace(home, tip=tip, moved=True)
        reason = _why_not_move(repository, worktree, old, tip)
        count = run_git("rev-list", "--count", tip, f"^{old or worktree.head}", "--", place=repository.place)
        home = replace(home, commits=int(count.stdout), tip=tip)
        if reason is None and old != tip:
            # From the worktree's git folder, so that its HEAD's reflog tells of it too.
            message = f"lw_coder: {run_name}"
            run_git("update-ref", "-m", message, ref, tip, str(old), place=worktree.place)
    except GitError as error:
        reason = error.message
    if reason is not None:
        kept = f"{REFS_PREFIX}/{run_name}/heads/{worktree.branch}"
        note = f"branch {worktree.branch} was not moved: {reason}; the session's commits are at {kept}"
        return replace(home, notes=(*home.notes, note))
    notes = () if home.planted else _reset_index(worktree)
    return replace(home, moved=True, notes=home.notes + notes)


def _is_home_already(repository: Repository, start: str, tip: str, old: str) -> bool:
    """Tell whether the branch has gone past the session's end, and the session past its own start."""
    return is_ancestor(repository, tip, old) and is_ancestor(repository, start, tip)


def _why_not_move(repository: Repository, worktree: Worktree, old: str | None, tip: str) -> str | None:
    if old is None:
        return "it was removed meanwhile"
    if _checked_out_branch(worktree) != f"refs/heads/{worktree.branch}":
        return "its worktree is on another branch now"
    if old != tip and is_ancestor(repository, tip, old):
        return "the session took back commits that it has"
    if not is_ancestor(repository, old, tip):
        return "it does not lead to the session's commits (one side rewrote or added some)"
    links = _new_gitlinks(repository, old, tip)
    if links:
        return f"the commits bring nested repositories along: {', '.join(links[:3])}"
    return None


def _checked_out_branch(worktree: Worktree) -> str:
    return run_git("symbolic-ref", "--quiet", "HEAD", place=worktree.place, check=False).stdout


def _new_gitlinks(repository: Repository, old: str, tip: str) -> list[str]:
    compared = run_git("diff-tree", "-r", "--raw", "-z", "--no-renames", old, tip, place=repository.place)
    fields = compared.stdout.split("\0")
    changes = zip(fields[::2], fields[1::2], strict=False)
    return [shown(path) for modes, path in changes if _adds_gitlink(modes)]


def _adds_gitlink(modes: str) -> bool:
    before, after = modes.removeprefix(":").split(" ")[:2]
    return after == _GITLINK != before


def _reset_index(worktree: Worktree) -> tuple[str, ...]:
    """Have the index follow the branch; what keeps it from that, such as an open editor's lock, is a note."""
    # `reset --mixed` and `read-tree --reset` compare files whose times are near the index's, and so run the
    # filters that the agent's .gitattributes ask for. A fresh index from the tree looks at no file at all.
    try:
        run_git("read-tree", "HEAD", place=worktree.place)
    except GitError as error:
        command = f"git -C {shlex.quote(shown(str(worktree.path)))} reset"
        return (f"the index was not updated: {error.message}; type: {command}",)
    return ()


def _looked_over(worktree: Worktree) -> Homecoming:
    top = () if worktree.has_own_pointer() else (".git",)
    planted = tuple(shown(path) for path in top + find_nested_git(worktree.path))
    return Homecoming(planted=planted, notes=_planted_notes(worktree, planted))


def _planted_notes(worktree: Worktree, planted: tuple[str, ...]) -> tuple[str, ...]:
    if not planted:
        return ()
    names = ", ".join(planted[:3]) + (" and others" if len(planted) > 3 else "")  # noqa: PLR2004 - a line's worth
    note = (
        f"{worktree.path}: do not run git there before you have looked at and removed {names}: git would run"
        " what a nested repository's config says; then type: git reset"
    )
    return (note,)


def _ignored_notes(new: NewRefs) -> tuple[str, ...]:
    if not new.ignored:
        return ()
    return (
        f"{len(new.ignored)} names in the run's git folder are no refs and were left: {new.ignored[0]!r}",
    )


def _import(repository: Repository, session: SessionGit, new: NewRefs, prefix: str) -> tuple[str, ...]:
    if not new.values:
        return ()
    with tempfile.TemporaryDirectory(prefix="quarantine-", dir=session.run_folder) as folder:
        quarantine = _make_quarantine(repository, Path(folder, "git"))
        _copy_objects(UntrustedFolder(session.folder), quarantine.cwd)
        _index_packs(quarantine)
        commands = (f"create {prefix}/{name}\0{sha}\0" for name, sha in new.values.items())
        run_git("update-ref", "-z", "--stdin", place=quarantine, stdin="".join(commands))
        _fetch(repository, quarantine, prefix)
    return tuple(list_refs(repository, prefix))


def _make_quarantine(repository: Repository, folder: Path) -> Place:
    init_bare(folder, repository.object_format)
    (folder / "objects/info").mkdir(exist_ok=True)
    (folder / "objects/info/alternates").write_bytes(os.fsencode(f"{repository.common_dir / 'objects'}\n"))
    shallow = repository.common_dir / "shallow"
    if shallow.is_file():
        (folder / "shallow").write_bytes(shallow.read_bytes())
    return Place(folder, git_dir=folder)


def _copy_objects(source: UntrustedFolder, target: Path) -> None:
    room = MAX_OBJECT_BYTES
    for count, name in enumerate(_object_names(source)):
        if count > MAX_ENTRIES:
            raise too_large("it holds too many objects")
        copy = target / name
        copy.parent.mkdir(exist_ok=True)
        room -= source.copy(name, copy, room)


def _object_names(source: UntrustedFolder) -> Iterator[str]:
    """Yield the names of loose objects and packs; an agent's pack index is not wanted, git makes its own."""
    for folder in source.entries("objects"):
        pattern = _PACK if folder.name == "pack" else _LOOSE
        if not folder.is_folder or not re.fullmatch(r"[0-9a-f]{2}|pack", folder.name):
            continue
        for entry in source.entries(f"objects/{folder.name}"):
            if pattern.fullmatch(entry.name):
                yield f"objects/{folder.name}/{entry.name}"


def _index_packs(quarantine: Place) -> None:
    for pack in sorted((quarantine.cwd / "objects/pack").glob("pack-*.pack")):
        run_git("index-pack", str(pack), place=quarantine)


def _fetch(repository: Repository, quarantine: Place, prefix: str) -> None:
    options = ("--quiet", "--atomic", "--no-tags", "--no-prune", "--no-write-fetch-head", "--no-auto-gc")
    run_git(
        *("fetch", *options, "--no-recurse-submodules", str(quarantine.cwd), f"+{prefix}/*:{prefix}/*"),
        place=repository.place,
        config=("fetch.fsckObjects=true", "transfer.fsckObjects=true", "protocol.file.allow=always"),
    )
