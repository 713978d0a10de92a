"""`lw_coder plans check`, typed in repositories with plans: no terminal, no Docker, no mocks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from lw_coder.foundation.errors import PlanError
from lw_coder.plans.plan_checks import load_plan
from lw_coder.plans.plan_file import STATUSES, TASKS_FOLDER
from lw_coder.repository.git import find_repository
from tests.support.forked import forked
from tests.support.git_repository import GitRepository, make_repository
from tests.support.json_schemas import validated
from tests.support.plan_files import text

LW_CODER = Path(sys.executable).with_name("lw_coder")
HOOKS = Path(__file__).parents[3] / ".pre-commit-hooks.yaml"
# A machine without Docker: git alone can be found.
WITHOUT_DOCKER = {"PATH": "/usr/bin:/bin", "DOCKER_HOST": "unix:///nowhere.sock"}

LIST = 'YAML reads the "[" at its start as the start of a list'
COMMENT, ANCHOR = "YAML reads '#1' as a comment", "YAML reads &x as an anchor"
SHARED = "'e-plan' is used by more than one plan: also by"
NO_FRONT = "has no front matter between two lines of ---"


@pytest.fixture
def made(tmp_path: Path) -> GitRepository:
    return make_repository(tmp_path / "repo")


def plan(made: GitRepository, name: str, /, body: str = "# Do it\n", **keys: str | None) -> None:
    given = {"plan_id": name, "git_sha": made.head(), **keys}
    made.write(f"{TASKS_FOLDER}/{name}.md", text(body, **given))


def check(made: GitRepository, *names: str, below: str = ".") -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **WITHOUT_DOCKER}
    return forked("plans", "check", *names, cwd=made.path / below, env=env)


def as_json(made: GitRepository, *names: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = validated("plans-check", check(made, "--json", *names).stdout)
    return rows


def test_without_plans(made: GitRepository) -> None:
    done = check(made)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "There are no plans in .lw_coder/tasks yet.\n"
    assert as_json(made) == []


def test_valid_plans_of_each_status(made: GitRepository) -> None:
    for status in STATUSES:
        plan(made, f"plan-{status}", status=status)
    done = check(made)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "no problems in 6 plans\n")
    assert check(made, "plan-done").stderr == "no problems in 1 plan\n"
    assert [row["status"] for row in as_json(made)] == sorted(STATUSES)


def test_all_problems_of_all_plans(made: GitRepository) -> None:
    head = made.head()
    plan(made, "a-plan", priority="x", status="finished", evaluation_notes="\n  - [ ] a\n  - b #1")
    plan(made, "b-plan", git_sha="HEAD", notes="&x y")
    plan(made, "c-plan", git_sha="0" * 40)
    plan(made, "d-plan", plan_id="e-plan")
    plan(made, "e-plan")
    plan(made, "f-plan", "", git_sha=None)
    made.write(f"{TASKS_FOLDER}/g-plan.md", "# Only text\n")
    done = check(made)
    assert done.returncode == 1
    known = (
        "plan_id, git_sha, status, evaluation_notes, checks, depends_on, linear_issue_id, created_by,"
        " created_at, notes"
    )
    line, shared = f"git_sha: {head} (that is HEAD)", "give each plan its own plan_id"
    examples = f"plan_id: g-plan, git_sha: {head}, status: draft, evaluation_notes: []"
    expected = [
        ("a-plan.md, line 4: status", "'finished' is unknown", f"use one of {', '.join(STATUSES)}"),
        ("a-plan.md, line 6: evaluation_notes, item 1", LIST, 'put it between quotes: - "[ ] a"'),
        ("a-plan.md, line 7: evaluation_notes, item 2", COMMENT, 'put it between quotes: - "b #1"'),
        ("a-plan.md, line 8: priority", "unknown key", f"remove it; known keys: {known}"),
        ("b-plan.md, line 3: git_sha", "'HEAD' is not a full commit id", f"write {line}"),
        ("b-plan.md, line 6: notes", ANCHOR, 'put it between quotes: notes: "&x y"'),
        ("c-plan.md, line 3: git_sha", f"{'0' * 40} is not in this repository", f"write {line}"),
        ("d-plan.md, line 2: plan_id", f"{SHARED} e-plan.md", shared),
        ("e-plan.md, line 2: plan_id", f"{SHARED} d-plan.md", shared),
        ("f-plan.md: git_sha", "is missing", f"add the line {line}"),
        ("f-plan.md", "there is no plan below the front matter", "write what to do, in Markdown"),
        ("g-plan.md", NO_FRONT, f"begin the file with ---, {examples}, ---"),
    ]
    lines = done.stdout.replace(f"{TASKS_FOLDER}/", "").splitlines()
    assert lines == [f"{place}: {problem}; {remedy}" for place, problem, remedy in expected]
    assert done.stderr == "12 problems in 7 of 7 plans\n"


def test_what_plans_depend_on(made: GitRepository) -> None:
    plan(made, "base-plan")
    plan(made, "right", depends_on="[base-plan]")
    plan(made, "first", depends_on="\n  - second")
    plan(made, "second", depends_on="[third]")
    plan(made, "third", depends_on="[first]")
    plan(made, "behind", depends_on="[third]")
    plan(made, "itself", depends_on="[itself]")
    plan(made, "unknown", depends_on="[base-plan, bas-plan]")
    plan(made, "wrong", depends_on="[a/b, base-plan, base-plan]")
    plan(made, "no-list", depends_on="base-plan")
    done = check(made)
    assert (done.returncode, done.stderr) == (1, "9 problems in 8 of 10 plans\n")
    lines = done.stdout.replace(f"{TASKS_FOLDER}/", "").splitlines()
    problems = dict(line.partition("; ")[0].split(".md, line 6: depends_on", 1) for line in lines[:-1])
    circle = ": the plans depend on each other in a circle: "
    assert problems.pop("no-list") == ": is not a list of strings"
    assert problems.pop("unknown") == ", item 2: there is no plan 'bas-plan'"
    assert problems.pop("itself") == f"{circle}itself -> itself"
    assert problems.pop("wrong").startswith(", item 1: 'a/b' is not a valid id: it contains '/'")
    assert lines[-1].partition("; ")[0] == "wrong.md, line 6: depends_on, item 3: base-plan is there twice"
    assert problems.keys() == {"first", "second", "third", "behind"}
    for found in problems.values():
        members = found.removeprefix(circle).split(" -> ")
        assert members[0] == members[-1]
        # each depends on the next
        assert "first second third first second" in " ".join([*members, *members[1:], *members[1:]])
    unknown = next(line for line in lines if "'bas-plan'" in line)
    assert "; did you mean base-plan? there are: base-plan, behind, " in unknown
    assert check(made, "right").returncode == 0
    with pytest.raises(PlanError, match="depend on each other in a circle"):
        load_plan(find_repository(made.path), "behind")


def test_some_plans_by_path_id_and_file_name(made: GitRepository) -> None:
    plan(made, "wrong", status="x")
    plan(made, "named", plan_id="other-id", status="y")
    plan(made, "right")
    made.write("elsewhere.md", text(git_sha=made.head(), status="z"))
    done = check(made, "right", "wrong", "named", "elsewhere.md", f"{TASKS_FOLDER}/wrong.md", "nothing")
    assert [line.partition(";")[0] for line in done.stdout.splitlines()] == [
        f"{TASKS_FOLDER}/wrong.md, line 4: status: 'x' is unknown",
        f"{TASKS_FOLDER}/named.md, line 4: status: 'y' is unknown",
        "elsewhere.md, line 4: status: 'z' is unknown",
        f"nothing: no such file, and no plan with that id or file name in {TASKS_FOLDER}/",
    ]
    assert (done.returncode, done.stderr) == (1, "4 problems in 4 of 5 plans\n")
    assert check(made, "right", f"{TASKS_FOLDER}/right.md").returncode == 0


def test_json_is_one_document_and_nothing_else(made: GitRepository) -> None:
    plan(made, "a-plan", evaluation_notes="\n  - a\n  - b #1")
    plan(made, "b-plan")
    done = check(made, "--json")
    assert (done.returncode, done.stderr) == (1, "")
    assert json.loads(done.stdout) == [
        {
            "file": f"{TASKS_FOLDER}/a-plan.md",
            "plan_id": "a-plan",
            "status": "ready",
            "problems": [
                {
                    "line": 7,
                    "field": "evaluation_notes",
                    "item": 2,
                    "problem": "YAML reads '#1' as a comment",
                    "remedy": 'put it between quotes: - "b #1"',
                }
            ],
        },
        {"file": f"{TASKS_FOLDER}/b-plan.md", "plan_id": "b-plan", "status": "ready", "problems": []},
    ]
    (row,) = as_json(made, "nothing")
    assert (row["file"], row["plan_id"], row["problems"][0]["line"]) == ("nothing", None, None)


def test_files_that_are_no_text(made: GitRepository) -> None:
    made.write(f"{TASKS_FOLDER}/a.md", "").write_bytes(b"\xff\xfe-\0")
    made.write(f"{TASKS_FOLDER}/b.md", "x" * 1_000_001)
    os.mkfifo(made.path / TASKS_FOLDER / "c.md")
    (made.path / TASKS_FOLDER / "d.md").mkdir()
    (made.path / TASKS_FOLDER / "e.md").symlink_to("nowhere")
    said = [line.partition(": ")[2] for line in check(made).stdout.splitlines()]
    assert [line.partition(";")[0] for line in said] == [
        "is not UTF-8 text",
        "is too large for a plan",
        "is not a file",
        "is not a file",
        "cannot be read: No such file or directory",
    ]


def test_names_with_control_characters_are_escaped(made: GitRepository) -> None:
    plan(made, "a\x1b[31mb", plan_id="a-plan", status='"\\e[2J"')
    assert "\x1b" not in check(made).stdout + check(made, "x\x1b[2J").stdout


def test_a_terminal_that_lacks_a_plans_characters(
    made: GitRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan(made, "a-plan", notes="caf\u00e9 \U0001f600 #1")
    monkeypatch.setenv("PYTHONUTF8", "0")
    for encoding in ("ascii", "latin-1", "utf-8"):
        monkeypatch.setenv("PYTHONIOENCODING", encoding)
        command = [str(LW_CODER), "plans", "check"]
        done = subprocess.run(command, cwd=made.path, capture_output=True, check=False)
        assert done.returncode == 1
        assert b"notes: YAML reads '#1' as a comment" in done.stdout
        assert done.stderr == b"1 problem in 1 of 1 plan\n"


def test_a_commit_that_only_a_session_has(made: GitRepository) -> None:
    sessions = made.run("commit-tree", "-p", "HEAD", "-m", "hidden", "HEAD^{tree}")
    made.run("update-ref", "refs/lw_coder/a-plan/20250101T000000Z/heads/x", sessions)
    plan(made, "a-plan", git_sha=sessions)
    assert "git_sha: " + sessions + " is on none of your branches" in check(made).stdout
    made.run("branch", "lw/task/a-plan", sessions)
    assert check(made).returncode == 0


def test_in_a_repository_without_a_commit(tmp_path: Path) -> None:
    empty = GitRepository(tmp_path)
    empty.run("init", "--quiet")
    empty.write(f"{TASKS_FOLDER}/a-plan.md", text(git_sha="HEAD"))
    assert "make a first commit, and write the id that `git rev-parse HEAD` prints" in check(empty).stdout
    (tmp_path / "elsewhere").mkdir()
    outside = GitRepository(tmp_path.parent)
    done = check(outside)
    assert (done.returncode, done.stdout) == (1, "")
    assert "is not in a git repository" in done.stderr


def test_below_the_top_and_in_a_linked_worktree(made: GitRepository) -> None:
    plan(made, "a-plan", status="x")
    made.write("sub/file.txt", "x")
    made.run("add", "--all", "--force")
    made.run("commit", "--quiet", "--message", "all")
    made.run("worktree", "add", "--quiet", "--detach", "../linked")
    assert check(made, "a-plan", below="sub").returncode == 1
    done = check(GitRepository(made.path.parent / "linked"))
    assert done.stdout.startswith(f"{TASKS_FOLDER}/a-plan.md, line 4: status: 'x' is unknown")


def test_a_thousand_plans_are_checked_with_few_calls_of_git(made: GitRepository, tmp_path: Path) -> None:
    head = made.head()
    for number in range(1000):
        plan_id = f"plan-{number}"
        made.write(f"{TASKS_FOLDER}/{plan_id}.md", text(plan_id=plan_id, git_sha=head))
    made.run("update-ref", "refs/lw_coder/other/20250101T000000Z/heads/x", head)
    counter = tmp_path / "bin/git"
    counter.parent.mkdir()
    counter.write_text(f'#!/bin/sh\necho >> {tmp_path}/calls\nPATH=/usr/bin:/bin exec git "$@"\n')
    counter.chmod(0o755)
    env = {**os.environ, "PATH": f"{counter.parent}:/usr/bin:/bin"}
    done = subprocess.run(
        [LW_CODER, "plans", "check"], cwd=made.path, env=env, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "no problems in 1,000 plans\n")
    assert len((tmp_path / "calls").read_text().splitlines()) < 10


def pre_commit(made: GitRepository, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the real pre-commit, with lw_coder on the PATH as a person has it who uses a local hook."""
    command = [str(LW_CODER.with_name("pre-commit")), *arguments]
    env = {**os.environ, "PATH": f"{LW_CODER.parent}:/usr/bin:/bin"}
    return subprocess.run(command, cwd=made.path, env=env, capture_output=True, text=True, check=False)


