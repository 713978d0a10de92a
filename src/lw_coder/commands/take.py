"""`lw_coder take`: merge a plan's branch into the branch that the person has checked out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from lw_coder.commands.asking import is_agreed
from lw_coder.commands.named_plan import named_plan_id
from lw_coder.commands.result_document import Document, ended_on_failure
from lw_coder.foundation.errors import ExitCode, GitError, LwCoderError, PlanError, VerdictError
from lw_coder.foundation.locks import plan_lock
from lw_coder.foundation.report import printable, say, tell, warn
from lw_coder.plans.find_plan import plans_with_id
from lw_coder.plans.plan_file import read_plan
from lw_coder.plans.plan_rules import FINISHED
from lw_coder.repository.changed_files import LineCount, changed_files, line_counts
from lw_coder.repository.git import Repository, find_repository, ref_value
from lw_coder.repository.incomplete_worktrees import quoted
from lw_coder.repository.log import subjects
from lw_coder.repository.merging import (
    How,
    Merge,
    find_hooks,
    find_target,
    make_merge,
    prepare_merge,
    require_mergeable,
)
from lw_coder.repository.worktrees import BRANCH_PREFIX, branch_in_worktree
from lw_coder.runs.pending import has_pending
from lw_coder.runs.run_folders import Run, list_runs, read_record
from lw_coder.runs.run_record import add_taken
from lw_coder.runs.taken import is_taken_into
from lw_coder.verdicts.pointed_out import PointedOut
from lw_coder.verdicts.recorded import RecordedVerdict, recorded_verdict, verdict_fault
from lw_coder.verdicts.unusual import unusual_changes

_MOST_SHOWN = 20  # files, or changes that are pointed out
_UNKNOWN: Mapping[str, Any] = {
    **dict.fromkeys(("plan_id", "branch", "into", "run", "verdict", "tip", "commits", "behind")),
    **dict.fromkeys(("files", "added", "removed", "unusual", "how", "commit")),
}


@dataclass(frozen=True)
class TakeOptions:
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


@dataclass(frozen=True)
class _Offer:
    """What would be merged.

    Attributes:
        plan_id: the plan.
        run: its newest run, or None.
        record: that run's record; empty if there is none.
        merge: the branch's tip, and the branch that it is merged into.
        counts: the lines of each changed file.
        unusual: what is unusual in the change.
    """

    plan_id: str
    run: Run | None
    record: Mapping[str, Any]
    merge: Merge
    counts: tuple[LineCount, ...]
    unusual: tuple[PointedOut, ...]

    @property
    def branch(self) -> str:
        """The plan's branch."""
        return BRANCH_PREFIX + self.plan_id

    @property
    def verdict(self) -> RecordedVerdict | None:
        """The verdict of the newest run."""
        return recorded_verdict(self.record)

    @property
    def lines(self) -> tuple[int, int]:
        """How many lines are added, and removed."""
        return sum(count.added or 0 for count in self.counts), sum(
            count.removed or 0 for count in self.counts
        )


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
        with plan_lock(repository.root, plan_id):
            code = _take(repository, plan_id, options, document)
    if document:
        document.end(code)
    return code


def _take(repository: Repository, plan_id: str, options: TakeOptions, document: Document | None) -> ExitCode:
    offer = _offer(repository, plan_id)
    if document:
        document.values |= {**_described(offer), "how": options.how.value}
    merge = offer.merge
    if merge.is_done or is_taken_into(repository, plan_id, merge.tip, merge.target.head):
        return _nothing_to_do(offer, document)
    _show(repository, offer)
    changes_files = require_mergeable(repository, offer.merge)
    if options.how is How.SQUASH and not changes_files:
        return _nothing_to_do(offer, document)
    if not options.unverified:
        _require_verdict(repository, offer)
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


