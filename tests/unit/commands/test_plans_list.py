"""`lw_coder plans list`, typed in a repository whose plans are in each of the states that there are."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lw_coder.foundation.locks import plan_lock
from lw_coder.plans.plan_file import TASKS_FOLDER
from tests.support.forked import forked
from tests.support.git_repository import GitRepository, make_repository
from tests.support.json_schemas import validated
from tests.support.plan_files import text

WITHOUT_DOCKER = {"PATH": "/usr/bin:/bin", "DOCKER_HOST": "unix:///nowhere.sock"}


@pytest.fixture
def made(tmp_path: Path) -> GitRepository:
    return make_repository(tmp_path / "repo")


def plan(made: GitRepository, name: str, **keys: str | None) -> None:
    given = {"plan_id": name, "git_sha": made.head(), "status": "ready", **keys}
    made.write(f"{TASKS_FOLDER}/{name}.md", text("# Do it\n", **given))


def types(made: GitRepository, *words: str) -> subprocess.CompletedProcess[str]:
    return forked(*words, cwd=made.path, env={**os.environ, **WITHOUT_DOCKER})


def listed(made: GitRepository) -> dict[str, dict[str, Any]]:
    done = types(made, "plans", "list", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    rows = {row["file"]: row for row in validated("plans-list", done.stdout)}
    return {name.removesuffix(".md"): row for name, row in rows.items()}


def test_without_plans(made: GitRepository) -> None:
    done = types(made, "plans")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "There are no plans in .lw_coder/tasks yet.\n"
    assert listed(made) == {}


def test_plans_that_can_start(made: GitRepository) -> None:
    plan(made, "new-plan", status="draft")
    plan(made, "ran")
    base = made.head()
    made.run("branch", "lw/task/ran", base)
    empty = {"schema": 1, "ended": None}
    record = {**empty, "model": "a/model", "ended": {"outcome": "completed"}, "verdict": {"passed": True}}
    for time in ("20250101T000000Z", "20250102T000000Z"):
        made.write(f".lw_coder/runs/ran/{time}/run.json", json.dumps(record if "02T" in time else empty))
    rows = listed(made)
    assert all(row["can_start"] and row["obstacle"] is None for row in rows.values())
    assert (rows["new-plan"]["branch"], rows["new-plan"]["last_run"]) == (None, None)
    assert rows["ran"]["branch"] == {"name": "lw/task/ran", "tip": base, "ahead": 0, "merged": False}
    last = rows["ran"]["last_run"]
    assert (last["run"], last["verdict"]) == ("ran/20250102T000000Z", "passed")
    header, new, ran = types(made, "plans").stdout.splitlines()
    assert header.split() == ["plan", "status", "last", "run", "ended", "verdict", "branch", "can", "start"]
    assert new.split() == ["new-plan", "draft", "-", "-", "-", "-", "yes"]
    assert ran.split()[5:] == ["completed", "passed", "no", "commits", "yes"]


def test_branches_with_commits(made: GitRepository) -> None:
    base = made.head()
    for name in ("ahead", "merged"):
        plan(made, name)
        made.run("branch", f"lw/task/{name}", base)
        for message in ("one", "two"):
            commit = made.run(
                "commit-tree", "-p", f"lw/task/{name}", "-m", f"{name} {message}", "HEAD^{tree}"
            )
            made.run("update-ref", f"refs/heads/lw/task/{name}", commit)
    made.run("merge", "--quiet", "--no-edit", "lw/task/merged")
    rows = listed(made)
    told = {name: (row["branch"]["ahead"], row["branch"]["merged"]) for name, row in rows.items()}
    assert told == {"ahead": (2, False), "merged": (0, True)}
    ahead, merged = types(made, "plans", "list").stdout.splitlines()[1:]
    assert "  2 ahead  " in ahead
    assert "  merged " in merged


def test_plans_that_cannot_start(made: GitRepository) -> None:
    plan(made, "done-plan", status="done")
    plan(made, "wrong", status="finished", notes="&x y")
    plan(made, "running")
    plan(made, "elsewhere")
    made.run("worktree", "add", "--quiet", "-b", "lw/task/elsewhere", "../other")
    made.write(f"{TASKS_FOLDER}/no-plan.md", "# Only text\n")
    with plan_lock(made.path / ".git", "running"):
        rows = listed(made)
    assert not any(row["can_start"] for row in rows.values())
    obstacles = {name: row["obstacle"] for name, row in rows.items()}
    assert obstacles["done-plan"] == "its status is done; --yes starts it all the same"
    assert obstacles["wrong"].startswith("wrong.md, line 4: status: 'finished' is unknown; and 1 more")
    assert obstacles["running"] == "a session is running on it"
    assert obstacles["elsewhere"].startswith("branch lw/task/elsewhere is checked out at ")
    assert obstacles["no-plan"].startswith("no-plan.md: has no front matter")
    assert rows["no-plan"]["plan_id"] is None
    assert listed(made)["running"]["can_start"]  # and nothing has been left locked


def test_a_long_reason_is_whole(made: GitRepository) -> None:
    plan(made, "long", git_sha="f" * 40, notes="&x y", status="z" * 60)
    obstacle = listed(made)["long"]["obstacle"]
    assert len(obstacle) > 100
    assert types(made, "plans").stdout.splitlines()[1].endswith(f"  no: {obstacle}")


def test_nothing_is_changed(made: GitRepository) -> None:
    plan(made, "a-plan")
    made.run("worktree", "add", "--quiet", "-b", "lw/task/a-plan", ".lw_coder/worktrees/a-plan")
    (made.path / ".lw_coder/worktrees/a-plan/.git").unlink()
    before = made.run("for-each-ref"), made.run("worktree", "list"), sorted(made.path.rglob("*"))
    assert "the worktree is broken" in listed(made)["a-plan"]["obstacle"]
    assert (made.run("for-each-ref"), made.run("worktree", "list"), sorted(made.path.rglob("*"))) == before


def test_names_that_would_steer_a_terminal(made: GitRepository) -> None:
    made.write(f"{TASKS_FOLDER}/x\x1b[31m.md", "# Only text\n")
    shown = types(made, "plans").stdout
    assert "\x1b" not in shown
    assert "x\\x1b[31m.md" in shown


def test_an_option_of_another_command(made: GitRepository) -> None:
    refused = types(made, "plans", "--json", "check")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "type --json after `check`" in refused.stderr
    assert validated("plans-list", types(made, "plans", "--json").stdout) == []
