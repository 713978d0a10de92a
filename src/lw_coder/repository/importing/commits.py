"""Import a session's commits. Its git folder and its worktree may be hostile.

Git on the host never runs in that folder: lw_coder parses the refs and imports the objects through a
quarantine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from lw_coder.foundation.counting import counted
from lw_coder.foundation.errors import GitError
from lw_coder.foundation.report import printable
from lw_coder.repository.git import (
    Repository,
    is_ancestor,
    is_ref_name,
    missing_objects,
    run_git,
    stream_git,
)
from lw_coder.repository.importing.nested_repositories import (
    READ_BY_GIT,
    find_nested_repositories,
    nested_repositories_note,
)
from lw_coder.repository.importing.quarantine import import_refs
from lw_coder.repository.importing.refs import NewRefs, read_new_refs
from lw_coder.repository.importing.session_state import (
    has_same_index,
    is_on,
    read_session_index,
    staged_ref,
    unfinished_operation,
)
from lw_coder.repository.importing.untrusted_files import UntrustedFolder, memory_limited
from lw_coder.repository.incomplete_worktrees import quoted
from lw_coder.repository.lfs_objects import LONGEST_POINTER, copy_objects, is_pointer, lfs_folder, pointers_in
from lw_coder.repository.submodules import unchanged
from lw_coder.repository.worktree_index import IndexChanges, has_base, note_base, update_index
from lw_coder.repository.worktrees import note_unfinished, require_nothing_unfinished

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lw_coder.repository.private_git import PrivateGit
    from lw_coder.repository.worktrees import Worktree

REFS_PREFIX = "refs/lw_coder"
NO_GIT_THERE = "do not run git there, it would use the agent's config; inspect them in a replay"
MAX_CHANGED_FILES = 500_000  # between the branch and its new tip

_LONGEST_NAME = 200  # characters shown of what an agent named
_GITLINK, _NO_MODE = "160000", "000000"
_INDEX_TAKEN = "index-taken"  # in the run's folder


class ImportResult(Struct, frozen=True):
    """The result of importing a session's commits.

    Attributes:
        refs: full names of the run's refs, `refs/lw_coder/<run>/...`, in the repository.
        commits: how many commits the session added to the worktree's branch.
        tip: id of the last of these commits, or None if there are none.
        moved: whether the branch has these commits now.
        nested: nested `.git` entries in the worktree, escaped; git should not run there until they are gone.
        notes: lines to show to the user, escaped.
        problem: why nothing could be imported, in one line, or None; the run's folder still has everything.
    """

    refs: tuple[str, ...] = ()
    commits: int = 0
    tip: str | None = None
    moved: bool = False
    nested: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    problem: str | None = None


class Change(NamedTuple):
    """A file or submodule that a session's commits change: modes and ids, before and after."""

    path: str
    old_mode: str
    mode: str
    old_sha: str
    sha: str

    @property
    def is_submodule(self) -> bool:
        """Whether it is a submodule after the change."""
        return self.mode == _GITLINK


class Changes(Struct, frozen=True):
    """Changes of a session's commits that need a check.

    Attributes:
        submodules: submodules that are new, or at another commit.
        lost: deleted or emptied files that were not in the session's worktree at the start.
    """

    submodules: tuple[Change, ...]
    lost: tuple[Change, ...]


class _Import(Struct, frozen=True):
    """One import of a session that had a worktree."""

    repository: Repository
    worktree: Worktree
    session: PrivateGit
    run_name: str
    yes: bool

    @property
    def branch(self) -> str:
        return f"refs/heads/{self.worktree.branch}"


def import_commits(
    repository: Repository,
    worktree: Worktree | None,
    session: PrivateGit,
    run_name: str,
    *,
    yes: bool = False,
) -> ImportResult:
    """Import every new ref of a session as `refs/lw_coder/<run_name>/...`, then move the worktree's branch.

    Branches are imported as `heads/...`, tags as `tags/...`, stashes as `stash/0` (the newest) and up, and a
    detached HEAD as `detached`. The branch moves only forward, and not to commits that delete files which the
    session did not have. The worktree's index is updated; its files are never changed. Importing again
    changes nothing.

    Args:
        repository: the user's.
        worktree: the session's worktree, or None if it no longer exists: then only the refs are imported.
        session: the run's private git folder; no container uses it any more.
        run_name: `<plan_id>/<timestamp>`, or another name that can be part of a ref.
        yes: move the branch even to commits that delete files which the session did not have.

    Raises:
        GitError: the repository itself, or the run's name, cannot be used. A problem with the session's
            folder is not raised, but returned as `problem`.
    """
    if not is_ref_name(f"{REFS_PREFIX}/{run_name}"):
        raise GitError(f"{printable(run_name)}: is not valid in a ref name", "rename the run")
    with memory_limited():
        return _imported(repository, worktree, session, run_name, yes=yes)


