"""Which file a name stands for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lw_coder.foundation.errors import ExitCode, PlanError
from lw_coder.plans.find_plan import find_plan, plans_with_id, shared_id
from tests.support.forked import forked
from tests.support.plan_files import text, written
from tests.support.sample_repository import run_git

TASKS = ".lw_coder/tasks"


@pytest.fixture(autouse=True)
def at_the_top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_found_by_path_by_id_and_by_file_name(tmp_path: Path) -> None:
    path = written(tmp_path / TASKS, b"\xef\xbb\xbf" + text().encode(), "some-name.md")
    for name in (f"{TASKS}/some-name.md", str(path), "a-plan", "some-name", "some-name.md"):
        assert find_plan(tmp_path, name) == path


def test_an_id_goes_before_a_file_name(tmp_path: Path) -> None:
    first = written(tmp_path / TASKS, text(plan_id="second"), "first.md")
    second = written(tmp_path / TASKS, text(plan_id="first"), "second.md")
    assert (find_plan(tmp_path, "first"), find_plan(tmp_path, "second")) == (second, first)
    assert find_plan(tmp_path, "first.md") == first


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, os.mkfifo])
def test_what_is_in_the_current_folder_hides_no_plan(tmp_path: Path, make: object) -> None:
    path = written(tmp_path / TASKS, text(plan_id="docs"), "some-name.md")
    assert callable(make)
    make(tmp_path / "docs")
    assert find_plan(tmp_path, "docs") == path


def test_a_file_without_a_suffix_is_found_if_no_plan_has_its_name(tmp_path: Path) -> None:
    path = written(tmp_path, text(), "notes")
    assert find_plan(tmp_path, "notes") == path
    assert find_plan(tmp_path, "./notes") == path


@pytest.mark.parametrize(
    "content",
    [
        text(evaluation_notes="\n  - [ ] broken"),
        text(notes="'unclosed"),
        text().replace("---\n#", "#"),
        text().removeprefix("---\n"),
        text("", priority="x", git_sha=None),
        "---\nplan_id: 'a-plan' # its name\nno key\n---\n",
    ],
)
def test_a_plan_that_is_not_valid_is_found_by_its_id(tmp_path: Path, content: str) -> None:
    path = written(tmp_path / TASKS, content, "some-name.md")
    assert find_plan(tmp_path, "a-plan") == path
    assert plans_with_id(tmp_path, "a-plan") == [path]


def not_found(root: Path, name: str) -> PlanError:
    with pytest.raises(PlanError) as caught:
        find_plan(root, name)
    assert "\n" not in caught.value.message + caught.value.remedy
    return caught.value


def test_names_that_find_nothing(tmp_path: Path) -> None:
    written(tmp_path / TASKS, "not a plan", "broken.md")
    assert "no plan with that id" in not_found(tmp_path, "a-plan").message
    assert "no plan with that id" in not_found(tmp_path, "two\nlines").message
    assert "is a folder" in not_found(tmp_path, TASKS).message
    assert "cannot be read" in not_found(tmp_path, "x" * 5000).message
    assert "no plan with that id" in not_found(tmp_path, "a\0b").message


def test_names_that_resemble_a_wrong_one_are_shown(tmp_path: Path) -> None:
    written(tmp_path / TASKS, text(plan_id="add-docs"), "2025-documents.md")
    assert not_found(tmp_path, "add-doc").remedy.startswith("did you mean add-docs? ")
    assert not_found(tmp_path, "2025-document").remedy.startswith("did you mean 2025-documents? ")
    assert not_found(tmp_path, "else").remedy == "name a plan file, or one of: 2025-documents, add-docs"


def test_many_plans_are_listed_in_a_short_line(tmp_path: Path) -> None:
    assert not_found(tmp_path, "else").remedy == "there are no plans yet"
    for number in range(300):
        written(tmp_path / TASKS, text(plan_id=f"plan-{number:03}"), f"plan-{number:03}.md")
    assert not_found(tmp_path, "else").remedy.endswith("plan-009 and 290 more")


def test_ids_that_two_plans_have(tmp_path: Path) -> None:
    first = written(tmp_path / TASKS, text(), "first.md")
    second = written(tmp_path / TASKS, text().replace("\n", "\r\n"), "second.md")
    assert plans_with_id(tmp_path, "a-plan") == [first, second]
    message = not_found(tmp_path, "a-plan").message
    assert f"{TASKS}/first.md, {TASKS}/second.md" in message
    shared = shared_id(tmp_path, first, "a-plan")
    assert shared is not None
    assert shared.problem == f"'a-plan' is used by more than one plan: also by {TASKS}/second.md"


def test_a_plan_outside_the_tasks_folder(tmp_path: Path) -> None:
    path = written(tmp_path, text())
    assert shared_id(tmp_path, path, "a-plan") is None
    written(tmp_path / TASKS, text(), "same.md")
    assert shared_id(tmp_path, path, "a-plan") is not None


def test_a_plan_that_is_a_link_to_itself_is_one_that_cannot_be_read(tmp_path: Path) -> None:
    run_git(tmp_path, "init", "--quiet")
    (tmp_path / TASKS).mkdir(parents=True)
    (tmp_path / TASKS / "circle.md").symlink_to("circle.md")
    for command in (("plans", "check"), ("plans",), ("plans", "check", f"{TASKS}/circle.md")):
        done = forked(*command, cwd=tmp_path)
        assert "circle.md: cannot be read" in done.stdout + done.stderr, done
        assert done.returncode in {ExitCode.OK, ExitCode.ERROR}