def _offer(repository: Repository, plan_id: str) -> _Offer:
    branch = BRANCH_PREFIX + plan_id
    tip = ref_value(repository, f"refs/heads/{branch}")
    if tip is None:
        raise _no_branch(repository, plan_id)
    target = find_target(repository)
    if target.branch == branch:
        raise GitError(
            f"{target.root}: {branch} itself is checked out", "type: git switch <the branch to merge into>"
        )
    merge = prepare_merge(repository, target, tip)
    run = next(reversed(list_runs(repository.root, plan_id)), None)
    counts = line_counts(repository, merge.base, tip)
    unusual = unusual_changes(repository, changed_files(repository, merge.base, tip), counts)
    return _Offer(plan_id, run, read_record(run) if run else {}, merge, tuple(counts), unusual)


def _no_branch(repository: Repository, plan_id: str) -> GitError:
    branch = BRANCH_PREFIX + plan_id
    there = branch_in_worktree(repository, plan_id)
    if there is None or there == branch:
        return GitError(
            f"there is no branch {branch}", f"to carry out the plan, type: lw_coder code {plan_id}"
        )
    name = quoted(there)
    return GitError(
        f"there is no branch {branch}; the plan's worktree is on {printable(there)}",
        f"if you renamed the branch, type: git branch -m {name} {branch}; or merge it: git merge {name}",
    )


def _nothing_to_do(offer: _Offer, document: Document | None) -> ExitCode:
    tell(f"{offer.merge.target.branch} has all changes of {offer.branch} already.")
    return _outcome(document, "already_merged")


def _require_verdict(repository: Repository, offer: _Offer) -> None:
    if fault := _verdict_fault(offer):
        remedy = "; or ".join(
            [*_ways_to_pass(repository, offer), "look at the changes, and add --unverified"]
        )
        raise VerdictError(f"{offer.branch}: {fault}", remedy)


def _ways_to_pass(repository: Repository, offer: _Offer) -> list[str]:
    """Return what can lead to a verdict that the branch's tip passed, as far as something can."""
    verdict = offer.verdict
    if verdict and verdict.tip == offer.merge.tip and verdict.was_judged:
        return [f"to go on with the plan, type: lw_coder code {offer.plan_id}"]
    if offer.run and _can_be_verified(repository, offer.run, offer.merge.tip):
        return [f"type: lw_coder verify {offer.plan_id}"]
    return []


def _can_be_verified(repository: Repository, run: Run, tip: str) -> bool:
    """Return whether `lw_coder verify` has something to run, and runs it at the branch's tip."""
    from lw_coder.settings.config import load_config
    from lw_coder.verdicts.checks import only_plan
    from lw_coder.verdicts.subject import subject_of

    plan = None
    with suppress(PlanError):
        plan = only_plan(repository, run.plan_id)
    with suppress(LwCoderError):
        subject = subject_of(repository, run, load_config(repository.root), plan)
        return bool(subject.checks) and subject.tip == tip
    return False


def _verdict_fault(offer: _Offer) -> str | None:
    verdict = offer.verdict
    if verdict is None and offer.run is None:
        return "there is no run here, and so no verdict"
    return verdict_fault(verdict, offer.merge.tip)


def _show(repository: Repository, offer: _Offer) -> None:
    for line in _lines(offer):
        tell(line)
    if offer.run and _is_incomplete(repository, offer.run):
        warn(f"some commits of the run are not in the repository: lw_coder runs import {offer.run.identity}")
    left = _left(offer.record)
    if left:
        warn(f"{_count(left, 'uncommitted file')} of the session stayed in the plan's worktree, unmerged")


def _is_incomplete(repository: Repository, run: Run) -> bool:
    try:
        return has_pending(repository, run)
    except LwCoderError:
        return True  # its git folder is damaged


def _left(record: Mapping[str, Any]) -> int:
    """Return how many uncommitted files the session left."""
    ended = record.get("ended") or {}
    left = ended.get("uncommitted") if isinstance(ended, dict) else None
    counts = [left.get("changed"), left.get("untracked")] if isinstance(left, dict) else []
    return sum(count for count in counts if isinstance(count, int))


