"""The drawing of a batch: each plan right of those that it starts from, and no two in one place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from lw_coder.pages.drawing import Drawing, draw

DIAMOND = {"top": [], "left": ["top"], "right": ["top"], "low": ["left", "right"], "alone": []}


def drawn(depends_on: Mapping[str, Sequence[str]]) -> Drawing:
    found = draw(depends_on)
    assert found
    return found


def test_a_diamond() -> None:
    found = drawn(DIAMOND)
    places = {box.name: (box.x, box.y) for box in found.boxes}
    assert places["top"][0] < places["left"][0] == places["right"][0] < places["low"][0]
    assert places["left"][1] != places["right"][1]
    assert len(found.arrows) == 4
    assert found.alone == ("alone",)


def test_nothing_is_drawn_of_plans_by_themselves() -> None:
    assert draw({"one": [], "two": ["no plan of the batch"]}) is None
    assert draw({}) is None


def test_what_cannot_be_drawn_is_not() -> None:
    assert draw({"one": ["two"], "two": ["one"]}) is None
    assert draw({f"plan-{number}": [f"plan-{number - 1}"] for number in range(500)}) is None


def test_a_long_name_is_cut() -> None:
    long = "a-plan-with-a-very-long-name-indeed"
    labels = [box.label for box in drawn({long: ["short"], "short": []}).boxes]
    assert labels == ["short", "a-plan-with-a-very-..."]


@given(st.lists(st.sets(st.integers(0, 30), max_size=4), min_size=1, max_size=30))
def test_any_order(before: list[set[int]]) -> None:
    graph = {
        str(number): [str(each) for each in sorted(on) if each < number] for number, on in enumerate(before)
    }
    found = draw(graph)
    if found is None:
        assert not any(graph.values())
        return
    places = {box.name: (box.x, box.y) for box in found.boxes}
    assert len(set(places.values())) == len(places)
    assert set(places) | set(found.alone) == set(graph)
    for name, others in graph.items():
        assert all(places[other][0] + found.box[0] < places[name][0] for other in others)
    assert all(x >= 0 and x + found.box[0] <= found.width for x, _ in places.values())
    assert all(y >= 0 and y + found.box[1] <= found.height for _, y in places.values())