def test_the_hook_is_one_that_pre_commit_accepts(made: GitRepository) -> None:
    done = pre_commit(made, "validate-manifest", str(HOOKS))
    assert (done.returncode, done.stdout) == (0, "")


def test_pre_commit_checks_what_is_committed(made: GitRepository) -> None:
    (hook,) = yaml.safe_load(HOOKS.read_text(encoding="utf-8"))
    local = {"repo": "local", "hooks": [{**hook, "language": "system"}]}
    made.write(".pre-commit-config.yaml", yaml.safe_dump({"repos": [local]}))
    plan(made, "a-plan", notes="a #b")
    plan(made, "b-plan")
    made.write("docs/no-plan.md", "text\n")
    made.run("add", "--all", "--force")
    done = pre_commit(made, "run")
    assert done.returncode == 1
    assert "check lw_coder plans" in done.stdout
    assert f"{TASKS_FOLDER}/a-plan.md, line 6: notes: YAML reads '#b' as a comment" in done.stdout
    plan(made, "a-plan", notes='"a #b"')
    made.run("add", "--all", "--force")
    done = pre_commit(made, "run")
    assert (done.returncode, "Passed" in done.stdout) == (0, True)


def test_the_page_shows_the_hook_as_it_is() -> None:
    (hook,) = yaml.safe_load(HOOKS.read_text(encoding="utf-8"))
    page = (HOOKS.parent / "docs/reference/plans.md").read_text(encoding="utf-8")
    (shown,) = yaml.safe_load(page.split("```yaml\n")[-1].partition("```")[0])["repos"][0]["hooks"]
    assert shown == {**{key: hook[key] for key in shown}, "language": "system"}
