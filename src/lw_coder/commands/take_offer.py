"""What `lw_coder take` would merge: a plan's branch with its run and its verdict, and how that is shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import Struct

from lw_coder.foundation.counting import counted
from lw_coder.foundation.errors import GitError, LwCoderError, PlanError, VerdictError
from lw_coder.foundation.report import printable, say, tell, warn
from lw_coder.plans.find_plan import plans_with_id
from lw_coder.plans.plan_file import read_plan
from lw_coder.plans.plan_rules import FINISHED
from lw_coder.repository.changed_files import LineCount, changed_files, line_counts
from lw_coder.repository.git import Repository, ref_value
from lw_coder.repository.incomplete_worktrees import quoted
from lw_coder.repository.log import subjects
from lw_coder.repository.merging import Hooks, How, Merge, Target, find_hooks, prepare_merge
from lw_coder.repository.worktrees import BRANCH_PREFIX, branch_in_worktree
from lw_coder.runs.pending import has_pending
from lw_coder.runs.run_folders import Run, newest_record
from lw_coder.runs.run_record import add_taken
from lw_coder.runs.taken import is_taken_into
from lw_coder.verdicts.pointed_out import PointedOut
from lw_coder.verdicts.recorded import RecordedVerdict, recorded_verdict, verdict_fault
from lw_coder.verdicts.unusual import unusual_changes

_MOST_SHOWN = 20  # files, or changes that are pointed out


class Offer(Struct, frozen=True):
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


def find_offer(repository: Repository, target: Target, plan_id: str) -> Offer:
    """Find what there is to merge of a plan.

    Raises:
        GitError: the plan has no branch, it is checked out itself, or the two have no commit in common.
        RunError: the record of its newest run is damaged.
    """
    branch = BRANCH_PREFIX + plan_id
    tip = ref_value(repository, f"refs/heads/{branch}")
    if tip is None:
        raise _no_branch(repository, plan_id)
    if target.branch == branch:
        raise GitError(
            f"{target.root}: {branch} itself is checked out", "type: git switch <the branch to merge into>"
        )
    merge = prepare_merge(repository, target, tip)
    run, record = newest_record(repository.home, plan_id) or (None, {})
    counts = line_counts(repository, merge.base, tip)
    unusual = unusual_changes(repository, changed_files(repository, merge.base, tip), counts)
    return Offer(plan_id, run, record, merge, tuple(counts), unusual)


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


def is_merged(repository: Repository, offer: Offer) -> bool:
    """Return whether the target has all of the branch already."""
    merge = offer.merge
    return merge.is_done or is_taken_into(repository, offer.plan_id, merge.tip, merge.target.head)


def require_verdict(repository: Repository, offer: Offer) -> None:
    """Check that there is a verdict that the branch's tip passed.

    Raises:
        VerdictError: there is none.
    """
    if fault := _fault(offer):
        remedy = "; or ".join(
            [*_ways_to_pass(repository, offer), "look at the changes, and add --unverified"]
        )
        raise VerdictError(f"{offer.branch}: {fault}", remedy)


def _ways_to_pass(repository: Repository, offer: Offer) -> list[str]:
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


def _fault(offer: Offer) -> str | None:
    """Return why a branch has no verdict that it passed; None if it has one."""
    if offer.verdict is None and offer.run is None:
        return "there is no run here, and so no verdict"
    return verdict_fault(offer.verdict, offer.merge.tip)


def show_offer(repository: Repository, offer: Offer) -> None:
    """Show what a person should know before the merge."""
    for line in _lines(offer):
        tell(line)
    if offer.run and _is_incomplete(repository, offer.run):
        warn(f"some commits of the run are not in the repository: lw_coder runs import {offer.run.identity}")
    left = _left(offer.record)
    if left:
        warn(f"{counted(left, 'uncommitted file')} of the session stayed in the plan's worktree, unmerged")


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


def _lines(offer: Offer) -> Iterator[str]:
    merge, (added, removed) = offer.merge, offer.lines
    yield f"Branch:   {offer.branch}, {counted(merge.commits, 'commit')} that {merge.target.branch} has not"
    if offer.run:
        yield f"Run:      {offer.run.identity}"
    fault = _fault(offer)
    yield f"Verdict:  {fault}" if fault else "Verdict:  passed"
    if merge.behind:
        unseen = counted(merge.behind, "commit")
        yield f"          {merge.target.branch} also has {unseen} that the checks did not see"
    yield from _pointed_out("Look at:", "these changes can make a check pass", _changes(offer))
    yield f"Change:   {counted(len(offer.counts), 'file')}, {counted(added, 'line')} added, {removed} removed"
    for count in offer.counts[:_MOST_SHOWN]:
        numbers = "binary" if count.is_binary else f"+{count.added} -{count.removed}"
        yield f"          {numbers:>12}  {count.path}"
    if more := len(offer.counts[_MOST_SHOWN:]):
        yield f"          and {more} more: git diff --stat {merge.base[:12]} {merge.tip[:12]}"
    yield from _pointed_out("Unusual:", "look at these before you merge", offer.unusual)


def _changes(offer: Offer) -> tuple[PointedOut, ...]:
    return offer.verdict.changes if offer.verdict else ()


def _pointed_out(label: str, what: str, changes: tuple[PointedOut, ...]) -> Iterator[str]:
    if changes:
        yield f"{label:9} {what}"
    for change in changes[:_MOST_SHOWN]:
        yield f"          {change.path}: {change.what}"
    if more := len(changes[_MOST_SHOWN:]):
        yield f"          and {more} more; --json lists those that are unusual"


def usable_hooks(repository: Repository) -> Hooks:
    """Find the person's hooks, and say so if they do not run."""
    hooks = find_hooks(repository)
    if hooks.names and not hooks.are_safe:
        warn(
            f"your hooks do not run ({', '.join(hooks.names)}): they are files of the working tree, which the"
            " branch can change"
        )
    return hooks


def record_taken(offer: Offer, commit: str, how: How) -> None:
    """Record in the run which commit has its changes."""
    if offer.run:
        into = offer.merge.target.branch
        add_taken(offer.run, {"tip": offer.merge.tip, "commit": commit, "into": into, "how": how.value})


def message_of(repository: Repository, offer: Offer, how: How, *without: str) -> list[str]:
    """Return the paragraphs of the message of a merge.

    Args:
        repository: the person's.
        offer: what is merged.
        how: the kind of merge.
        without: commits whose subjects are listed elsewhere, with those before them.
    """
    trailer = f"Lw-Coder-Run: {offer.run.identity}" if offer.run else f"Lw-Coder-Plan: {offer.plan_id}"
    if how is not How.SQUASH:
        return [f"Merge branch '{offer.branch}'", trailer]
    merge = offer.merge
    listed = [f"- {subject}" for subject in subjects(repository, merge.base, merge.tip, *without)]
    return [f"Carry out the plan {offer.plan_id}", "\n".join(listed), trailer]


def note_status(repository: Repository, plan_id: str) -> None:
    """Say so if a plan's status does not say that it is done."""
    for path in plans_with_id(repository.root, plan_id)[:1]:
        status = _status(path)
        if status and status not in FINISHED:
            say(f"Plan:     its status is still {status}; to change it, edit {_from_root(repository, path)}")


def _status(path: Path) -> str | None:
    try:
        return read_plan(path).metadata.status
    except LwCoderError:
        return None


def _from_root(repository: Repository, path: Path) -> Path:
    return repository.shown(path)


def described(offer: Offer) -> dict[str, Any]:
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