def _lines(offer: _Offer) -> Iterator[str]:
    merge, (added, removed) = offer.merge, offer.lines
    yield f"Branch:   {offer.branch}, {_count(merge.commits, 'commit')} that {merge.target.branch} has not"
    if offer.run:
        yield f"Run:      {offer.run.identity}"
    fault = _verdict_fault(offer)
    yield f"Verdict:  {fault}" if fault else "Verdict:  passed"
    if merge.behind:
        unseen = _count(merge.behind, "commit")
        yield f"          {merge.target.branch} also has {unseen} that the checks did not see"
    yield from _pointed_out("Look at:", "these changes can make a check pass", _changes(offer))
    yield f"Change:   {_count(len(offer.counts), 'file')}, {_count(added, 'line')} added, {removed} removed"
    for count in offer.counts[:_MOST_SHOWN]:
        numbers = "binary" if count.is_binary else f"+{count.added} -{count.removed}"
        yield f"          {numbers:>12}  {count.path}"
    if more := len(offer.counts[_MOST_SHOWN:]):
        yield f"          and {more} more: git diff --stat {merge.base[:12]} {merge.tip[:12]}"
    yield from _pointed_out("Unusual:", "look at these before you merge", offer.unusual)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _changes(offer: _Offer) -> tuple[PointedOut, ...]:
    return offer.verdict.changes if offer.verdict else ()


def _pointed_out(label: str, what: str, changes: tuple[PointedOut, ...]) -> Iterator[str]:
    if changes:
        yield f"{label:9} {what}"
    for change in changes[:_MOST_SHOWN]:
        yield f"          {change.path}: {change.what}"
    if more := len(changes[_MOST_SHOWN:]):
        yield f"          and {more} more; --json lists those that are unusual"


def _merge(repository: Repository, offer: _Offer, how: How) -> str:
    hooks = find_hooks(repository)
    if hooks.names and not hooks.are_safe:
        warn(
            f"your hooks do not run ({', '.join(hooks.names)}): they are files of the working tree, which the"
            " branch can change"
        )
    commit = make_merge(offer.merge, how, _message(repository, offer, how), hooks)
    if offer.run:
        target = offer.merge.target
        add_taken(
            offer.run, {"tip": offer.merge.tip, "commit": commit, "into": target.branch, "how": how.value}
        )
    return commit


def _message(repository: Repository, offer: _Offer, how: How) -> list[str]:
    trailer = f"Lw-Coder-Run: {offer.run.identity}" if offer.run else f"Lw-Coder-Plan: {offer.plan_id}"
    if how is not How.SQUASH:
        return [f"Merge branch '{offer.branch}'", trailer]
    merge = offer.merge
    listed = [f"- {subject}" for subject in subjects(repository, merge.base, merge.tip)]
    return [f"Carry out the plan {offer.plan_id}", "\n".join(listed), trailer]


def _report(repository: Repository, offer: _Offer, commit: str) -> None:
    branch = offer.merge.target.branch
    tell(f"Merged:   {branch} is at {commit[:12]}")
    for path in plans_with_id(repository.root, offer.plan_id)[:1]:
        status = _status(path)
        if status and status not in FINISHED:
            say(f"Plan:     its status is still {status}; to change it, edit {_from_root(repository, path)}")
    say(f"Undo:     git reset --keep {offer.merge.target.head[:12]}")
    say(f"Clean up: lw_coder drop {offer.plan_id}")


def _status(path: Path) -> str | None:
    try:
        return read_plan(path).metadata.status
    except LwCoderError:
        return None


def _from_root(repository: Repository, path: Path) -> Path:
    return path.relative_to(repository.root) if path.is_relative_to(repository.root) else path


def _described(offer: _Offer) -> dict[str, Any]:
    """Return what the document says of an offer."""
    merge, verdict, (added, removed) = offer.merge, offer.verdict, offer.lines
    told = (
        {"passed": verdict.passed, "tip": verdict.tip, "reasons": list(verdict.reasons)} if verdict else None
    )
    return {
        "plan_id": offer.plan_id,
        "branch": offer.branch,
        "into": merge.target.branch,
        "run": offer.run.identity if offer.run else None,
        "verdict": told,
        "tip": merge.tip,
        "commits": merge.commits,
        "behind": merge.behind,
        "files": len(offer.counts),
        "added": added,
        "removed": removed,
        "unusual": [{"path": printable(each.path), "what": printable(each.what)} for each in offer.unusual],
    }
