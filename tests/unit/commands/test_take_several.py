"""`lw_coder take` of several plans on real repositories, without the checks, which need an engine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lw_coder.commands.take import TakeOptions
from lw_coder.commands.take_several import take_several_command
from lw_coder.containers.docker_command import EngineProbe
from lw_coder.containers.labels import TAKE_RUNS
from lw_coder.foundation.errors import ExitCode, GitError, LwCoderError, VerdictError
from lw_coder.foundation.locks import plan_lock
from lw_coder.repository.merging import How
from lw_coder.runs.run_folders import abandoned_folders, open_run, read_record
from tests.support.finished_plans import FinishedPlans, finished_plans
from tests.support.json_schemas import validated

LINES = "".join(f"{number}\n" for number in range(20))


@pytest.fixture
def plans(tmp_path: Path) -> FinishedPlans:
    """Plans that form a diamond, and one by itself."""
    made = finished_plans(tmp_path / "repository", {"shared.txt": LINES})
    made.add("top", {"top.txt": "top\n", "shared.txt": f"first\n{LINES}"})
    made.add("left", {"left.txt": "left\n"}, on=["top"])
    made.add("right", {"right.txt": "right\n"}, on=["top"])
    made.add("under", {"under.txt": "under\n", "shared.txt": f"first\n{LINES}last\n"}, on=["left", "right"])
    made.add("other", {"other.txt": "other\n"})
    return made


def take(
    plans: FinishedPlans, *names: str, how: How = How.MERGE, unverified: bool = True, **more: Any
) -> ExitCode:
    options = TakeOptions(how, yes=True, unverified=unverified, **more)
    with EngineProbe(asks_compose=False) as probe:
        return take_several_command(plans.root, names, options, probe)


def refused(plans: FinishedPlans, *names: str, **more: Any) -> LwCoderError:
    """Take in vain: whatever the person has is as it was."""
    before = plans.state()
    with pytest.raises(LwCoderError) as raised:
        take(plans, *names, **more)
    assert plans.state() == before
    assert not any("taken" in read_record(run) for run in plans.runs.values())
    plans.check()
    return raised.value


def merged(plans: FinishedPlans) -> list[str]:
    return plans.git.run("log", "--first-parent", "--reverse", "--format=%s", f"{plans.base}..").split("\n")


def files(plans: FinishedPlans) -> set[str]:
    return set(plans.git.run("ls-files").split("\n"))


ALL = ("under", "other", "right", "left", "top")
RESULTS = {f"{name}.txt" for name in ALL}


def test_plans_are_merged_in_the_order_of_their_dependencies(
    plans: FinishedPlans, capfd: pytest.CaptureFixture[str]
) -> None:
    assert take(plans, *ALL) is ExitCode.OK
    order = ["top", "left", "right", "under", "other"]
    assert merged(plans) == [f"Merge branch 'lw/task/{name}'" for name in order]
    trailers = plans.git.run("log", "--first-parent", "--format=%(trailers:key=Lw-Coder-Run,valueonly)")
    assert trailers.split() == [plans.runs[name].identity for name in reversed(order)]
    assert files(plans) >= RESULTS
    assert plans.git.run("show", "HEAD:shared.txt") == f"first\n{LINES}last"
    assert plans.git.run("status", "--porcelain") == ""
    assert plans.git.run("symbolic-ref", "HEAD") == "refs/heads/main"
    for name in order:
        taken = read_record(plans.runs[name])["taken"]
        assert (taken["tip"], taken["into"], taken["how"]) == (plans.tip(name), "main", "merge")
        assert plans.git.run("rev-parse", f"{taken['commit']}^2") == plans.tip(name)
        assert plans.is_taken(name)
    plans.check()
    said = capfd.readouterr().err
    assert f"Merged:   main is at {plans.git.head()[:12]}" in said
    assert f"git reset --keep {plans.base[:12]}" in said
    plans.git.run("reset", "--keep", plans.base)
    assert not files(plans) & RESULTS


def test_what_a_killed_one_left_of_its_run_goes(plans: FinishedPlans) -> None:
    left = open_run(plans.root, TAKE_RUNS)
    assert take(plans, "top") is ExitCode.OK
    assert not left.is_there()
    assert abandoned_folders(plans.root) == []


def test_one_commit_of_each_plan(plans: FinishedPlans) -> None:
    assert take(plans, *ALL, how=How.SQUASH) is ExitCode.OK
    assert plans.git.run("rev-list", "--count", "--min-parents=2", f"{plans.base}..") == "0"
    assert merged(plans) == [
        f"Carry out the plan {name}" for name in ("top", "left", "right", "under", "other")
    ]
    assert files(plans) >= RESULTS
    bodies = plans.git.run("log", "--format=%b", "-2", "HEAD~1")
    assert "- Work on under" in bodies
    assert "Work on top" not in bodies, "the commit of another plan lists it"
    assert all(plans.is_taken(name) for name in ALL)
    before = plans.state()
    assert take(plans, *ALL, how=How.SQUASH) is ExitCode.OK
    assert plans.state() == before
    plans.check()


def test_a_fast_forward_where_that_is_possible(plans: FinishedPlans) -> None:
    assert take(plans, "other", "top", "left", how=How.FAST_FORWARD) is ExitCode.OK
    history = plans.git.run("log", "--first-parent", "--reverse", "--format=%s", f"{plans.base}..")
    assert history.split("\n") == [
        "Work on other",
        "Merge branch 'lw/task/top'",
        "Merge branch 'lw/task/left'",
    ]
    plans.check()


def test_what_is_merged_already_is_left_out(plans: FinishedPlans, capfd: pytest.CaptureFixture[str]) -> None:
    take(plans, "top", "other")
    before = plans.state()
    assert take(plans, "other", "top") is ExitCode.OK
    assert plans.state() == before
    assert "main has all changes of lw/task/top already." in capfd.readouterr().err
    assert take(plans, "top", "left", "right") is ExitCode.OK
    assert merged(plans)[2:] == ["Merge branch 'lw/task/left'", "Merge branch 'lw/task/right'"]


def test_a_conflict_with_another_of_the_plans_changes_nothing(plans: FinishedPlans) -> None:
    plans.add("rival", {"other.txt": "of a rival\n", "fine.txt": "fine\n"})
    error = refused(plans, "top", "other", "rival")
    assert error.message == "lw/task/rival conflicts with lw/task/other: other.txt; nothing was merged"
    assert error.exit_code == ExitCode.ERROR
    assert take(plans, "top", "rival") is ExitCode.OK


def test_a_conflict_with_the_persons_branch_changes_nothing(plans: FinishedPlans) -> None:
    plans.git.commit("Mine", "left.txt", "mine\n")
    error = refused(plans, "top", "left")
    assert error.message == "lw/task/left conflicts with main: left.txt; nothing was merged"


@pytest.mark.parametrize("how", How)
def test_a_file_in_the_way_changes_nothing(plans: FinishedPlans, how: How) -> None:
    plans.git.write("other.txt", "precious\n")
    (plans.root / ".git/info/exclude").write_text("other.txt\n", encoding="ascii")
    assert "not committed: other.txt" in refused(plans, "top", "other", how=how).message
    (plans.root / "other.txt").unlink()
    plans.git.write("shared.txt", "edited\n")
    assert "not committed: shared.txt" in refused(plans, "other", "top", how=how).message
    plans.git.write("shared.txt", LINES)
    plans.git.write("README.md", "edited\n")
    assert take(plans, "other", "top", how=how) is ExitCode.OK
    assert (plans.root / "README.md").read_text(encoding="ascii") == "edited\n"


def test_each_plan_needs_a_verdict_that_it_passed(plans: FinishedPlans) -> None:
    plans.add("wrong", {"wrong.txt": "wrong\n"}, passed=False)
    plans.add("unjudged", {"unjudged.txt": "unjudged\n"}, passed=None)
    for name in ("wrong", "unjudged"):
        error = refused(plans, "top", name, unverified=False)
        assert isinstance(error, VerdictError)
        assert error.message.startswith(f"lw/task/{name}: ")
    assert take(plans, "top", "wrong", "unjudged") is ExitCode.OK


def test_without_checks_the_result_cannot_be_verified(plans: FinishedPlans) -> None:
    written = plans.root / ".lw_coder/config.toml"
    written.write_text("[code]\n", encoding="ascii")
    error = refused(plans, "top", "other", unverified=False)
    assert "no" in error.message
    assert "--unverified" in error.remedy


def hook(plans: FinishedPlans, name: str, script: str) -> None:
    path = plans.root / ".git/hooks" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="ascii")
    path.chmod(0o700)


def test_the_persons_hooks_run_and_can_refuse(plans: FinishedPlans, tmp_path: Path) -> None:
    hook(
        plans,
        "commit-msg",
        f"head -1 $1 >> {tmp_path}/seen; ! grep -q right $1 || {{ echo 'no right'; exit 1; }}",
    )
    error = refused(plans, "top", "left", "right")
    assert error.message == "git merge: no right; nothing was merged"
    seen = (tmp_path / "seen").read_text(encoding="ascii").split("\n")[:-1]
    assert seen == [f"Merge branch 'lw/task/{name}'" for name in ("top", "left", "right")]
    hook(plans, "post-merge", f"pwd >> {tmp_path}/moved")
    assert take(plans, "top", "left") is ExitCode.OK
    assert (tmp_path / "moved").read_text(encoding="utf-8").split("\n")[-2] == str(plans.root)


def test_a_hook_that_a_branch_can_change_does_not_run(
    plans: FinishedPlans, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    mine = plans.git.write("hooks/commit-msg", f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    mine.chmod(0o700)
    plans.git.run("add", "hooks")
    plans.git.run("commit", "--quiet", "--message", "Hooks")
    plans.git.run("config", "core.hooksPath", "hooks")
    assert take(plans, "top", "other") is ExitCode.OK
    assert not (tmp_path / "ran").exists()
    assert capfd.readouterr().err.count("your hooks do not run") == 1


def test_a_branch_that_moves_meanwhile_stays(plans: FinishedPlans) -> None:
    """A hook stands for a person who commits while the plans are merged elsewhere."""
    env = f"env -u GIT_DIR -u GIT_INDEX_FILE -u GIT_WORK_TREE git -C {plans.root}"
    hook(
        plans,
        "commit-msg",
        f"{env} update-ref refs/heads/elsewhere HEAD; {env} commit -q --no-verify --allow-empty -m Mine",
    )
    with pytest.raises(GitError, match="is no longer checked out; nothing was merged"):
        take(plans, "top", "other")
    assert set(merged(plans)) == {"Mine"}
    assert not files(plans) & RESULTS
    plans.check()


def test_a_plan_in_use_is_named(plans: FinishedPlans) -> None:
    with plan_lock(plans.root / ".git", "left"):
        assert refused(plans, "top", "left").message.startswith("left: a session is already running")
    with plan_lock(plans.root / ".git", "@take"):
        assert "another `lw_coder take`" in refused(plans, "top", "left").message


@pytest.mark.parametrize("state", ["detached", "staged", "merging"])
def test_the_worktree_must_be_ready(plans: FinishedPlans, state: str) -> None:
    if state == "detached":
        plans.git.run("switch", "--quiet", "--detach")
    elif state == "staged":
        plans.git.write("new.txt", "new\n")
        plans.git.run("add", "new.txt")
    else:
        (plans.root / ".git/MERGE_HEAD").write_text(f"{plans.tip('top')}\n", encoding="ascii")
    message = refused(plans, "top", "other").message
    assert {"detached": "HEAD is detached", "staged": "changes are staged", "merging": "middle of a merge"}[
        state
    ] in message


def test_an_older_git_is_told_to_take_one_at_a_time(
    plans: FinishedPlans, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older, real = tmp_path / "bin/git", shutil.which("git")
    older.parent.mkdir()
    older.write_text(
        f'#!/bin/sh\ncase " $* " in *" version "*) echo git version 2.34.1;; *) exec {real} "$@";; esac\n',
        encoding="ascii",
    )
    older.chmod(0o700)
    monkeypatch.setenv("PATH", str(older.parent), prepend=os.pathsep)
    assert "take one plan at a time" in refused(plans, "top", "other").remedy


def documents(capfd: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = validated("take", capfd.readouterr().out)
    return found


def outcomes(document: Mapping[str, Any]) -> dict[str, str]:
    return {plan["plan_id"]: plan["outcome"] for plan in document["plans"]}


def test_the_document_says_what_became_of_each_plan(
    plans: FinishedPlans, capfd: pytest.CaptureFixture[str]
) -> None:
    take(plans, "other", "top")
    capfd.readouterr()
    assert take(plans, "left", "top", "right", as_json=True) is ExitCode.OK
    document = documents(capfd)
    assert (document["outcome"], document["exit_code"], document["into"]) == ("taken", 0, "main")
    assert document["commit"] == plans.git.head() != document["head"]
    assert outcomes(document) == {"top": "already_merged", "left": "taken", "right": "taken"}
    by_id = {plan["plan_id"]: plan for plan in document["plans"]}
    assert by_id["right"]["commit"] == plans.git.head()
    assert by_id["left"]["run"] == plans.runs["left"].identity

    plans.add("rival", {"under.txt": "of a rival\n"})
    with pytest.raises(GitError):
        take(plans, "under", "rival", as_json=True)
    document = documents(capfd)
    assert (document["outcome"], document["exit_code"], document["commit"]) == ("error", 1, None)
    assert outcomes(document) == {"under": "not_taken", "rival": "conflicts"}
    assert document["plans"][1]["conflicts"] == ["under.txt"]
    assert "lw/task/rival conflicts with lw/task/under" in document["error"]["message"]

    with pytest.raises(LwCoderError):
        take(plans, "under", "no-such-plan", as_json=True)
    assert documents(capfd)["plans"] is None
