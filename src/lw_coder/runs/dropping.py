"""What there is of a plan, and its removal: the worktree, the branch, the runs. What git can keep is kept."""

from __future__ import annotations

from msgspec import Struct

from lw_coder.foundation.errors import RunError
from lw_coder.repository import dropped_refs
from lw_coder.repository.git import Repository, ref_value, run_git
from lw_coder.repository.log import count_unmerged
from lw_coder.repository.snapshot import Files, commit_files, list_files
from lw_coder.repository.worktrees import BRANCH_PREFIX, Removable, removable_worktree, remove_plan_worktree
from lw_coder.runs.pending import has_pending
from lw_coder.runs.run_folders import Run, list_runs, remove_abandoned, remove_run
from lw_coder.runs.scores import is_scored
from lw_coder.runs.taken import is_taken


class PlanRemains(Struct, frozen=True):
    """What there is of a plan.

    Attributes:
        plan_id: the plan.
        place: its worktree.
        files: what is not committed there.
        tip: the commit of its branch, or None if there is no branch.
        unmerged: how many commits are on none of the user's branches.
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


def examine(repository: Repository, plan_id: str, *, with_runs: bool) -> PlanRemains:
    """Find what there is of a plan, and whether it can be removed; the caller holds the plan's lock.

    Args:
        repository: the user's.
        plan_id: the plan.
        with_runs: whether its runs are to be removed.

    Raises:
        GitError: the worktree has something that could not be kept, or is in a state of the user's.
        RunError: a run has commits that are not in the repository.
    """
    place = removable_worktree(repository, plan_id)
    branch = BRANCH_PREFIX + plan_id
    tip = ref_value(repository, f"refs/heads/{branch}")
    runs = tuple(list_runs(repository.home, plan_id)) if with_runs else ()
    for run in runs:
        if has_pending(repository, run):
            raise RunError(
                f"{run.identity}: has commits that are not in the repository",
                f"type: lw_coder runs import {run.identity}",
            )
    files = list_files(repository, place.worktree) if place.worktree else Files()
    unmerged = count_unmerged(repository, tip) if tip else 0
    squashed = tip is not None and is_taken(repository, plan_id, tip)
    return PlanRemains(plan_id, place, files, tip, unmerged, squashed, runs)


def remove(repository: Repository, found: PlanRemains) -> str | None:
    """Remove what was found; return the ref that keeps commits and uncommitted files, if there are any.

    Raises:
        GitError: something could not be kept or removed. What was not kept has not been removed.
    """
    ref = _keep(repository, found)
    _remove(repository, found, ref)
    return ref


def _keep(repository: Repository, found: PlanRemains) -> str | None:
    commit = found.tip
    if found.place.worktree and found.files.are_uncommitted:
        commit = commit_files(repository, found.place.worktree)
    if commit is None or not (found.loses_branch or commit != found.tip):
        return None
    ref = dropped_refs.new_name(repository, found.plan_id)
    run_git("update-ref", ref, commit, "", place=repository.place)
    return ref


def _remove(repository: Repository, found: PlanRemains, ref: str | None) -> None:
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
    remove_abandoned(repository.home, found.plan_id)
    for run in list_runs(repository.home, found.plan_id):  # with one that only lacked its seal
        remove_run(run)
