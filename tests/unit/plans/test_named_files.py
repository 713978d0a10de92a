"""Which files plans name, and which plans name the same ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from lw_coder.plans.named_files import Overlap, find_overlaps, named_files
from lw_coder.plans.plan_file import MAX_PLAN_BYTES, PlanFile, read_plan
from lw_coder.repository.git import find_repository
from tests.support.git_repository import GitRepository, make_repository
from tests.support.patience import within_cpu_time
from tests.support.plan_files import text, written

FILES = (
    "README.md",
    "Makefile",
    "test",
    "src/app.py",
    "src/__init__.py",
    "src/deep/__init__.py",
    "a/n\u00e4me.py",
)


@pytest.mark.parametrize(
    ("body", "named"),
    {
        "in code": ("Change `src/app.py`.", ["src/app.py"]),
        "in a sentence": ("Change src/app.py, then ./README.md.", ["src/app.py", "README.md"]),
        "in brackets": ("(see README.md) [it](src/app.py)", ["README.md", "src/app.py"]),
        "in a command": ("Run `pytest src/app.py -q`.", ["src/app.py"]),
        "in a fence": ("```sh\npytest src/app.py\n```", ["src/app.py"]),
        "with a line": ("`src/app.py:12`", ["src/app.py"]),
        "by its name alone": ("Change `app.py` and app.py.", ["src/app.py"]),
        "a name of two files": ("Change `__init__.py`.", []),
        "without a suffix": ("Change `Makefile`; a Makefile is a file.", ["Makefile"]),
        "a word that is a file's name": ("The test is new.", []),
        "such a word in code": ("Change `test`.", ["test"]),
        "of other letters": ("`a/n\u00e4me.py`", ["a/n\u00e4me.py"]),
        "a new file": ("Add `new.py`, `a.txt` and `more/new.rs`.", ["new.py", "a.txt", "more/new.rs"]),
        "a new file outside of code": ("Add new.py.", []),
        "no file": (
            "`os.path`, `1.2.3`, `and/or`, `application/json`, `x = y.z`, `../up.py`, `--flag`, `Node.js`",
            [],
        ),
        "an address": ("`https://example.com/src/app.py` and https://example.com/README.md", []),
        "an unclosed backtick": ("It's ` new.py and README.md", ["README.md"]),
        "each once": ("`src/app.py` src/app.py", ["src/app.py"]),
        "out of scope": (
            "## Out of Scope\n`src/app.py`\n### More\nREADME.md\n## Work\n`Makefile`\n",
            ["Makefile"],
        ),
        "a comment in code is no heading": ("#!/bin/sh out of scope\nREADME.md", ["README.md"]),
    }.values(),
)
def test_files_that_a_text_names(body: str, named: list[str]) -> None:
    assert list(named_files(body, FILES)) == named


@pytest.mark.parametrize("body", ["`" * 7, "a/" * 7, "./", "a.", "# out of scope #", "x@:/", "`a.b/` "])
def test_a_long_text_is_read_in_linear_time(body: str) -> None:
    long = body * (MAX_PLAN_BYTES // len(body))
    within_cpu_time(30, lambda: named_files(long, FILES))


@pytest.fixture
def git(tmp_path: Path) -> GitRepository:
    made = make_repository(tmp_path / "repository")
    made.commit("more", "src/app.py", "pass\n")
    return made


def plan(git: GitRepository, plan_id: str, body: str, sha: str = "") -> PlanFile:
    content = text(f"# A plan\n\n{body}\n", plan_id=plan_id, git_sha=sha or git.head())
    return read_plan(written(git.path / ".lw_coder/tasks", content, f"{plan_id}.md"))


def test_pairs_of_plans_that_name_the_same_files(git: GitRepository) -> None:
    first = git.run("rev-parse", "HEAD~1")
    plans = [
        plan(git, "one", "Change README.md and `src/app.py`."),
        plan(git, "two", "Change `app.py`, and README.md."),
        plan(git, "three", "Change src/app.py, which its commit has not.", first),
        plan(git, "four", "Add `src/app.py`.", first),
        plan(git, "five", "Change nothing."),
    ]
    found = find_overlaps(find_repository(git.path), plans, lambda *_: False)
    assert found == [
        Overlap("one", "two", ("README.md", "src/app.py")),
        Overlap("one", "four", ("src/app.py",)),
        Overlap("two", "four", ("src/app.py",)),
    ]
    ordered = {"one", "two"}
    found = find_overlaps(find_repository(git.path), plans, lambda *both: set(both) == ordered)
    assert [(each.first, each.second) for each in found] == [("one", "four"), ("two", "four")]
