"""`lw_coder drop`: remove a plan's worktree, branch and, if wanted, runs; commits are kept for 30 days."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from msgspec import Struct

from lw_coder.commands.asking import is_agreed
from lw_coder.commands.named_plan import named_plan_id
from lw_coder.commands.result_document import Document, ended_on_failure
from lw_coder.containers.image_names import repo_hash
from lw_coder.foundation.counting import counted
from lw_coder.foundation.errors import ExitCode
from lw_coder.foundation.locks import plan_lock
from lw_coder.foundation.report import printable, say, tell
from lw_coder.foundation.signals import held
from lw_coder.repository import dropped_refs
from lw_coder.repository.git import Repository, find_repository, root_commit
from lw_coder.runs.dropping import PlanRemains, examine, remove
from lw_coder.runs.run_folders import list_runs
from lw_coder.sessions.cleanup import require_idle_if_there_is_an_engine

_MOST_NAMED = 3
_UNKNOWN: Mapping[str, Any] = {
    **dict.fromkeys(("plan_id", "worktree", "branch", "branch_kept_at", "tip", "unmerged", "changed")),
    **dict.fromkeys(("untracked", "ignored", "runs", "scored", "ref", "expired")),
}


class DropOptions(Struct, frozen=True):
    """What was typed besides the plan.

    Attributes:
        runs: remove the run folders too.
        yes: do not ask.
        as_json: print one JSON document.
    """

    runs: bool = False
    yes: bool = False
    as_json: bool = False


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
        with plan_lock(repository.common_dir, plan_id):
            identity = repo_hash(root_commit(repository), repository.common_dir)
            require_idle_if_there_is_an_engine(identity, plan_id)
            outcome = _drop(repository, plan_id, options, document)
    code = ExitCode.ERROR if outcome == "declined" else ExitCode.OK
    if document:
        document.values["outcome"] = outcome
        document.end(code)
    return code


def _drop(repository: Repository, plan_id: str, options: DropOptions, document: Document | None) -> str:
    found = examine(repository, plan_id, with_runs=options.runs)
    if document:
        document.values |= _described(found)
    if found.is_nothing:
        tell(_nothing(found, len(list_runs(repository.home, plan_id))))
        return "nothing"
    for line in _lines(found):
        tell(line)
    if not is_agreed(f"Drop {plan_id}?", yes=options.yes):
        tell("Nothing was removed.")
        return "declined"
    with held():
        ref = remove(repository, found)
        gone = dropped_refs.expired(repository)
        dropped_refs.remove(repository, gone)
    _report(found, ref, gone)
    if document:
        document.values |= {"ref": ref, "expired": gone}
    return "dropped"


def _nothing(found: PlanRemains, runs: int) -> str:
    besides = f", except its runs ({runs}): --runs" if runs else "."
    elsewhere = found.place.elsewhere if found.tip else None
    kept = f" Its branch is checked out at {printable(str(elsewhere))}." if elsewhere else ""
    return f"There is nothing to drop of {found.plan_id}{besides}{kept}"


def _lines(found: PlanRemains) -> Iterator[str]:
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


def _merged(found: PlanRemains) -> str:
    if not found.unmerged:
        return "its commits are on branches of yours"
    squashed = ", but their changes are" if found.is_squashed else ""
    are = counted(found.unmerged, "of its commits is", "of its commits are")
    return f"{are} on none of your branches{squashed}"


def _named(kind: str, paths: Sequence[str]) -> str:
    names = ", ".join(map(printable, paths[:_MOST_NAMED]))
    what = counted(len(paths), f"{kind} file or folder", f"{kind} files or folders")
    return f"{what}: {names}{', ...' if len(paths) > _MOST_NAMED else ''}"


def _report(found: PlanRemains, ref: str | None, gone: Sequence[str]) -> None:
    tell(f"Dropped:  {found.plan_id}")
    if ref:
        days = dropped_refs.KEPT_FOR.days
        tell(f"Kept:     for {days} days: {ref}")
        say(f"          to have it back, type: git branch {found.branch} {ref}")
    if gone:
        refs = counted(len(gone), "ref")
        say(f"Expired:  {refs} of what was dropped more than {dropped_refs.KEPT_FOR.days} days ago")


def _described(found: PlanRemains) -> dict[str, Any]:
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
