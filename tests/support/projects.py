"""Small projects of each kind, with a test that passes: what a person might start lw_coder in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.sample_repository import run_git

_PYTHON_TEST = """from greeting import greet


def test_greeting():
    assert greet("Ada") == "Hello, Ada"
"""
_PYTHON_SOURCE = """def greet(name):
    return f"Hello, {name}"
"""
_UV = """[project]
name = "greeting"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["iniconfig"]

[dependency-groups]
test = ["pytest"]

[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[tool.uv]
package = true
"""
_POETRY = """[tool.poetry]
name = "greeting"
version = "0.1.0"
description = ""
authors = []
packages = [{ include = "greeting.py", from = "src" }]

[tool.poetry.dependencies]
python = ">=3.11"

[build-system]
requires = ["poetry-core"]
build-backend = "poetry.core.masonry.api"
"""
# Poetry asks more of an index than others do, which some mirrors do not have: no packages here.
_UNITTEST = """import unittest

from greeting import greet


class GreetTest(unittest.TestCase):
    def test_greeting(self):
        self.assertEqual(greet("Ada"), "Hello, Ada")
"""
_SETUPTOOLS = """[project]
name = "greeting"
dynamic = ["version"]

[project.optional-dependencies]
test = ["pytest"]

[build-system]
requires = ["setuptools>=77", "setuptools-scm>=8"]
build-backend = "setuptools.build_meta"

[tool.setuptools_scm]
"""
_LOCKED = """six==1.17.0 \\
    --hash=sha256:4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274
"""
_NODE_TEST = """import assert from "node:assert";
import { test } from "node:test";
import isNumber from "is-number";

test("a number is known", () => assert.equal(isNumber("7"), true));
"""
_PACKAGE = """{
  "name": "greeting",
  "version": "0.1.0",
  "private": true,
  "type": "module",
  "scripts": { "test": "node --test" },
  "devDependencies": { "is-number": "^7.0.0" }
}
"""
_GO_TEST = """package greeting

import "testing"

func TestGreet(t *testing.T) {
\tif Greet("Ada") != "Hello, Ada" {
\t\tt.Fatal("not greeted")
\t}
}
"""
_GO_SOURCE = """package greeting

func Greet(name string) string { return "Hello, " + name }
"""
_RUST_SOURCE = """pub fn greet(name: &str) -> String {
    format!("Hello, {name}")
}

#[test]
fn a_name_is_greeted() {
    assert_eq!(greet("Ada"), "Hello, Ada");
}
"""
_MAKEFILE = """check: greeting
\t./greeting | grep -q Hello
\t@echo all is well

greeting: greeting.c
\t$(CC) -o $@ $<
"""
_C_SOURCE = """#include <stdio.h>

int main(void) { return puts("Hello") < 0; }
"""
_JAVA_SOURCE = """public class Greeting {
    public static void main(String[] words) { System.out.println("Hello, Java"); }
}
"""


@dataclass(frozen=True)
class Project:
    """A project's files, the command that tests it, and what that prints.

    Attributes:
        files: texts by path.
        test: the command, in a shell.
        prints: a part of its output.
        lock: the command that makes its lock file, if it has one.
    """

    files: Mapping[str, str]
    test: str
    prints: str
    lock: str = ""


PROJECTS = {
    "uv": Project(
        {
            "pyproject.toml": _UV,
            ".python-version": "3.11\n",
            "src/greeting/__init__.py": _PYTHON_SOURCE,
            "tests/test_it.py": _PYTHON_TEST,
        },
        "uv run pytest -q",
        "1 passed",
        "uv lock",
    ),
    "pip": Project(
        {
            "requirements.txt": "-r requirements/more.txt\niniconfig>=2\n",
            "requirements/more.txt": "pluggy\n",
            "requirements-locked.txt": _LOCKED,
            "pyproject.toml": _SETUPTOOLS,
            "src/greeting/__init__.py": _PYTHON_SOURCE,
            "tests/test_it.py": _PYTHON_TEST,
        },
        "python -m pytest -q",
        "1 passed",
    ),
    "poetry": Project(
        {"pyproject.toml": _POETRY, "src/greeting.py": _PYTHON_SOURCE, "tests/test_it.py": _UNITTEST},
        "poetry run python -m unittest discover tests",
        "OK",
        "poetry lock",
    ),
    "npm": Project(
        {"package.json": _PACKAGE, "test/is-number.test.js": _NODE_TEST, ".gitignore": "node_modules/\n"},
        "npm test",
        "pass 1",
        "npm install --package-lock-only",
    ),
    "pnpm": Project(
        {
            "package.json": _PACKAGE,
            "pnpm-workspace.yaml": "packages: [.]\n",
            "test/is-number.test.js": _NODE_TEST,
            ".gitignore": "node_modules/\n",
        },
        "pnpm test",
        "pass 1",
        "pnpm install --lockfile-only",
    ),
    "go": Project(
        {
            "go.mod": "module example.org/greeting\n\ngo 1.22\n",
            "greet.go": _GO_SOURCE,
            "greet_test.go": _GO_TEST,
        },
        "go test ./...",
        "ok  \texample.org/greeting",
    ),
    "cargo": Project(
        {
            "Cargo.toml": '[package]\nname = "greeting"\nversion = "0.1.0"\nedition = "2021"\n',
            "src/lib.rs": _RUST_SOURCE,
            ".gitignore": "/target\n",
        },
        "cargo test --quiet",
        "1 passed",
        "cargo generate-lockfile",
    ),
    "maven": Project(
        {"pom.xml": "<project/>\n", "Greeting.java": _JAVA_SOURCE},
        "mvn --version && java Greeting.java",
        "Hello, Java",
    ),
    "make": Project({"Makefile": _MAKEFILE, "greeting.c": _C_SOURCE}, "make check", "all is well"),
    "plain": Project({}, "git log --format=%s", "First commit"),
}


def make_project(root: Path, project: Project, *, commits: bool = True) -> None:
    """Make a repository with a project in it, as `git init` and an editor would.

    Args:
        root: a folder that does not exist.
        project: its files.
        commits: whether they are committed; without any, there is no commit.
    """
    root.mkdir()
    for name, text in project.files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="ascii")
    run_git(root, "init", "--quiet", "--initial-branch=main", "--template=")
    run_git(root, "config", "user.name", "Sample Person")
    run_git(root, "config", "user.email", "sample@example.com")
    if commits and project.files:
        run_git(root, "add", "--all")
        run_git(root, "commit", "--quiet", "--message", "Greet")
