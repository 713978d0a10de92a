"""What a plan depends on comes before it."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

from lw_coder.plans.take_order import take_order
from tests.support.plan_files import text, written


def plan(root: Path, plan_id: str, *on: str) -> None:
    content = text(plan_id=plan_id, depends_on=f"[{', '.join(on)}]" if on else None)
    written(root / ".lw_coder/tasks", content, f"{plan_id}.md")


def test_each_order_of_a_diamond(tmp_path: Path) -> None:
    for plan_id, on in (("top", ()), ("left", ("top",)), ("right", ("top",)), ("low", ("right", "left"))):
        plan(tmp_path, plan_id, *on)
    for given in permutations(("top", "left", "right", "low")):
        found = take_order(tmp_path, given)
        assert sorted(found) == sorted(given)
        assert found[0] == "top"
        assert found[-1] == "low"


def test_what_is_not_named_counts_too(tmp_path: Path) -> None:
    plan(tmp_path, "first")
    plan(tmp_path, "between", "first")
    plan(tmp_path, "last", "between")
    assert take_order(tmp_path, ["last", "first"]) == ["first", "last"]
    assert take_order(tmp_path, ["last", "between", "last"]) == ["between", "last"]


def test_the_given_order_is_kept_otherwise(tmp_path: Path) -> None:
    for plan_id in ("one", "two", "three"):
        plan(tmp_path, plan_id)
    assert take_order(tmp_path, ["two", "gone", "three", "one"]) == ["two", "gone", "three", "one"]


def test_a_circle_ends(tmp_path: Path) -> None:
    plan(tmp_path, "one", "two")
    plan(tmp_path, "two", "one", "two")
    assert sorted(take_order(tmp_path, ["two", "one"])) == ["one", "two"]


def test_a_long_chain(tmp_path: Path) -> None:
    many = [f"plan-{number}" for number in range(40)]
    for plan_id, before in zip(many, ["", *many], strict=False):
        plan(tmp_path, plan_id, *([before] if before else []))
    assert take_order(tmp_path, list(reversed(many[-3:]))) == many[-3:]
