from __future__ import annotations

from pathlib import Path

import pytest

from lw_coder.foundation.errors import ConfigError, PlanError
from lw_coder.plans.plan_file import read_plan
from lw_coder.settings.check_commands import LONGEST_CHECK
from lw_coder.settings.config import load_config

SHA = "0" * 40


def config(root: Path, text: str) -> Path:
    (root / ".lw_coder").mkdir(exist_ok=True)
    (root / ".lw_coder/config.toml").write_text(f"[code]\n{text}\n")
    return root


def plan(root: Path, front: str) -> Path:
    path = root / "plan.md"
    path.write_text(
        f"---\nplan_id: a-plan\ngit_sha: {SHA}\nstatus: draft\nevaluation_notes: []\n{front}\n---\nDo it\n"
    )
    return path


def test_the_checks_of_the_repository(tmp_path: Path) -> None:
    found = load_config(config(tmp_path, 'checks = ["a b", "c", "a b"]\nchecks_minutes = 0.5'))
    assert found.checks == ("a b", "c")
    assert (found.checks_network, found.checks_rebuild, found.checks_minutes) == (False, False, 0.5)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('checks = "pytest"', "expected `array`"),
        ("checks = [1]", "expected `str`"),
        ('checks = [" "]', "contains an empty command"),
        ('checks = ["a\\u0000b"]', "a NUL character"),
        (f'checks = ["{"x" * (LONGEST_CHECK + 1)}"]', f"more than {LONGEST_CHECK} characters"),
        ("checks_minutes = 0", "is not a number of minutes above 0"),
        ("checks_minutes = -1", "is not a number of minutes above 0"),
        ("checks_minutes = nan", "is not a number of minutes above 0"),
        ("checks_minutes = 1441", "is not a number of minutes above 0, up to 1440"),
        ("checks_minutes = true", "expected `float`"),
        ('checks_network = "yes"', "expected `bool`"),
        ("checks_rebuild = 1", "expected `bool`"),
    ],
)
def test_wrong_settings(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=r"config.toml: \[code\] checks") as caught:
        load_config(config(tmp_path, text))
    assert told in caught.value.message


def test_the_checks_of_a_plan(tmp_path: Path) -> None:
    found = read_plan(plan(tmp_path, "checks:\n  - pytest -q\n  - 'true'"))
    assert found.checks == ("pytest -q", "true")
    assert read_plan(plan(tmp_path, "")).checks == ()


@pytest.mark.parametrize(
    ("front", "told"),
    [
        ("checks: pytest", "line 6: checks: is not a list of strings"),
        ("checks: {a: b}", "line 6: checks: is not a list of strings"),
        ("checks: ['']", "line 6: checks, item 1: is empty"),
        ("checks:\n- true\n- a: b", "line 8: checks, item 2"),
        (f"checks: [{'x' * 4001}]", "checks, item 1: contains a command of more than 4000 characters"),
    ],
)
def test_wrong_checks_of_a_plan(tmp_path: Path, front: str, told: str) -> None:
    with pytest.raises(PlanError) as caught:
        read_plan(plan(tmp_path, front))
    assert told in caught.value.message
