"""What the plans of a batch share: files that they name, and whether their finished branches merge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from lw_coder.batches.states import Batch
from lw_coder.foundation.report import Cell, printable, say, show, show_table
from lw_coder.plans.named_files import Overlap, find_overlaps
from lw_coder.plans.plan_file import PlanFile
from lw_coder.repository.git import Repository
from lw_coder.repository.tree_merges import Pair, merge_pairs

_MOST_FILES = 5  # of a pair that are shown
_MOST_SHOWN = 20  # overlaps


def shared_files(repository: Repository, plans: Mapping[str, PlanFile]) -> tuple[Overlap, ...]:
    """Return which plans name the same files, apart from those that see each other's changes.

    Raises:
        GitError: git failed.
    """
    before = {plan_id: set(_before(plan_id, plans)) for plan_id in plans}
    return tuple(
        find_overlaps(
            repository,
            list(plans.values()),
            lambda first, second: first in before[second] or second in before[first],
        )
    )


def _before(plan_id: str, plans: Mapping[str, PlanFile]) -> Iterator[str]:
    """Yield all that a plan depends on, also through others; ids can come more than once."""
    seen, waiting = {plan_id}, [plan_id]
    while waiting:
        plan = plans.get(waiting.pop())
        for other in plan.depends_on if plan else ():
            yield other
            if other not in seen:
                seen.add(other)
                waiting.append(other)


def tell_shared_files(overlaps: Sequence[Overlap]) -> None:
    """Say which plans name the same files: both may change them."""
    for each in overlaps[:_MOST_SHOWN]:
        say(f"Overlap:  {each.first} and {each.second} both name {_listed(each.files, len(each.files))}")
    if more := len(overlaps[_MOST_SHOWN:]):
        say(f"          and {more} more pairs of plans name the same files")


def finished_pairs(repository: Repository, batch: Batch) -> tuple[Pair, ...]:
    """Return which branches merge with which, of the plans that have ended and have commits."""
    tips = {
        plan.plan_id: plan.tip
        for plan in batch.plans
        if plan.state.is_final and plan.tip and plan.tip != plan.base
    }
    return tuple(merge_pairs(repository, tips))


def show_pairs(pairs: Sequence[Pair]) -> None:
    """Print the pairs that do not merge, as a table on standard output, and how many do."""
    apart = [pair for pair in pairs if not pair.merges]
    if apart:
        show_table(("branch", "and", "merge", "files"), [_cells(pair) for pair in apart])
    if pairs:
        show(f"{len(pairs) - len(apart)} of {len(pairs)} pairs of finished branches merge without a conflict")


def _cells(pair: Pair) -> list[Cell]:
    told = Cell("not known", "open") if pair.merges is None else Cell("conflict", "bad")
    return [Cell(pair.first), Cell(pair.second), told, Cell(_listed(pair.files, pair.count) or "-")]


def _listed(files: Sequence[str], count: int) -> str:
    shown = [printable(file) for file in files[:_MOST_FILES]]
    return ", ".join([*shown, *([f"and {count - len(shown)} more"] if count > len(shown) else [])])
