"""Plans whose status says that nothing is left to do: ask before they are carried out again."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from lw_coder.foundation.errors import PlanError
from lw_coder.foundation.report import ask, tell
from lw_coder.plans.plan_rules import FINISHED
from lw_coder.plans.problems import shown_path

if TYPE_CHECKING:
    from lw_coder.plans.plan_file import PlanFile


def is_wanted(plan: PlanFile, *, yes: bool, can_ask: bool = True) -> bool:
    """Return whether to carry out a plan; ask if its status is done or abandoned.

    Args:
        plan: the plan.
        yes: do not ask.
        can_ask: whether there is a person to ask, if there is a terminal.

    Raises:
        PlanError: there is nobody to ask.
    """
    status = plan.metadata.status
    if yes or status not in FINISHED:
        return True
    if not (can_ask and sys.stdin.isatty() and sys.stderr.isatty()):
        reason = "there is no terminal to ask at" if can_ask else "a headless session asks nobody"
        raise PlanError(
            f"{shown_path(plan.path)}: status: is {status}, and {reason}",
            "to carry it out all the same, add --yes; or change its status to ready",
        )
    if ask(f"The status of {plan.metadata.plan_id} is {status}. Carry it out all the same?"):
        return True
    tell("Nothing was started.")
    return False
