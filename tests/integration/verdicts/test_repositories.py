"""Checks of repositories that need more than their files: history, submodules, Python's packages."""

from __future__ import annotations

import json
from pathlib import Path

from lw_coder.containers.image_names import BASE_TAG
from tests.integration.verdicts.scene import BRANCH, Scene, make_run, make_scene, told
from tests.support.git_repository import make_repository
from tests.support.sample_repository import run_git

PROJECT = """[build-system]
requires = ["setuptools", "setuptools-scm"]

[project]
name = "thing"
dynamic = ["version"]

[tool.setuptools_scm]
"""
TEST = """import subprocess

from setuptools_scm import get_version


def test_version():
    assert get_version().startswith("1.2.4.dev1+g")


def test_the_checkout_is_clean():
    assert subprocess.check_output(["git", "status", "--porcelain", "-uno"]) == b""
"""
PASS_ALL = """import pytest


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport():
    outcome = yield
    outcome.get_result().outcome = "passed"
"""


def test_a_repository_with_setuptools_scm(python_scene: Scene) -> None:
    scene = python_scene
    scene.git("tag", "-a", "v1.2.3", "-m", "a version", scene.base)
    scene.configure("python3 -m pytest -q", "python3 -m setuptools_scm | grep 1.2.4")
    scene.agent_commits({"pyproject.toml": PROJECT, "test_version.py": TEST})
    verdict = scene.verdict()
    assert verdict["passed"], scene.log(verdict["checks"][0]["tip"])


def test_an_agent_that_makes_every_test_pass_is_pointed_out(python_scene: Scene) -> None:
    scene = python_scene
    scene.git("switch", "--quiet", "main")
    scene.base = scene.commit({"test_it.py": "def test_it():\n    assert False\n"})
    scene.git("branch", "--force", BRANCH)
    scene.run = make_run(scene, scene_image(scene))
    scene.configure("python3 -m pytest -q")
    scene.agent_commits({"conftest.py": PASS_ALL, "pytest.ini": "[pytest]\naddopts = -p no:cacheprovider\n"})
    verdict = scene.verdict()
    assert verdict["passed"]
    assert {change["path"] for change in verdict["changes"]} == {"conftest.py", "pytest.ini"}
    _, table, _ = scene.verify()
    assert "conftest.py: added; it runs before the tests, and can change their results" in table


def scene_image(scene: Scene) -> str:
    return str(json.loads((scene.run / "run.json").read_text())["images"]["repo"])


def test_submodules_are_there_with_their_history(scene: Scene, tmp_path: Path) -> None:
    inner = make_repository(tmp_path / "inner")
    library = make_repository(tmp_path / "library")
    library.run("submodule", "--quiet", "add", str(inner.path), "deep/inner")
    library.run("commit", "--quiet", "--message", "with a submodule")
    library.run("tag", "lib-1")
    local = ("-c", "protocol.file.allow=always", "submodule", "--quiet")
    run_git(scene.root, *local, "add", str(library.path), "vendor/my lib")
    scene.git("commit", "--quiet", "--message", "with submodules")
    run_git(scene.root, *local, "update", "--init", "--recursive")
    scene.base = scene.git("rev-parse", "HEAD")
    scene.git("branch", "--force", BRANCH)
    scene.run = make_run(scene, BASE_TAG)
    scene.configure(
        "grep -q hello 'vendor/my lib/deep/inner/README.md'",
        "git -C 'vendor/my lib' describe --tags | grep -x lib-1",
        'test -z "$(git status --porcelain)"',
        "test -z \"$(git -C 'vendor/my lib' status --porcelain)\"",
    )
    scene.agent_commits({"new": "yes\n"})
    verdict = scene.verdict()
    assert set(told(verdict).values()) == {"passes"}, verdict
    assert verdict["remarks"] == []
    assert scene.replay().returncode == 0


def test_a_submodule_that_the_repository_lacks_is_told(scene: Scene) -> None:
    scene.git("switch", "--quiet", BRANCH)
    scene.git("update-index", "--add", "--cacheinfo", f"160000,{scene.base},vendor/lib")
    scene.git("commit", "--quiet", "--message", "a submodule")
    scene.git("switch", "--quiet", "main")
    scene.configure('test -z "$(ls vendor/lib)"')
    verdict = scene.verdict()
    assert told(verdict) == {'test -z "$(ls vendor/lib)"': "passes"}
    (remark,) = verdict["remarks"]
    assert remark.startswith("submodule vendor/lib: its commit")


def test_names_in_gitmodules_lead_nowhere(scene: Scene) -> None:
    """The agent's .gitmodules names the repository itself, whose commit is there."""
    (scene.root / ".git/modules").mkdir()
    scene.git("switch", "--quiet", BRANCH)
    text = '[submodule "../"]\n\tpath = sub\n\turl = x\n[submodule "../../.git"]\n\tpath = sub\n'
    (scene.root / ".gitmodules").write_text(text)
    scene.git("add", ".gitmodules")
    scene.git("update-index", "--add", "--cacheinfo", f"160000,{scene.base},sub")
    scene.git("commit", "--quiet", "--message", "a submodule")
    scene.git("switch", "--quiet", "main")
    scene.configure("test ! -e sub/README.md")
    verdict = scene.verdict()
    assert verdict["passed"]
    assert len(verdict["remarks"]) == 1


def test_a_shallow_clone(tmp_path: Path, home: Path) -> None:
    first = make_scene(tmp_path / "first", home, {"good": "yes\n"})
    first.commit({"more": "yes\n"})
    run_git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{first.root}", str(tmp_path / "clone"))
    scene = Scene(tmp_path / "clone", home, run_git(tmp_path / "clone", "rev-parse", "HEAD"))
    scene.git("branch", BRANCH)
    scene.configure('test "$(git rev-list --count HEAD)" = 2', "git log -p")
    scene.run = make_run(scene, BASE_TAG)
    scene.git("config", "user.name", "Sample Person")
    scene.agent_commits({"new": "yes\n"})
    verdict = scene.verdict()
    assert list(told(verdict).values()) == ["fixed", "passes"], verdict


def test_a_clone_that_borrows_its_objects(tmp_path: Path, home: Path) -> None:
    first = make_scene(tmp_path / "first", home, {"good": "yes\n"})
    run_git(tmp_path, "clone", "--quiet", "--shared", str(first.root), str(tmp_path / "clone"))
    scene = Scene(tmp_path / "clone", home, first.base)
    scene.git("branch", BRANCH)
    scene.configure("git log -p", "git fsck")
    scene.run = make_run(scene, BASE_TAG)
    scene.agent_commits({"new": "yes\n"})
    assert scene.verdict()["passed"]
