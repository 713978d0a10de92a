"""Which plans name the same files is told before anything starts."""

from __future__ import annotations

from pathlib import Path

from tests.support.batch_plans import batch_plans
from tests.support.json_schemas import validated

SAME = "# Do it\n\nChange `README.md`.\n"


def test_plans_that_name_the_same_file_are_told_of(tmp_path: Path) -> None:
    plans = batch_plans(tmp_path / "repository")
    plans.plan("one", body=SAME)
    plans.plan("two", body=SAME)
    plans.plan("between", "one")
    plans.plan("last", "between", body=SAME)
    plans.plan("other", body="# Do it\n\n## Out of scope\n\nAny change of `README.md`.\n")
    done = plans.types("batch", "--dry-run", "--json")
    found = validated("batch", done.stdout)["overlaps"]
    assert {frozenset((each["first"], each["second"])) for each in found} == {
        frozenset(("one", "two")),
        frozenset(("two", "last")),
    }, "the last one sees what the first one has changed"
    assert all(each["files"] == ["README.md"] for each in found)
    told = plans.types("batch", "--dry-run").stderr
    assert "Overlap:  one and two both name README.md\n" in told
