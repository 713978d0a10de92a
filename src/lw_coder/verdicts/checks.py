"""Which checks a run has. They come from the user's main worktree, never from the agent's branch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from lw_coder.foundation.errors import PlanError
from lw_coder.foundation.report import warn
from lw_coder.plans.find_plan import plans_with_id
from lw_coder.plans.plan_file import PlanFile, read_plan
from lw_coder.repository.git import Repository


class Check(Struct, frozen=True):
    """A command that must succeed over the result.

    Attributes:
        command: what a shell runs.
        source: where it is configured.
    """

    command: str
    source: Literal["config", "plan"]


def configured_checks(config: Iterable[str], plan: Iterable[str]) -> tuple[Check, ...]:
    """Join the checks of config.toml and those of the plan, each command once."""
    checks = {command: Check(command, "config") for command in config}
    for command in plan:
        checks.setdefault(command, Check(command, "plan"))
    return tuple(checks.values())


def current_plan(repository: Repository, plan_id: str) -> PlanFile | None:
    """Read a run's plan as it is now in the tasks folder; None, with a warning, if that is impossible."""
    try:
        return only_plan(repository, plan_id)
    except PlanError as error:
        warn(f"{error.message}; the plan's checks are those that it had when the run began")
        return None


def only_plan(repository: Repository, plan_id: str) -> PlanFile:
    """Read the plan with an id in the tasks folder.

    Raises:
        PlanError: there is none, or more than one, or it is not valid.
    """
    found = plans_with_id(repository.root, plan_id)
    if len(found) != 1:
        problem = f"{'more than one plan has' if found else 'no plan has'} this id now"
        raise PlanError(f"{plan_id}: {problem}", "type: lw_coder plans")
    return read_plan(found[0])
