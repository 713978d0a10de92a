"""`lw_coder drop`: remove a plan's worktree, branch and, if wanted, runs; commits are kept for 30 days."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from lw_coder.commands.asking import is_agreed
from lw_coder.commands.named_plan import named_plan_id
from lw_coder.commands.result_document import Document, ended_on_failure
from lw_coder.containers.image_names import repo_hash
from lw_coder.foundation.errors import EngineError, ExitCode, RunError
from lw_coder.foundation.locks import plan_lock
from lw_coder.foundation.report import printable, say, tell
from lw_coder.foundation.signals import held
from lw_coder.repository import dropped_refs
from lw_coder.repository.git import Repository, find_repository, ref_value, root_commit, run_git
from lw_coder.repository.log import count_only_on
from lw_coder.repository.snapshot import Files, commit_files, list_files
from lw_coder.repository.worktrees import (
    BRANCH_PREFIX,
    Removable,
    removable_worktree,
    remove_plan_worktree,
)
from lw_coder.runs.pending import has_pending
from lw_coder.runs.run_folders import Run, list_runs, remove_partial_runs, remove_run
from lw_coder.runs.scores import is_scored
from lw_coder.runs.taken import is_taken
from lw_coder.sessions.cleanup import require_idle

_MOST_NAMED = 3
_UNKNOWN: Mapping[str, Any] = {
    **dict.fromkeys(("plan_id", "worktree", "branch", "branch_kept_at", "tip", "unmerged", "changed")),
    **dict.fromkeys(("untracked", "ignored", "runs", "scored", "ref", "expired")),
}


@dataclass(frozen=True)
class DropOptions:
    """What was typed besides the plan.

    Attributes:
        runs: remove the run folders too.
        yes: do not ask.
        as_json: print one JSON document.
    """

    runs: bool = False
    yes: bool = False
    as_json: bool = False


@dataclass(frozen=True)
class _Found:
    """What there is of a plan.

    Attributes:
        plan_id: the plan.
        place: its worktree.
        files: what is not committed there.
        tip: the commit of its branch, or None if there is no branch.
        unmerged: how many commits no other branch has.
        is_squashed: whether `take --squash` made one commit of them, which a branch has.
        runs: those to remove; empty if they are to stay.
    """

    plan_id: str
    place: Removable
    files: Files
    tip: str | None
    unmerged: int
    is_squashed: bool
    runs: tuple[Run, ...]

    @property
    def branch(self) -> str:
        """The plan's branch."""
        return BRANCH_PREFIX + self.plan_id

    @property
    def has_folder(self) -> bool:
        """Whether the worktree's folder is there."""
        return self.place.path.exists()

    @property
    def loses_branch(self) -> bool:
        """Whether there is a branch that is not checked out elsewhere."""
        return self.tip is not None and self.place.elsewhere is None

    @property
    def is_nothing(self) -> bool:
        """Whether there is nothing to drop."""
        return not (self.has_folder or self.loses_branch or self.runs)

    @property
    def scored(self) -> int:
        """How many of the runs have a score."""
        return sum(map(is_scored, self.runs))


def drop_command(start: Path, name: str, options: DropOptions) -> ExitCode:
    """Say what is there of a plan, ask, and remove it.

    Args:
        start: a folder in the repository.
        name: the plan.
        options: what else was typed.

    Returns:
        ERROR if the person declined.

    Raises:
        LwCoderError: a session is running, or something cannot be kept. Nothing has been removed.
    """
    document = Document(_UNKNOWN, click.echo) if options.as_json else None
    with ended_on_failure(document):
        repository = find_repository(start)
        plan_id = named_plan_id(repository, name)
        with plan_lock(repository.root, plan_id):
            with suppress(EngineError):  # a replay needs an engine
                require_idle(repo_hash(root_commit(repository), repository.common_dir), plan_id)
            outcome = _drop(repository, plan_id, options, document)
    code = ExitCode.ERROR if outcome == "declined" else ExitCode.OK
    if document:
        document.values["outcome"] = outcome
        document.end(code)
    return code


def _drop(repository: Repository, plan_id: str, options: DropOptions, document: Document | None) -> str:
    found = _found(repository, plan_id, with_runs=options.runs)
    if document:
        document.values |= _described(found)
    if found.is_nothing:
        runs = len(list_runs(repository.root, plan_id))
        tell(
            f"There is nothing to drop of {plan_id}"
            + (f", except its runs ({runs}): --runs" if runs else ".")
        )
        return "nothing"
    for line in _lines(found):
        tell(line)
    if not is_agreed(f"Drop {plan_id}?", yes=options.yes):
        tell("Nothing was removed.")
        return "declined"
    with held():
        ref = _keep(repository, found)
        _remove(repository, found, ref)
        gone = dropped_refs.expired(repository)
        dropped_refs.remove(repository, gone)
    _report(found, ref, gone)
    if document:
        document.values |= {"ref": ref, "expired": gone}
    return "dropped"


