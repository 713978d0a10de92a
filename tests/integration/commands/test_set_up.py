"""What `lw_coder code` and `lw_coder plan` say where something is missing: all of it, at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.conftest import LW_CODER, Person
from tests.support.refusal import assert_refused, shown_lines
from tests.support.sample_repository import PLAN_ID, SampleRepository, run_git
from tests.support.snapshot import changes, snapshot

NOWHERE = "tcp://127.0.0.1:1"


def errors_of(person: Person, *command: str) -> list[str]:
    """Run a command that has to end with status 1, and change nothing; return its error lines."""
    before = snapshot(person.cwd)
    with person.types(LW_CODER, *command) as terminal:
        assert terminal.wait() == 1, terminal.text
    assert changes(before, snapshot(person.cwd)) == []
    lines = shown_lines(terminal)
    assert all(line.startswith("error: ") for line in lines), lines
    return lines


def no_name_and_no_address(sample: SampleRepository) -> None:
    for key in ("user.name", "user.email"):
        sample.git("config", "--unset", key)
    sample.git("config", "user.useConfigOnly", "true")


def test_all_that_is_missing_is_named_at_once(sample: SampleRepository, person: Person) -> None:
    (sample.root / ".env").unlink()
    (sample.root / ".lw_coder/config.toml").unlink()
    no_name_and_no_address(sample)
    person.extra = {"DOCKER_HOST": NOWHERE}
    lines = errors_of(person, "code", "a-plan-of-another-name")
    expected = (
        "a-plan-of-another-name: no ",
        ".lw_coder/config.toml: file not found; type lw_coder init",
        "OPENROUTER_API_KEY: is set neither in .env nor in the environment; put OPENROUTER_API_KEY=",
        "git does not know who commits here",
        "docker",
    )
    assert len(lines) == len(expected), lines
    for line, fragment in zip(lines, expected, strict=True):
        assert fragment in line


def test_a_problem_that_is_found_first_does_not_hide_the_others(
    sample: SampleRepository, person: Person
) -> None:
    (sample.root / ".lw_coder/code.Dockerfile").unlink()
    (sample.root / ".lw_coder/config.toml").write_text("[code]\nnone = 1\n", encoding="ascii")
    lines = errors_of(person, "code", PLAN_ID)
    assert ["none: unknown key" in lines[0], "code.Dockerfile: file not found" in lines[1]] == [True, True]
    assert len(lines) == 2


def test_planning_needs_less(sample: SampleRepository, person: Person) -> None:
    for name in (".env", ".lw_coder/config.toml", ".lw_coder/code.Dockerfile"):
        (sample.root / name).unlink()
    no_name_and_no_address(sample)
    lines = errors_of(person, "plan", "--text", "an idea")
    assert ["OPENROUTER_API_KEY" in lines[0], "git does not know" in lines[1]] == [True, True]
    assert len(lines) == 2


@pytest.mark.parametrize("has_commit", [True, False])
def test_where_nothing_is_set_up_one_thing_is_said(
    tmp_path: Path, person: Person, *, has_commit: bool
) -> None:
    person.cwd = tmp_path / "fresh"
    person.cwd.mkdir()
    run_git(person.cwd, "init", "--quiet")
    if has_commit:
        run_git(person.cwd, "commit", "--quiet", "--allow-empty", "--message", "Begin")
    person.extra = {"DOCKER_HOST": NOWHERE}
    before = snapshot(person.cwd)
    with person.types(LW_CODER, "code", "my-plan") as terminal:
        assert terminal.wait() == 1
    assert_refused(shown_lines(terminal), [f"{person.cwd}: is not set up for lw_coder"], "lw_coder init")
    assert changes(before, snapshot(person.cwd)) == []
