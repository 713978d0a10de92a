"""The order that `depends_on` asks for: which plans there must be, and no circle of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from lw_coder.plans.front_matter import parse
from lw_coder.plans.plan_file import ReadPlan, read_text
from lw_coder.plans.problems import Problem

DependsOn = Callable[[str], Sequence[str] | None]


def dependency_problems(
    plan: ReadPlan, depends_on: DependsOn, known: Callable[[], Iterable[str]]
) -> list[Problem]:
    """Return what is wrong with the plans that a plan depends on.

    Args:
        plan: the plan as it was read.
        depends_on: returns what another plan depends on, or None if there is no such plan.
        known: returns the ids of all plans.
    """
    own = plan.texts("depends_on")
    line = plan.line("depends_on")
    unknown = [plan_id for plan_id in own if plan_id != plan.value("plan_id") and depends_on(plan_id) is None]
    if unknown:
        return [_unknown(plan_id, known(), line, own.index(plan_id) + 1) for plan_id in unknown]
    circle = find_circle(_reachable(plan.value("plan_id") or "", own, depends_on)) if own else None
    return [_circular(circle, line)] if circle else []


def find_circle(graph: Mapping[str, Sequence[str]]) -> list[str] | None:
    """Return plans each of which depends on the next, the first one again at the end; None if there are none.

    Args:
        graph: what each plan depends on.
    """
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found[::-1]  # graphlib has each before what needs it
    return None


def listed_dependencies(path: Path) -> tuple[str, ...]:
    """Return the ids that a plan's file depends on, as far as they can be read."""
    text = read_text(path)
    if isinstance(text, Problem) or "depends_on" not in text:
        return ()
    return ReadPlan(path, text, parse(text), (), None).texts("depends_on")


def _reachable(plan_id: str, own: Sequence[str], depends_on: DependsOn) -> dict[str, Sequence[str]]:
    graph: dict[str, Sequence[str]] = {plan_id: own}
    waiting = list(own)
    while waiting:
        one = waiting.pop()
        if one not in graph:
            graph[one] = depends_on(one) or ()
            waiting += graph[one]
    return graph


def _unknown(plan_id: str, known: Iterable[str], line: int | None, item: int) -> Problem:
    from lw_coder.foundation.known_names import did_you_mean, listed

    ids = sorted(known)
    there_are = f"there are: {listed(ids)}" if ids else "there are no others"
    remedy = f"{did_you_mean(plan_id, ids)} {there_are}".strip()
    return Problem(f"there is no plan {plan_id!r}", remedy, line, "depends_on", item)


def _circular(circle: Sequence[str], line: int | None) -> Problem:
    problem = f"the plans depend on each other in a circle: {' -> '.join(circle)}"
    return Problem(problem, "remove one of them from the depends_on of the one before it", line, "depends_on")
