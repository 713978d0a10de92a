"""Import the commits of a session. Its git folder and its worktree are treated as hostile.

git on the host never runs in that folder: its refs are parsed, its objects are imported through a quarantine.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from lw_coder.foundation.errors import GitError
from lw_coder.foundation.report import printable
from lw_coder.repository.git import (
    Repository,
    is_ancestor,
    is_ref_name,
    missing_objects,
    ref_value,
    run_git,
    stream_git,
)
from lw_coder.repository.importing.nested_repositories import (
    find_nested_repositories,
    nested_repositories_note,
)
from lw_coder.repository.importing.quarantine import import_refs
from lw_coder.repository.importing.refs import NewRefs, read_new_refs
from lw_coder.repository.importing.untrusted_files import memory_limited

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lw_coder.repository.private_git import PrivateGit
    from lw_coder.repository.worktrees import Worktree

REFS_PREFIX = "refs/lw_coder"
NO_GIT_THERE = "do not run git there, it would use the agent's config; inspect them in a replay"
MAX_CHANGED_FILES = 500_000  # between the branch and its new tip

_LONGEST_NAME = 200  # characters of an agent's name that are shown
_GITLINK = "160000"


@dataclass(frozen=True)
class ImportResult:
    """The result of importing a session's commits.

    Attributes:
        refs: full names of the run's refs, `refs/lw_coder/<run>/...`, in the repository.
        commits: how many commits the session added to the worktree's branch.
        tip: id of the last of them, or None if there are none.
        moved: whether the branch has them now.
        nested: nested `.git` entries in the worktree, escaped; git should not run there until they are gone.
        notes: one line each for the person, escaped.
        problem: why nothing could be imported, in one line, or None; everything stays in the run's folder.
    """

    refs: tuple[str, ...] = ()
    commits: int = 0
    tip: str | None = None
    moved: bool = False
    nested: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    problem: str | None = None


class Gitlink(NamedTuple):
    """A submodule that a session's commits changed: its path, and whether it is new."""

    path: str
    is_new: bool


def import_commits(
    repository: Repository, worktree: Worktree | None, session: PrivateGit, run_name: str
) -> ImportResult:
    """Import every new ref of a session as `refs/lw_coder/<run_name>/...`, then move the worktree's branch.

    Branches arrive as `heads/...`, tags as `tags/...`, stashes as `stash/0` (the newest) and on, a detached
    HEAD as `detached`. The branch is only fast-forwarded. The worktree's index is updated, unless there are
    nested repositories; its files are never changed. Importing again changes nothing.

    Args:
        repository: the person's.
        worktree: the session's worktree, or None if it was removed: then only the refs are imported.
        session: the run's private git folder; no container uses it any more.
        run_name: `<plan_id>/<timestamp>`, or another name that is valid in a ref.

    Raises:
        GitError: the repository itself, or the run's name, cannot be used. A problem with the session's
            folder is not raised, but returned as `problem`.
    """
    if not is_ref_name(f"{REFS_PREFIX}/{run_name}"):
        raise GitError(f"{printable(run_name)}: is not valid in a ref name", "rename the run")
    with memory_limited():
        return _import(repository, worktree, session, run_name)


def _import(
    repository: Repository, worktree: Worktree | None, session: PrivateGit, run_name: str
) -> ImportResult:
    imported = ImportResult() if worktree is None else _inspect_worktree(worktree)
    try:
        new = read_new_refs(session)
        refs = import_refs(repository, session, new.values, f"{REFS_PREFIX}/{run_name}")
    except (GitError, OSError, MemoryError) as error:
        return replace(
            imported, problem=f"{_why(error)}; the commits stay in {session.folder}; {NO_GIT_THERE}"
        )
    imported = replace(imported, refs=refs, notes=imported.notes + _ignored_notes(new))
    if worktree is None or worktree.branch is None:
        return imported
    tip = new.values.get(f"heads/{worktree.branch}")
    return imported if tip is None else _advance(repository, worktree, imported, tip, session.head, run_name)


def _why(error: GitError | OSError | MemoryError) -> str:
    if isinstance(error, GitError):
        return error.message
    reason = error.strerror if isinstance(error, OSError) else "they need more memory than the limit"
    return f"commits were not copied: {reason}"


def pending(repository: Repository, session: PrivateGit) -> bool:
    """Return whether a run's git folder has commits that the repository lacks, or cannot be read."""
    try:
        return bool(missing_objects(repository, list(read_new_refs(session).values.values())))
    except (GitError, OSError):
        return True