def _imported(
    repository: Repository, worktree: Worktree | None, session: PrivateGit, run_name: str, *, yes: bool
) -> ImportResult:
    imported = ImportResult() if worktree is None else _inspect_worktree(worktree, session)
    try:
        new = read_new_refs(session)
        refs = import_refs(repository, session, new.values, f"{REFS_PREFIX}/{run_name}")
    except (GitError, OSError, MemoryError) as error:
        return replace(
            imported, problem=f"{_reason(error)}; the commits stay in {session.folder}; {NO_GIT_THERE}"
        )
    imported = replace(imported, refs=refs, notes=imported.notes + _ignored_notes(new))
    if worktree is None or worktree.branch is None:
        return imported
    tip = new.values.get(f"heads/{worktree.branch}")
    task = _Import(repository, worktree, session, run_name, yes)
    if tip is not None:
        imported = _advance(task, imported, tip)
    notes = _index_notes(task, tip or session.head, imported.nested) + _unfinished_notes(task)
    return replace(imported, notes=imported.notes + notes)


def _reason(error: GitError | OSError | MemoryError) -> str:
    if isinstance(error, GitError):
        return error.message
    reason = error.strerror if isinstance(error, OSError) else "they need more memory than the limit"
    return f"commits were not copied: {reason}"


def pending(repository: Repository, session: PrivateGit) -> bool:
    """Return whether a run's git folder has commits that the repository lacks, or cannot be read."""
    try:
        values = list(read_new_refs(session).values.values())
        return bool(values and missing_objects(repository, values))
    except (GitError, OSError):
        return True


def _advance(task: _Import, imported: ImportResult, tip: str) -> ImportResult:
    repository, worktree = task.repository, task.worktree
    old, is_checked_out = _branch(task)
    notes: tuple[str, ...] = ()
    try:
        if old not in {None, tip} and _is_already_merged(repository, task.session.head, tip, str(old)):
            return replace(imported, tip=tip, moved=True)
        reason = _reason_not_to_move(task, old, tip, is_checked_out=is_checked_out)
        changes = _changes(task, str(old), tip) if reason is None else Changes((), ())
        reason = reason or _reason_about_submodules(changes) or _reason_about_deletions(task, changes)
        count = run_git("rev-list", "--count", tip, f"^{old or worktree.head}", "--", place=repository.place)
        imported = replace(imported, commits=int(count.stdout), tip=tip)
        if reason is None and old != tip:
            notes = _submodule_notes(changes) + _lost_notes(changes) + _lfs_notes(task, str(old), tip)
            _move(task, str(old), tip)
    except (GitError, OSError, MemoryError) as error:
        reason = _reason(error)
    if reason is not None:
        kept = f"{REFS_PREFIX}/{task.run_name}/heads/{worktree.branch}"
        note = f"branch {worktree.branch} was not moved: {reason}; the session's commits are at {kept}"
        return replace(imported, notes=(*imported.notes, note))
    return replace(imported, moved=True, notes=imported.notes + notes)


def _move(task: _Import, old: str, tip: str) -> None:
    # Record this first: if the power fails in between, the next start still knows the commit of the index.
    note_base(task.worktree, old)
    # Run in the worktree's git folder, so that the reflog of its HEAD records the move too.
    message = f"lw_coder: {task.run_name}"
    run_git("update-ref", "-m", message, task.branch, tip, old, place=task.worktree.place)


def _is_already_merged(repository: Repository, start: str, tip: str, old: str) -> bool:
    """Return whether the branch already contains all commits of the session."""
    return is_ancestor(repository, tip, old) and is_ancestor(repository, start, tip)