def _found(repository: Repository, plan_id: str, *, with_runs: bool) -> _Found:
    place = removable_worktree(repository, plan_id)
    branch = BRANCH_PREFIX + plan_id
    tip = ref_value(repository, f"refs/heads/{branch}")
    runs = tuple(list_runs(repository.root, plan_id)) if with_runs else ()
    for run in runs:
        if has_pending(repository, run):
            raise RunError(
                f"{run.identity}: has commits that are not in the repository",
                f"type: lw_coder runs import {run.identity}",
            )
    files = list_files(repository, place.worktree) if place.worktree else Files()
    unmerged = count_only_on(repository, branch, tip) if tip else 0
    squashed = tip is not None and is_taken(repository, plan_id, tip)
    return _Found(plan_id, place, files, tip, unmerged, squashed, runs)


def _lines(found: _Found) -> Iterator[str]:
    place, files = found.place, found.files
    if found.has_folder:
        yield f"Worktree: {place.path} is removed"
    if files.are_uncommitted:
        yield f"          kept as a commit: {_named('uncommitted', (*files.changed, *files.untracked))}"
    if files.ignored:
        yield f"          LOST: {_named('ignored', files.ignored)}"
    if found.tip and place.elsewhere:
        yield f"Branch:   {found.branch} stays: it is checked out at {place.elsewhere}"
    elif found.tip:
        yield f"Branch:   {found.branch} is removed; {_merged(found)}"
    if found.runs:
        yield f"Runs:     LOST: {len(found.runs)}, of which {found.scored} have a score"


def _merged(found: _Found) -> str:
    if not found.unmerged:
        return "its commits are on other branches too"
    squashed = ", but their changes are" if found.is_squashed else ""
    return f"{found.unmerged} of its commits are on no other branch{squashed}"


def _named(kind: str, paths: Sequence[str]) -> str:
    names = ", ".join(map(printable, paths[:_MOST_NAMED]))
    return f"{len(paths)} {kind} files or folders: {names}{', ...' if len(paths) > _MOST_NAMED else ''}"


def _keep(repository: Repository, found: _Found) -> str | None:
    """Make the ref that keeps the commits and the uncommitted files; None if there are neither."""
    commit = found.tip
    if found.place.worktree and found.files.are_uncommitted:
        commit = commit_files(repository, found.place.worktree)
    if commit is None or not (found.loses_branch or commit != found.tip):
        return None
    ref = dropped_refs.new_name(repository, found.plan_id)
    run_git("update-ref", ref, commit, "", place=repository.place)
    return ref


def _remove(repository: Repository, found: _Found, ref: str | None) -> None:
    remove_plan_worktree(repository, found.place, found.plan_id, found.tip)
    if found.loses_branch:
        name = f"refs/heads/{found.branch}"
        run_git("update-ref", "-d", name, str(found.tip), place=repository.place)
        section = f"branch.{found.branch}"
        run_git("config", "--local", "--remove-section", section, place=repository.place, check=False)
    if not found.runs:
        return
    kept = ref or dropped_refs.new_name(repository, found.plan_id)
    dropped_refs.set_aside(
        repository, dropped_refs.refs_of_runs(repository, found.plan_id), found.plan_id, kept
    )
    for run in found.runs:
        remove_run(run)
    remove_partial_runs(repository.root, found.plan_id)


def _report(found: _Found, ref: str | None, gone: Sequence[str]) -> None:
    tell(f"Dropped:  {found.plan_id}")
    if ref:
        days = dropped_refs.KEPT_FOR.days
        tell(f"Kept:     for {days} days: {ref}")
        say(f"          to have it back, type: git branch {found.branch} {ref}")
    if gone:
        say(f"Expired:  {len(gone)} refs of what was dropped more than {dropped_refs.KEPT_FOR.days} days ago")


def _described(found: _Found) -> dict[str, Any]:
    """Return what the document says of a plan."""
    place, files = found.place, found.files
    return {
        "plan_id": found.plan_id,
        "worktree": printable(str(place.path)) if found.has_folder else None,
        "branch": found.branch if found.tip else None,
        "branch_kept_at": printable(str(place.elsewhere)) if found.tip and place.elsewhere else None,
        "tip": found.tip,
        "unmerged": found.unmerged,
        "changed": len(files.changed),
        "untracked": len(files.untracked),
        "ignored": len(files.ignored),
        "runs": [run.identity for run in found.runs],
        "scored": found.scored,
    }
