"""`lw_coder batch --dry-run`: the order, and what would start from what. Nothing is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from lw_coder.runs.run_folders import list_runs, read_record
from tests.support.batch_plans import BatchPlans, batch_plans


@pytest.fixture
def plans(tmp_path: Path) -> BatchPlans:
    return batch_plans(tmp_path / "repo")


def diamond(plans: BatchPlans) -> None:
    plans.plan("z-base")
    plans.plan("left", "z-base")
    plans.plan("right", "z-base")
    plans.plan("a-top", "left", "right")


def test_the_order_of_a_diamond(plans: BatchPlans) -> None:
    diamond(plans)
    plans.plan("a-draft", status="draft")
    before = sorted(plans.root.rglob("*"))
    done = plans.types("batch", "--dry-run", "--jobs", "3")
    assert (done.returncode, done.stderr) == (0, "Jobs:     3 plans at a time\n")
    head = plans.made.head()[:12]
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["plan", "state", "from", "why"],
        ["z-base", "would", "start", head, "-"],
        ["left", "would", "start", "after", "z-base", "-"],
        ["right", "would", "start", "after", "z-base", "-"],
        ["a-top", "would", "start", "after", "left,", "right", "-"],
    ]
    assert sorted(plans.root.rglob("*")) == before
    assert "cores, " in plans.types("batch", "--dry-run").stderr


def test_what_passed_is_kept_as_long_as_nothing_has_changed(plans: BatchPlans) -> None:
    diamond(plans)
    for name in ("z-base", "left"):
        plans.finish(name, {name: "x"})
    plans.finish("right", {"right": "x"}, passed=False)
    seen = plans.foreseen()
    assert {name: plan["state"] for name, plan in seen.items()} == {
        "z-base": "kept",
        "left": "kept",
        "right": "waiting",
        "a-top": "waiting",
    }
    assert seen["left"]["run"] == list_runs(plans.root, "left")[0].identity
    assert seen["right"]["starts_from"] == {"z-base": seen["z-base"]["tip"]}
    plans.plan("left", "z-base", status="ready", notes="for people")
    assert plans.foreseen()["left"]["state"] == "kept"
    for changed in ({"body": "# Do more\n"}, {"evaluation_notes": "[fast]"}, {"checks": "[pytest]"}):
        plans.plan("left", "z-base", **changed)
        assert plans.foreseen("left")["left"]["state"] == "waiting", changed
    plans.plan("left", "z-base")
    assert plans.foreseen("left")["left"]["state"] == "kept"
    plans.finish("z-base", {"z-base": "y"})
    moved = plans.foreseen("left")["left"]
    assert moved["state"] == "blocked"
    assert "branch lw/task/left has not the commits that z-base have now" in moved["reason"]


def test_what_was_merged_is_kept_without_its_branch(plans: BatchPlans) -> None:
    plans.plan("first")
    plans.plan("next", "first")
    for name in ("first", "next"):
        plans.finish(name, {name: "x"})
    plans.made.run("merge", "--quiet", "--squash", "lw/task/next")
    plans.made.run("commit", "--quiet", "-m", "Take both")
    for name in ("first", "next"):
        plans.made.run("branch", "-D", f"lw/task/{name}")
    assert {plan["state"] for plan in plans.foreseen().values()} == {"waiting"}
    for name in ("first", "next"):
        (run,) = list_runs(plans.root, name)
        tip = read_record(run)["verdict"]["tip"]
        plans.change_record(run, taken={"tip": tip, "commit": plans.made.head()})
    assert {plan["state"] for plan in plans.foreseen().values()} == {"kept"}
    plans.plan("next", "first", body="# Do more\n")
    seen = plans.foreseen()["next"]
    assert (seen["state"], seen["base"]) == ("waiting", plans.made.head())


def test_a_session_that_did_not_end_well_is_not_kept(plans: BatchPlans) -> None:
    plans.plan("cut-off")
    plans.finish("cut-off", {"a": "1"})
    (run,) = list_runs(plans.root, "cut-off")
    plans.change_record(run, ended={"outcome": "limit"})
    assert plans.foreseen()["cut-off"]["state"] == "waiting"


def test_what_blocks_plans(plans: BatchPlans) -> None:
    for name in ("one", "two"):
        plans.plan(name)
        plans.finish(name, {"same.txt": name})
    plans.plan("both", "one", "two")
    plans.plan("behind", "both")
    plans.plan("draft-plan", status="draft")
    plans.plan("needs-draft", "draft-plan")
    seen = plans.foreseen()
    assert {plan["state"] for plan in seen.values()} == {"kept", "blocked"}
    assert "one and two conflict: same.txt; " in seen["both"]["reason"]
    assert seen["behind"]["reason"] == "depends on both, which is blocked"
    assert "draft-plan: was not carried out; type: lw_coder code draft-plan" in seen["needs-draft"]["reason"]
    listed = plans.types("plans").stdout
    assert "no: .lw_coder/tasks/both.md: depends_on: one and two conflict: same.txt" in listed


def test_what_is_refused_before_anything_starts(plans: BatchPlans) -> None:
    plans.plan("one", "two")
    plans.plan("two", "one")
    done = plans.types("batch")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("the plans depend on each other in a circle: ") == 2
    plans.plan("two", status="done")
    for words, said in (
        (("two",), "status: is done; to carry it out all the same, change its status to ready"),
        (("nothing",), "no such file, and no plan with that id"),
        (("one", "--max-cost", "1"), "--max-cost: only the model gateway can count costs"),
    ):
        done = plans.types("batch", *words)
        assert (done.returncode, done.stdout) == (1, "")
        assert said in done.stderr
    assert not (plans.root / ".lw_coder/batches").exists()


def test_nothing_to_do(plans: BatchPlans) -> None:
    plans.plan("a-draft", status="draft")
    done = plans.types("batch")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "There is no plan with status: ready in .lw_coder/tasks.\n"
    assert plans.foreseen() == {}