def _reason_not_to_move(task: _Import, old: str | None, tip: str, *, is_checked_out: bool) -> str | None:
    if old is None:
        return "it was deleted during the session"
    if not is_checked_out:
        return "its worktree is on another branch now"
    return None if old == tip else _unfinished_operation(task.worktree) or _reason_in_history(task, old, tip)


def _reason_in_history(task: _Import, old: str, tip: str) -> str | None:
    if is_ancestor(task.repository, tip, old):
        return "the session removed commits that the branch has"
    if not is_ancestor(task.repository, old, tip):
        return "it cannot be fast-forwarded to the session's commits (one side rewrote or added commits)"
    return None


def _branch(task: _Import) -> tuple[str | None, bool]:
    """Return the value of the worktree's branch, and whether the worktree is still on it."""
    form = ("for-each-ref", "--format=%(HEAD)%(objectname)", task.branch)
    found = run_git(*form, place=task.worktree.place).stdout
    return found[1:] or None, found.startswith("*")


def _unfinished_operation(worktree: Worktree) -> str | None:
    try:
        require_nothing_unfinished(worktree.path, worktree.git_dir)
    except GitError as error:
        return f"{error.message}; {error.remedy}"
    return None


def _reason_about_submodules(changes: Changes) -> str | None:
    new = [change.path for change in changes.submodules if change.old_mode != _GITLINK]
    return f"the commits add nested repositories: {_named(new)}" if new else None


def _reason_about_deletions(task: _Import, changes: Changes) -> str | None:
    """Refuse commits that delete files which the session never had: that is hardly ever intended."""
    if not changes.lost or task.yes:
        return None
    what = f"its commits delete or empty {_lost(changes)}"
    return f"{what}; review them; if this is intended, type: lw_coder runs import --yes {task.run_name}"


def _lost_notes(changes: Changes) -> tuple[str, ...]:
    return (f"the commits delete or empty {_lost(changes)}",) if changes.lost else ()


def _lost(changes: Changes) -> str:
    count = len(changes.lost)
    files = "a file that was" if count == 1 else f"{count} files that were"
    names = _named([change.path for change in changes.lost])
    return f"{files} not in the session's worktree at the start, such as {names}"


def _submodule_notes(changes: Changes) -> tuple[str, ...]:
    if not changes.submodules:
        return ()
    names = _named([change.path for change in changes.submodules])
    return (f"the commits move a submodule: {names}; check it and .gitmodules before you update it",)


def _lfs_notes(task: _Import, old: str, tip: str) -> tuple[str, ...]:
    """Copy the session's Git LFS objects; report those that cannot be found."""
    pointers = pointers_in(task.repository, tip, old) if _may_have_lfs(task) else []
    missing = copy_objects(task.session.folder, lfs_folder(task.repository), pointers) if pointers else []
    if not missing:
        return ()
    what = f"{len(missing)} Git LFS objects" if len(missing) > 1 else "a Git LFS object"
    return (f"the commits refer to {what} that this machine does not have: {_named(missing)}",)


def _may_have_lfs(task: _Import) -> bool:
    has_objects = UntrustedFolder(task.session.folder).stat("lfs") is not None
    return has_objects or lfs_folder(task.repository).is_dir()


def _named(paths: Sequence[str]) -> str:
    return ", ".join(printable(path)[:_LONGEST_NAME] for path in paths[:3])


def _changes(task: _Import, old: str, tip: str) -> Changes:
    absent = task.session.absent_files()
    submodules, lost = [], []
    for change in _changed(task.repository, old, tip):
        if change.is_submodule:
            submodules.append(change)
        elif change.path in absent and _is_lost(task.repository, change):
            lost.append(change)
    return Changes(tuple(submodules), tuple(lost))


def _is_lost(repository: Repository, change: Change) -> bool:
    """Return whether a file was deleted, emptied, or replaced with a Git LFS pointer."""
    if change.mode == _NO_MODE:
        return True
    if change.old_mode == _NO_MODE:
        return False
    size = run_git("cat-file", "-s", change.sha, place=repository.place).stdout
    if int(size) > LONGEST_POINTER:
        return False
    return size == "0" or is_pointer(run_git("cat-file", "blob", change.sha, place=repository.place).stdout)


