"""What a plan starts from: its git_sha, and the tips of the plans that it depends on."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from msgspec import Struct, field
from msgspec.structs import replace

from lw_coder.foundation.errors import GitError, LwCoderError, PlanError, RunError
from lw_coder.foundation.report import printable
from lw_coder.plans.find_plan import plans_with_id
from lw_coder.plans.plan_file import PlanFile, read_plan
from lw_coder.plans.problems import shown_path
from lw_coder.repository.combined_commits import combined_commit, independent_commits
from lw_coder.repository.git import Repository, is_ancestor, missing_objects, ref_value
from lw_coder.repository.log import is_on_a_branch
from lw_coder.repository.worktrees import BRANCH_PREFIX
from lw_coder.runs.run_folders import list_runs, newest_record, read_record
from lw_coder.runs.taken import is_merged
from lw_coder.verdicts.recorded import recorded_verdict, verdict_fault


class StartingPoint(Struct, frozen=True):
    """The commit that a plan starts from, and that its checks compare with.

    Attributes:
        plan: the plan, whose git_sha is that commit.
        tips: the commit of each plan that it depends on, by the plan's id.
    """

    plan: PlanFile
    tips: Mapping[str, str] = field(default_factory=dict)

    @property
    def commit(self) -> str:
        """The full id of the commit."""
        return self.plan.metadata.git_sha


def starting_point(repository: Repository, plan: PlanFile) -> StartingPoint:
    """Find what a plan starts from; several commits are merged, and no branch and no worktree is touched.

    Raises:
        PlanError: a plan that it depends on has neither a verdict that it passed, nor was it merged.
        GitError: their results conflict, or the plan's branch started before they were as they are now.
    """
    if not plan.depends_on:
        return StartingPoint(plan)
    tips = {plan_id: tip for plan_id in plan.depends_on if (tip := _tip(repository, plan, plan_id))}
    named = {plan.metadata.git_sha: "git_sha", **{tip: plan_id for plan_id, tip in tips.items()}}
    heads = independent_commits(repository, list(named))
    commit = _known_base(repository, plan.metadata.plan_id, heads)
    if commit is None:
        commit = combined_commit(repository, {head: named[head] for head in heads}, shown_path(plan.path))
    _require_branch_from(repository, plan, commit, heads)
    return StartingPoint(replace(plan, metadata=dataclasses.replace(plan.metadata, git_sha=commit)), tips)


def _tip(repository: Repository, plan: PlanFile, plan_id: str) -> str | None:
    """Return the commit with the result of a dependency; None if a person says that it is done."""
    tip = ref_value(repository, f"refs/heads/{BRANCH_PREFIX}{plan_id}")
    if tip is None:
        return _tip_without_branch(repository, plan, plan_id)
    fault = _fault(repository, plan_id, tip)
    if fault and not is_merged(repository, plan_id, tip):
        remedy = f"type: lw_coder verify {plan_id}; or merge it: lw_coder take --unverified {plan_id}"
        raise _not_passed(plan, plan_id, fault, remedy)
    return tip


def _tip_without_branch(repository: Repository, plan: PlanFile, plan_id: str) -> str | None:
    merged = next(merged_commits(repository, plan_id), None)
    if merged is None and not _is_done(repository, plan_id):
        raise _not_passed(plan, plan_id, "was not carried out", f"type: lw_coder code {plan_id}")
    return merged


def _fault(repository: Repository, plan_id: str, tip: str) -> str | None:
    """Return why there is no verdict that a plan's result passed, or None."""
    try:
        found = newest_record(repository.home, plan_id)
        return verdict_fault(recorded_verdict(found[1]) if found else None, tip)
    except RunError as error:
        return error.message


def _not_passed(plan: PlanFile, plan_id: str, fault: str, remedy: str) -> PlanError:
    return PlanError(f"{shown_path(plan.path)}: depends_on: {plan_id}: {fault}", remedy)


def merged_commits(repository: Repository, plan_id: str) -> Iterator[str]:
    """Yield the commits with results of a plan that the person's branches have, the newest first.

    That is where `take` has merged it, or the last commit of a run.
    """
    for run in reversed(list_runs(repository.home, plan_id)):
        with suppress(RunError, GitError):
            record = read_record(run)
            taken, left = record.get("taken") or {}, (record.get("ended") or {}).get("tip")
            commit = str(taken.get("commit")) if isinstance(taken, dict) else ""
            if commit and is_on_a_branch(repository, commit):
                yield commit
            elif left and is_merged(repository, plan_id, str(left)):
                yield str(left)


def _is_done(repository: Repository, plan_id: str) -> bool:
    """Return whether a plan's status says that it is done: git_sha has its result then, or needs none."""
    with suppress(LwCoderError):
        return any(
            read_plan(path).metadata.status == "done" for path in plans_with_id(repository.root, plan_id)
        )
    return False


def _known_base(repository: Repository, plan_id: str, heads: Sequence[str]) -> str | None:
    """Return the merge of several commits that the plan's branch has already.

    Another version of git can merge in another way.
    """
    branch = ref_value(repository, f"refs/heads/{BRANCH_PREFIX}{plan_id}")
    if branch is None or len(heads) == 1:
        return None
    for run in reversed(list_runs(repository.home, plan_id)):
        with suppress(RunError):
            base = str((read_record(run).get("plan") or {}).get("git_sha"))
            if not missing_objects(repository, [base]) and is_ancestor(repository, base, branch):
                return base if all(is_ancestor(repository, head, base) for head in heads) else None
    return None


def _require_branch_from(repository: Repository, plan: PlanFile, commit: str, heads: Sequence[str]) -> None:
    """Refuse a plan whose branch has older results of its dependencies."""
    plan_id = plan.metadata.plan_id
    tip = ref_value(repository, f"refs/heads/{BRANCH_PREFIX}{plan_id}")
    if tip is None or is_ancestor(repository, commit, tip):
        return
    needed = ", ".join(plan.depends_on)
    merge = f"type: git -C .lw_coder/worktrees/{plan_id} merge {commit[:12]}; or " if len(heads) == 1 else ""
    raise GitError(
        f"{shown_path(plan.path)}: branch {BRANCH_PREFIX}{plan_id} has not the commits that"
        f" {printable(needed)} have now",
        f"{merge}to start it anew, type: lw_coder drop {plan_id}",
    )
