"""What the package asks of others."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ASKED = [*PROJECT["project"]["dependencies"], *PROJECT["build-system"]["requires"]]


@pytest.mark.parametrize("asked", ASKED)
def test_each_dependency_is_bounded_on_both_sides(asked: str) -> None:
    operators = {specifier.operator for specifier in Requirement(asked).specifier}
    assert operators == {">=", "<"}


@pytest.mark.parametrize("asked", PROJECT["project"]["dependencies"])
def test_what_the_tests_run_with_is_within_the_bounds(asked: str) -> None:
    requirement = Requirement(asked)
    lines = (ROOT / "tests/constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = dict(line.split("==") for line in lines if "==" in line)
    assert requirement.specifier.contains(pinned[requirement.name])
