"""The order of a batch: which plans can start, and which never will."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from graphlib import TopologicalSorter

from lw_coder.batches.states import Batch, PlanState, State
from lw_coder.plans.plan_file import PlanFile


def ordered(plans: Sequence[PlanFile]) -> list[PlanFile]:
    """Sort plans so that each comes after those that it depends on, otherwise as they are given.

    `load_plan` and `check_plans` refuse plans that depend on each other in a circle.
    """
    named = {plan.metadata.plan_id: plan for plan in plans}
    graph = {plan_id: [one for one in plan.depends_on if one in named] for plan_id, plan in named.items()}
    return [named[plan_id] for plan_id in TopologicalSorter(graph).static_order()]


def ready(batch: Batch) -> list[PlanState]:
    """Return the plans that wait for nothing but a free place."""
    states = {plan.plan_id: plan.state for plan in batch.plans}
    return [
        plan
        for plan in batch.in_state(State.WAITING)
        if all(states.get(one, State.PASSED).has_passed for one in plan.depends_on)
    ]


def blocked(batch: Batch) -> Iterator[tuple[PlanState, str]]:
    """Yield the plans that wait for one that did not pass, and why."""
    states = {plan.plan_id: plan.state for plan in batch.plans}
    for plan in batch.in_state(State.WAITING):
        for one in plan.depends_on:
            state = states.get(one, State.PASSED)
            if state.is_final and not state.has_passed:
                yield plan, f"depends on {one}, which is {state}"
                break
