"""Whether a plan's branch was merged: by git, or by `lw_coder take`, also as one commit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from lw_coder.foundation.errors import GitError, PlanError, RunError
from lw_coder.plans.find_plan import plans_with_id
from lw_coder.plans.plan_file import read_plan
from lw_coder.repository.git import Repository, is_ancestor
from lw_coder.repository.log import count_unmerged, is_on_a_branch
from lw_coder.runs.run_folders import list_runs, read_record


def is_taken(repository: Repository, plan_id: str, tip: str) -> bool:
    """Return whether the changes of a plan's branch, up to a commit, were merged into one that still is."""
    return any(is_on_a_branch(repository, commit) for commit in _commits(repository, plan_id, tip))


def is_taken_into(repository: Repository, plan_id: str, tip: str, head: str) -> bool:
    """Return whether `take` merged a plan's branch, up to a tip, into the history of a head."""
    for commit in _commits(repository, plan_id, tip):
        with suppress(GitError):  # it was undone, and removed by git
            if is_ancestor(repository, commit, head):
                return True
    return False


def is_merged(repository: Repository, plan_id: str, tip: str) -> bool | None:
    """Return whether a plan's branch has commits of its own, and the user's branches have their changes.

    None: the user's branches have all of its commits, and nothing tells whether any is its own.
    """
    if is_taken(repository, plan_id, tip):
        return True
    if count_unmerged(repository, tip):
        return False
    started = _recorded_starts(repository.home, plan_id)
    return tip not in started if started else _is_ahead_of_plan(repository, plan_id, tip)


def _recorded_starts(root: Path, plan_id: str) -> set[str]:
    """Return the commits that a plan's runs started from, as far as their records can be read."""
    found = set()
    for run in list_runs(root, plan_id):
        with suppress(RunError):
            found.add(str((read_record(run).get("plan") or {}).get("git_sha") or ""))
    return found - {""}


def _is_ahead_of_plan(repository: Repository, plan_id: str, tip: str) -> bool | None:
    """Return whether a branch has commits after its plan's git_sha; None if that is no help."""
    for path in plans_with_id(repository.root, plan_id)[:1]:
        with suppress(PlanError, GitError):  # the plan is not valid, or its commit is not there
            start = read_plan(path).metadata.git_sha
            if is_ancestor(repository, start, tip):
                return start != tip
    return None


def _commits(repository: Repository, plan_id: str, tip: str) -> Iterator[str]:
    for run in list_runs(repository.home, plan_id):
        try:
            taken = read_record(run).get("taken")
        except RunError:
            continue
        if isinstance(taken, dict) and taken.get("tip") == tip != taken.get("commit"):  # no fast-forward
            yield str(taken.get("commit"))