def _changed(repository: Repository, old: str, tip: str) -> Iterator[Change]:
    """Yield the changes between two commits.

    Raises:
        GitError: the tip changes too many files, or git failed.
    """
    # Otherwise .gitmodules could hide changes of a submodule.
    options = ("-r", "--raw", "-z", "--no-renames", "--ignore-submodules=none")
    fields = stream_git("diff-tree", *options, old, tip, place=repository.place)
    for count, described in enumerate(fields):
        if count > MAX_CHANGED_FILES:
            problem = f"its commits change more than {MAX_CHANGED_FILES} files"
            raise GitError(problem, "inspect the commits in the run's refs")
        old_mode, mode, old_sha, sha, _ = described.removeprefix(":").split(" ")
        yield Change(next(fields), old_mode, mode, old_sha, sha)


def _index_notes(task: _Import, end: str, nested: tuple[str, ...]) -> tuple[str, ...]:
    """Update the index to the branch; a failure, such as an editor's lock, is reported as a note.

    The agent's changes to the index are applied once for each run: the user may work there afterwards.
    """
    worktree = task.worktree
    head, is_checked_out = _branch(task)
    if head is None or not is_checked_out or _unfinished_operation(worktree):
        return ()
    done = task.session.run_folder / _INDEX_TAKEN
    if done.exists() and not has_base(worktree):
        return ()
    # Whatever writes an index can read these files, and would wait for ever if one is a pipe.
    if any(name.rpartition("/")[2] in READ_BY_GIT for name in nested):
        return (
            "the index was not updated: git would wait for a pipe; remove it, then start the next session",
        )
    try:
        left = _update_index(task, head, end, compares=not nested)
        done.touch()
    except GitError as error:
        return (f"the index was not updated: {error.message}; {error.remedy}; the next session updates it",)
    except (OSError, MemoryError) as error:
        return (f"the index was not updated: {_reason(error)}; the next session updates it",)
    return _sparse_notes(task, left)


def _update_index(task: _Import, head: str, end: str, *, compares: bool) -> IndexChanges:
    repository, worktree, session = task.repository, task.worktree, task.session
    if head == session.head and not has_base(worktree) and has_same_index(worktree, session):
        return IndexChanges()
    with_staged = head == end and is_on(session, worktree.branch)
    left = read_session_index(repository, worktree.path, session, head, with_staged=with_staged)
    update_index(repository, worktree, session.run_folder, left, compares=compares)
    if left.staged:  # the index refers to them now
        run_git("update-ref", "-d", staged_ref(session), place=repository.place)
    return left


def _sparse_notes(task: _Import, left: IndexChanges) -> tuple[str, ...]:
    count = len(left.skipped - task.session.absent_files())
    if not count:
        return ()
    remedy = f"to check them out, type: git -C {quoted(task.worktree.path)} sparse-checkout disable"
    are = counted(count, "file is", "files are")
    return (f"{are} not in the worktree, because the session made a sparse checkout; {remedy}",)


def _unfinished_notes(task: _Import) -> tuple[str, ...]:
    what = unfinished_operation(task.session)
    note_unfinished(task.worktree, what, task.run_name)
    if what is None:
        return ()
    remedy = f"finish it in a replay of the run, then type: lw_coder runs import {task.run_name}"
    return (f"the session left a {what} unfinished, with its files in the worktree; {remedy}",)


def _inspect_worktree(worktree: Worktree, session: PrivateGit) -> ImportResult:
    top = () if worktree.has_own_pointer() else (".git",)
    own = unchanged(worktree.path, session.submodules)
    try:
        planted = top + tuple(name for name in find_nested_repositories(worktree.path) if name not in own)
    except MemoryError:  # endlessly many names
        planted = (".",)
    notes = (nested_repositories_note(worktree.path, planted),) if planted else ()
    return ImportResult(nested=tuple(map(printable, planted)), notes=notes)


def _ignored_notes(new: NewRefs) -> tuple[str, ...]:
    if not new.ignored:
        return ()
    first = repr(new.ignored[0][:_LONGEST_NAME])
    one, many = "is not a valid ref and was ignored", "are not valid refs and were ignored"
    where = "in the run's git folder"
    return (f"{counted(len(new.ignored), f'name {where} {one}', f'names {where} {many}')}: {first}",)
