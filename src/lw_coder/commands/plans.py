"""`lw_coder plans check`: all problems of plans, without a terminal and without Docker."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from lw_coder.foundation.counting import counted
from lw_coder.foundation.errors import ExitCode, PlanError
from lw_coder.foundation.report import printable, show, show_json, shown_if_slow, tell
from lw_coder.plans.find_plan import find_plan, plan_names
from lw_coder.plans.plan_checks import check_plans
from lw_coder.plans.plan_file import TASKS_FOLDER, ReadPlan
from lw_coder.plans.problems import Problem, shown_path
from lw_coder.repository.git import find_repository


class Checked(Struct, frozen=True):
    """The result for one plan.

    Attributes:
        file: the plan's file as messages name it, or what was typed if there is no such plan.
        plan_id: its id, if it can be read.
        status: its status, if it can be read.
        problems: what is wrong with it.
    """

    file: str
    plan_id: str | None
    status: str | None
    problems: tuple[Problem, ...]


def check_command(start: Path, names: Sequence[str], *, as_json: bool) -> ExitCode:
    """Print all problems of the plans that are named, or of all plans.

    Args:
        start: a folder in the repository.
        names: paths, ids or file names of plans; none for all in the tasks folder.
        as_json: print one JSON document instead of lines.

    Raises:
        GitError: there is no usable repository.
    """
    with shown_if_slow("Checking the plans ..."):
        checked = _check(start, names)
    if as_json:
        show_json([_row(plan) for plan in checked])
    else:
        _print(checked)
    return ExitCode.ERROR if any(plan.problems for plan in checked) else ExitCode.OK


def _check(start: Path, names: Sequence[str]) -> list[Checked]:
    repository = find_repository(start)
    tasks = repository.root / TASKS_FOLDER
    paths = [] if names else [tasks / name for name in plan_names(tasks)]
    unknown: list[Checked] = []
    for name in names:
        try:
            paths.append(find_plan(repository.root, name))
        except PlanError as error:
            problem = Problem(error.message.removeprefix(f"{printable(name)}: "), error.remedy)
            unknown.append(Checked(printable(name), None, None, (problem,)))
    plans = check_plans(repository, list(dict.fromkeys(paths)))
    return [*map(_checked, plans), *unknown]


def _checked(plan: ReadPlan) -> Checked:
    return Checked(shown_path(plan.path), plan.value("plan_id"), plan.value("status"), plan.problems)


def _row(plan: Checked) -> dict[str, Any]:
    kept = ("line", "field", "item", "problem", "remedy")
    problems = [{name: getattr(problem, name) for name in kept} for problem in plan.problems]
    return {"file": plan.file, "plan_id": plan.plan_id, "status": plan.status, "problems": problems}


def _print(checked: Sequence[Checked]) -> None:
    for plan in checked:
        for problem in plan.problems:
            show(f"{problem.described(plan.file)}; {problem.remedy}")
    tell(_summary(checked))


def _summary(checked: Sequence[Checked]) -> str:
    if not checked:
        return f"There are no plans in {TASKS_FOLDER} yet."
    plans = counted(len(checked), "plan")
    wrong = [plan for plan in checked if plan.problems]
    if not wrong:
        return f"no problems in {plans}"
    count = counted(sum(len(plan.problems) for plan in wrong), "problem")
    return f"{count} in {len(wrong)} of {plans}"
