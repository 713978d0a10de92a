"""What plans start from, in real repositories: the commits are what sessions would have left."""

from __future__ import annotations

from pathlib import Path

import pytest

from lw_coder.foundation.errors import GitError, PlanError
from lw_coder.runs.run_folders import list_runs
from tests.support.batch_plans import BatchPlans, batch_plans


@pytest.fixture
def plans(tmp_path: Path) -> BatchPlans:
    return batch_plans(tmp_path / "repo")


def test_a_plan_without_dependencies_starts_from_its_git_sha(plans: BatchPlans) -> None:
    plans.plan("alone")
    assert plans.start("alone").commit == plans.made.head()


def test_one_dependency(plans: BatchPlans) -> None:
    plans.plan("first")
    plans.plan("next", "first")
    with pytest.raises(PlanError, match="first: was not carried out") as refused:
        plans.start("next")
    assert refused.value.remedy == "type: lw_coder code first"
    plans.finish("first", {"a": "1"}, passed=False)
    with pytest.raises(PlanError, match="first: the verdict is: not passed: failed: true"):
        plans.start("next")
    tip = plans.finish("first", {"a": "2"})
    start = plans.start("next")
    assert (start.commit, start.plan.metadata.git_sha, start.tips) == (tip, tip, {"first": tip})
    # a commit that nothing has checked
    by_hand = plans.made.run("commit-tree", f"{tip}^{{tree}}", "-p", tip, "-m", "by hand")
    plans.made.run("update-ref", "refs/heads/lw/task/first", by_hand)
    with pytest.raises(PlanError, match="the verdict is on "):
        plans.start("next")


def test_several_dependencies_are_merged(plans: BatchPlans) -> None:
    plans.plan("base-plan")
    for name in ("left", "right"):
        plans.plan(name, "base-plan")
    plans.plan("top", "left", "right")
    plans.finish("base-plan", {"base": "x"})
    tips = [plans.finish(name, {name: "x"}) for name in ("left", "right")]
    before = plans.made.run("for-each-ref"), plans.made.run("status", "--porcelain")
    start = plans.start("top")
    made = plans.made
    assert made.run("log", "-1", "--format=%P", start.commit).split() == tips
    assert made.run("ls-tree", "--name-only", start.commit).split() == [
        ".gitignore",
        "README.md",
        "base",
        "left",
        "right",
    ]
    dates = made.run("log", "--no-walk", "--format=%ct %at", start.commit, *tips).splitlines()
    assert len(set(dates)) == 1, "the merge of the same commits is the same at any time"
    assert (made.run("for-each-ref"), made.run("status", "--porcelain")) == before
    made.run("fsck", "--strict", "--no-dangling", start.commit)
    # what the branch has is its base, however another git would merge
    other = made.run("commit-tree", f"{start.commit}^{{tree}}", "-p", tips[0], "-p", tips[1], "-m", "another")
    made.run("update-ref", "refs/heads/lw/task/top", other)
    with pytest.raises(GitError, match="has not the commits that left, right have now"):
        plans.start("top")


def test_a_merge_of_the_plans_own_branch_is_kept(plans: BatchPlans) -> None:
    for name in ("left", "right"):
        plans.plan(name)
        plans.finish(name, {name: "x"})
    plans.plan("top", "left", "right")
    base = plans.start("top").commit
    other = plans.made.run(
        "commit-tree", f"{base}^{{tree}}", "-p", f"{base}^1", "-p", f"{base}^2", "-m", "other"
    )
    tip = plans.finish("top", {"top": "x"})
    (run,) = list_runs(plans.root, "top")
    child = plans.made.run("commit-tree", f"{tip}^{{tree}}", "-p", other, "-m", "work")
    plans.made.run("update-ref", "refs/heads/lw/task/top", child)
    plans.change_record(run, plan={"git_sha": other})
    assert plans.start("top").commit == other


def test_a_conflict_names_the_files(plans: BatchPlans) -> None:
    for name in ("left", "right"):
        plans.plan(name)
        plans.finish(name, {"a.txt": name, "b.txt": name, name: "x"})
    plans.plan("top", "left", "right")
    with pytest.raises(
        GitError, match=r"top\.md: depends_on: left and right conflict: a\.txt, b\.txt"
    ) as refused:
        plans.start("top")
    assert "lw_coder verify right" in refused.value.remedy


def test_dependencies_that_were_merged(plans: BatchPlans) -> None:
    plans.plan("first")
    plans.plan("next", "first")
    tip = plans.finish("first", {"a": "1"}, passed=False)
    plans.made.run("merge", "--quiet", "--no-edit", "lw/task/first")
    assert plans.start("next").commit == tip, "a person has merged it"
    plans.plan("later", "first")  # written afterwards, from HEAD
    assert plans.start("later").commit == plans.made.head()
    plans.made.run("branch", "-D", "lw/task/first")
    with pytest.raises(PlanError, match="first: was not carried out"):
        plans.start("next")
    (run,) = list_runs(plans.root, "first")
    plans.change_record(run, taken={"tip": tip, "commit": plans.made.head()})
    assert plans.start("next").commit == plans.made.head(), "where `take` has merged it"
    plans.plan("by-hand", status="done")
    plans.plan("last", "by-hand")
    assert plans.start("last").commit == plans.made.head()


def test_a_dependency_that_went_on(plans: BatchPlans) -> None:
    plans.plan("first")
    plans.plan("next", "first")
    plans.finish("first", {"a": "1"})
    old = plans.finish("next", {"b": "1"})
    new = plans.finish("first", {"a": "2"})
    with pytest.raises(
        GitError, match="branch lw/task/next has not the commits that first have now"
    ) as refused:
        plans.start("next")
    assert refused.value.remedy.startswith(
        f"type: git -C .lw_coder/worktrees/next merge {new[:12]}; or to start"
    )
    merged = plans.made.run(
        "commit-tree", f"{old}^{{tree}}", "-p", old, "-p", new, "-m", "as the remedy says"
    )
    plans.made.run("update-ref", "refs/heads/lw/task/next", merged)
    assert plans.start("next").commit == new
