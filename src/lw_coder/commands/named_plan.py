"""The plan that a command's argument names, as far as it still exists: a branch or a run is enough."""

from __future__ import annotations

from lw_coder.foundation.errors import PlanError
from lw_coder.plans.find_plan import find_plan, plan_id_of
from lw_coder.plans.plan_rules import is_plan_id
from lw_coder.plans.problems import shown_path
from lw_coder.repository.git import Repository, ref_value
from lw_coder.repository.worktrees import BRANCH_PREFIX, WORKTREES_FOLDER
from lw_coder.runs.run_folders import list_runs


def named_plan_id(repository: Repository, name: str) -> str:
    """Return the id of a plan, given by its id or by what `find_plan` finds.

    Raises:
        PlanError: there is no such plan, and nothing of it.
    """
    if is_plan_id(name) and _has_traces(repository, name):
        return name
    path = find_plan(repository.root, name)
    plan_id = plan_id_of(path)
    if plan_id is None or not is_plan_id(plan_id):
        raise PlanError(
            f"{shown_path(path)}: has no plan_id", f"type: lw_coder plans check {shown_path(path)}"
        )
    return plan_id


def _has_traces(repository: Repository, plan_id: str) -> bool:
    if (repository.home / WORKTREES_FOLDER / plan_id).is_dir() or list_runs(repository.home, plan_id):
        return True
    return ref_value(repository, f"refs/heads/{BRANCH_PREFIX}{plan_id}") is not None