def _advance(
    repository: Repository, worktree: Worktree, imported: ImportResult, tip: str, start: str, run_name: str
) -> ImportResult:
    ref = f"refs/heads/{worktree.branch}"
    old = ref_value(repository, ref)
    notes: tuple[str, ...] = ()
    try:
        if old not in {None, tip} and _is_already_imported(repository, start, tip, str(old)):
            return replace(imported, tip=tip, moved=True)
        reason = _why_not_move(repository, worktree, old, tip)
        links = tuple(_gitlinks(repository, str(old), tip)) if reason is None else ()
        reason = reason or _why_not_link(links)
        count = run_git("rev-list", "--count", tip, f"^{old or worktree.head}", "--", place=repository.place)
        imported = replace(imported, commits=int(count.stdout), tip=tip)
        if reason is None and old != tip:
            notes = _submodule_notes(links)
            # From the worktree's git folder, so that its HEAD's reflog records it too.
            message = f"lw_coder: {run_name}"
            run_git("update-ref", "-m", message, ref, tip, str(old), place=worktree.place)
    except (GitError, MemoryError) as error:
        reason = _why(error)
    if reason is not None:
        kept = f"{REFS_PREFIX}/{run_name}/heads/{worktree.branch}"
        note = f"branch {worktree.branch} was not moved: {reason}; the session's commits are at {kept}"
        return replace(imported, notes=(*imported.notes, note))
    notes += () if imported.nested else _reset_index(worktree)
    return replace(imported, moved=True, notes=imported.notes + notes)


def _is_already_imported(repository: Repository, start: str, tip: str, old: str) -> bool:
    """Return whether the branch already contains the session's tip, and that tip its starting commit."""
    return is_ancestor(repository, tip, old) and is_ancestor(repository, start, tip)


def _why_not_move(repository: Repository, worktree: Worktree, old: str | None, tip: str) -> str | None:
    if old is None:
        return "it was deleted during the session"
    if _checked_out_branch(worktree) != f"refs/heads/{worktree.branch}":
        return "its worktree is on another branch now"
    if old != tip and is_ancestor(repository, tip, old):
        return "the session removed commits that it has"
    if not is_ancestor(repository, old, tip):
        return "it cannot be fast-forwarded to the session's commits (one side rewrote or added commits)"
    return None


def _checked_out_branch(worktree: Worktree) -> str:
    return run_git("symbolic-ref", "--quiet", "HEAD", place=worktree.place, check=False).stdout


def _why_not_link(links: Sequence[Gitlink]) -> str | None:
    new = [link.path for link in links if link.is_new]
    return f"the commits add nested repositories: {_named(new)}" if new else None


def _submodule_notes(links: Sequence[Gitlink]) -> tuple[str, ...]:
    if not links:
        return ()
    names = _named([link.path for link in links])
    return (f"the commits move a submodule: {names}; check it and .gitmodules before you update it",)


def _named(paths: Sequence[str]) -> str:
    return ", ".join(printable(path)[:_LONGEST_NAME] for path in paths[:3])


def _gitlinks(repository: Repository, old: str, tip: str) -> Iterator[Gitlink]:
    """Yield each submodule that has another commit in the tip, and whether it is new.

    Raises:
        GitError: the tip changes too many files, or git failed.
    """
    # Otherwise .gitmodules could hide changes of a submodule.
    options = ("-r", "--raw", "-z", "--no-renames", "--ignore-submodules=none")
    fields = stream_git("diff-tree", *options, old, tip, place=repository.place)
    for count, modes in enumerate(fields):
        if count > MAX_CHANGED_FILES:
            problem = f"its commits change more than {MAX_CHANGED_FILES} files"
            raise GitError(problem, "inspect the commits in the run's refs")
        path = next(fields)
        before, after = modes.removeprefix(":").split(" ")[:2]
        if after == _GITLINK:
            yield Gitlink(path, is_new=before != _GITLINK)


def _reset_index(worktree: Worktree) -> tuple[str, ...]:
    """Update the index to the branch; if that fails, for example because of a lock, return a note."""
    # `reset --mixed` and `read-tree --reset` compare files whose times are close to the index's, and run the
    # filters that the agent's .gitattributes name. Reading the tree into a new index reads no file at all.
    try:
        run_git("read-tree", "HEAD", place=worktree.place)
    except GitError as error:
        command = f"git -C {shlex.quote(printable(str(worktree.path)))} reset"
        return (f"the index was not updated: {error.message}; type: {command}",)
    return ()


def _inspect_worktree(worktree: Worktree) -> ImportResult:
    top = () if worktree.has_own_pointer() else (".git",)
    try:
        nested = top + find_nested_repositories(worktree.path)
    except MemoryError:  # endless names
        nested = (".",)
    notes = (nested_repositories_note(worktree.path, nested, "; then type: git reset"),) if nested else ()
    return ImportResult(nested=tuple(map(printable, nested)), notes=notes)


def _ignored_notes(new: NewRefs) -> tuple[str, ...]:
    if not new.ignored:
        return ()
    first = repr(new.ignored[0][:_LONGEST_NAME])
    return (f"{len(new.ignored)} names in the run's git folder are not valid refs and were ignored: {first}",)
