"""`lw_coder take`: merge a plan's branch into the branch that the person has checked out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from msgspec import Struct

from lw_coder.commands.asking import is_agreed
from lw_coder.commands.named_plan import named_plan_id
from lw_coder.commands.result_document import Document, ended_on_failure
from lw_coder.commands.take_offer import (
    Offer,
    described,
    find_offer,
    is_merged,
    message_of,
    note_status,
    record_taken,
    require_verdict,
    show_offer,
    usable_hooks,
)
from lw_coder.foundation.errors import ExitCode
from lw_coder.foundation.locks import plan_lock
from lw_coder.foundation.report import say, tell
from lw_coder.repository.git import Repository, find_repository
from lw_coder.repository.merging import How, find_target, make_merge, require_mergeable

_UNKNOWN: Mapping[str, Any] = {
    **dict.fromkeys(("plan_id", "branch", "into", "run", "verdict", "tip", "commits", "behind")),
    **dict.fromkeys(("files", "added", "removed", "unusual", "how", "commit")),
}


class TakeOptions(Struct, frozen=True):
    """What was typed besides the plan.

    Attributes:
        how: the kind of merge.
        yes: do not ask.
        unverified: merge also what has no verdict that it passed.
        as_json: print one JSON document.
    """

    how: How = How.MERGE
    yes: bool = False
    unverified: bool = False
    as_json: bool = False


def take_command(start: Path, name: str, options: TakeOptions) -> ExitCode:
    """Show what a plan's branch would change, ask, and merge it.

    Args:
        start: a folder in the repository.
        name: the plan.
        options: what else was typed.

    Returns:
        ERROR if the person declined.

    Raises:
        VerdictError: there is no verdict that the branch's tip passed.
        LwCoderError: it cannot be merged. Nothing has been changed.
    """
    document = Document(_UNKNOWN, click.echo) if options.as_json else None
    with ended_on_failure(document):
        repository = find_repository(start)
        plan_id = named_plan_id(repository, name)
        with plan_lock(repository.common_dir, plan_id):
            code = _take(repository, plan_id, options, document)
    if document:
        document.end(code)
    return code


def _take(repository: Repository, plan_id: str, options: TakeOptions, document: Document | None) -> ExitCode:
    offer = find_offer(repository, find_target(repository), plan_id)
    if document:
        document.values |= {**described(offer), "how": options.how.value}
    if is_merged(repository, offer):
        return _nothing_to_do(offer, document)
    show_offer(repository, offer)
    changes_files = require_mergeable(repository, offer.merge)
    if options.how is How.SQUASH and not changes_files:
        return _nothing_to_do(offer, document)
    if not options.unverified:
        require_verdict(repository, offer)
    if not is_agreed(f"Merge {offer.branch} into {offer.merge.target.branch}?", yes=options.yes):
        tell("Nothing was merged.")
        return _outcome(document, "declined", ExitCode.ERROR)
    commit = _merge(repository, offer, options.how)
    if document:
        document.values["commit"] = commit
    _report(repository, offer, commit)
    return _outcome(document, "taken")


def _outcome(document: Document | None, outcome: str, code: ExitCode = ExitCode.OK) -> ExitCode:
    if document:
        document.values["outcome"] = outcome
    return code


def _nothing_to_do(offer: Offer, document: Document | None) -> ExitCode:
    tell(f"{offer.merge.target.branch} has all changes of {offer.branch} already.")
    return _outcome(document, "already_merged")


def _merge(repository: Repository, offer: Offer, how: How) -> str:
    hooks = usable_hooks(repository)
    commit = make_merge(offer.merge, how, message_of(repository, offer, how), hooks)
    record_taken(offer, commit, how)
    return commit


def _report(repository: Repository, offer: Offer, commit: str) -> None:
    branch = offer.merge.target.branch
    tell(f"Merged:   {branch} is at {commit[:12]}")
    note_status(repository, offer.plan_id)
    say(f"Undo:     git reset --keep {offer.merge.target.head[:12]}")
    say(f"Clean up: lw_coder drop {offer.plan_id}")
