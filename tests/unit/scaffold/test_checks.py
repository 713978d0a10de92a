"""Which commands are guessed to test a project; that they do is shown where init is tested with sessions."""

from __future__ import annotations

from pathlib import Path

import pytest

from lw_coder.scaffold.checks import guess_checks
from lw_coder.scaffold.kinds import find_kinds
from tests.support.projects import PROJECTS, make_project

GUESSED = {
    "uv": ("python -m pytest -q",),
    "pip": ("python -m pytest -q",),
    "poetry": ("python -m unittest discover tests",),
    "npm": ("npm test",),
    "pnpm": ("pnpm test",),
    "go": ("go test ./...",),
    "cargo": ("cargo test --quiet --offline",),
    "maven": (),
    "make": ("make check",),
    "plain": (),
}


@pytest.mark.parametrize("kind", PROJECTS)
def test_the_sample_projects(kind: str, tmp_path: Path) -> None:
    root = tmp_path / kind
    make_project(root, PROJECTS[kind])
    assert guess_checks(root, find_kinds(root)) == GUESSED[kind]


def test_several_kinds_have_all_their_checks(tmp_path: Path) -> None:
    for kind in ("uv", "npm", "make"):
        make_project(tmp_path / kind, PROJECTS[kind])
        for name in PROJECTS[kind].files:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes((tmp_path / kind / name).read_bytes())
    assert guess_checks(tmp_path, ("uv", "npm", "make")) == ("python -m pytest -q", "npm test", "make check")


@pytest.mark.parametrize(
    ("kind", "files"),
    [
        ("pip", {"requirements.txt": "pytest\n"}),
        ("pip", {"setup.py": "", "tests/test_x.py": "def test_x(): pass\n"}),
        ("npm", {"package.json": '{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}'}),
        ("npm", {"package.json": "[]"}),
        ("npm", {"package.json": '{"scripts": 1}'}),
        ("npm", {"package.json": "[" * 100_000}),
        ("pnpm", {}),
        ("go", {"go.mod": "module x\n", "x.go": "package x\n"}),
        ("go", {"go.work": "go 1.22\n", "a/a_test.go": "package a\n"}),
        ("maven", {"pom.xml": "<project/>", "src/test/X.java": ""}),
        ("make", {"Makefile": "all:\n\ttrue\ntest := 1\n"}),
        ("plain", {"tests/test_x.py": "import pytest\n"}),
    ],
)  # fmt: skip
def test_what_no_file_says_is_not_guessed(kind: str, files: dict[str, str], tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert guess_checks(tmp_path, (kind,)) == ()


def test_the_target_test_comes_before_check(tmp_path: Path) -> None:
    (tmp_path / "GNUmakefile").write_text("check: build\ntest : build\n")
    assert guess_checks(tmp_path, ("make",)) == ("make test",)
