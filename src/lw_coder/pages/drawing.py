"""Where the boxes and arrows of a drawing stand that shows which plan starts from which."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from msgspec import Struct

_MOST_BOXES = 200
_WIDTH, _HEIGHT = 180, 34  # of a box, in pixels, as all numbers here
_ACROSS, _DOWN = 56, 14  # between boxes
_MARGIN = 4
_LONGEST = 22  # characters in a box
_BEND = 28


class Box(Struct, frozen=True):
    """A plan.

    Attributes:
        name: its id.
        label: what fits into the box.
        x: its left edge.
        y: its upper edge.
    """

    name: str
    label: str
    x: int
    y: int


class Drawing(Struct, frozen=True):
    """A drawing, with plans from left to right: each right of those that it starts from.

    Attributes:
        boxes: the plans that start from others, and those others.
        arrows: the lines between them, as SVG has them.
        heads: the ends of the lines.
        alone: the plans that are not drawn, because they have nothing to do with others.
        width: of the whole.
        height: likewise.
        box: width and height of a box.
    """

    boxes: tuple[Box, ...]
    arrows: tuple[str, ...]
    heads: tuple[str, ...]
    alone: tuple[str, ...]
    width: int
    height: int
    box: tuple[int, int] = (_WIDTH, _HEIGHT)


def draw(depends_on: Mapping[str, Sequence[str]]) -> Drawing | None:
    """Return a drawing; None if no plan starts from another, or there are too many.

    Args:
        depends_on: the plans that each plan starts from. Others than the keys are left out.
    """
    known = {name: [each for each in others if each in depends_on] for name, others in depends_on.items()}
    linked = {name for name, others in known.items() for name in ([name, *others] if others else [])}
    if not linked or len(linked) > _MOST_BOXES:
        return None
    try:
        order = list(
            TopologicalSorter({name: known[name] for name in known if name in linked}).static_order()
        )
    except CycleError:
        return None
    places = _places(order, known)
    boxes = tuple(Box(name, _label(name), *places[name]) for name in order)
    lines = [(places[other], places[name]) for name in order for other in known[name]]
    return Drawing(
        boxes,
        tuple(_arrow(start, end) for start, end in lines),
        tuple(_head(end) for end in dict.fromkeys(end for _, end in lines)),
        tuple(name for name in known if name not in linked),
        max(box.x for box in boxes) + _WIDTH + _MARGIN,
        max(box.y for box in boxes) + _HEIGHT + _MARGIN,
    )


def _places(order: Sequence[str], known: Mapping[str, Sequence[str]]) -> dict[str, tuple[int, int]]:
    """Give each plan the column behind those that it starts from, and a row near theirs."""
    columns, rows = dict[str, int](), dict[str, int]()
    by_column = defaultdict[int, list[str]](list)
    for name in order:
        columns[name] = max((columns[other] + 1 for other in known[name]), default=0)
        by_column[columns[name]].append(name)
    for column in sorted(by_column):
        wanted = sorted(by_column[column], key=lambda name: _wish(name, known, rows))
        rows |= {name: row for row, name in enumerate(wanted)}
    return {
        name: (
            _MARGIN + columns[name] * (_WIDTH + _ACROSS),
            _MARGIN + rows[name] * (_HEIGHT + _DOWN),
        )
        for name in order
    }


def _wish(name: str, known: Mapping[str, Sequence[str]], rows: Mapping[str, int]) -> float:
    others = known[name]
    return sum(rows[other] for other in others) / len(others) if others else 0.0


def _label(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 3]}..."


def _arrow(start: tuple[int, int], end: tuple[int, int]) -> str:
    x, y, to_x, to_y = start[0] + _WIDTH, start[1] + _HEIGHT // 2, end[0] - 7, end[1] + _HEIGHT // 2
    return f"M{x} {y}C{x + _BEND} {y} {to_x - _BEND} {to_y} {to_x} {to_y}"


def _head(end: tuple[int, int]) -> str:
    x, y = end[0], end[1] + _HEIGHT // 2
    return f"M{x} {y}l-8 -4v8z"
