"""The order in which the results of plans are merged: what a plan depends on comes before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

from lw_coder.plans.dependencies import listed_dependencies
from lw_coder.plans.find_plan import plans_with_id


def take_order(root: Path, plan_ids: Sequence[str]) -> list[str]:
    """Sort plans so that each comes after those that it depends on, also through others; each once.

    Otherwise the given order is kept. A plan whose file no longer exists depends on none; plans that depend
    on each other are in some order.

    Args:
        root: the repository's root.
        plan_ids: the plans.
    """

    @cache
    def depends_on(plan_id: str) -> tuple[str, ...]:
        return tuple(found for path in plans_with_id(root, plan_id) for found in listed_dependencies(path))

    wanted, ordered = set(plan_ids), dict[str, None]()
    for plan_id in plan_ids:
        ordered |= dict.fromkeys(each for each in _before(plan_id, depends_on) if each in wanted)
    return list(ordered)


def _before(plan_id: str, depends_on: Callable[[str], Sequence[str]]) -> Iterator[str]:
    """Yield all that a plan depends on, each after what it depends on itself, and the plan at last."""
    seen, waiting = {plan_id}, [(plan_id, iter(depends_on(plan_id)))]
    while waiting:
        current, others = waiting[-1]
        following = next((other for other in others if other not in seen), None)
        if following is None:
            yield current
            waiting.pop()
        else:
            seen.add(following)
            waiting.append((following, iter(depends_on(following))))
