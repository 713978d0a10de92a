"""This repository's own .lw_coder/: what `lw_coder code` reads before it starts anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from lw_coder.containers.images import read_build_files
from lw_coder.plans.plan_checks import check_plans
from lw_coder.plans.plan_file import TASKS_FOLDER
from lw_coder.repository.git import find_repository
from lw_coder.settings.config import load_config

ROOT = Path(__file__).parents[2]
PLANS = sorted((ROOT / TASKS_FOLDER).glob("*.md"))


def test_there_is_a_plan() -> None:
    assert PLANS


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_a_plan_is_valid_and_starts_from_a_commit_of_ours(path: Path) -> None:
    (plan,) = check_plans(find_repository(ROOT), [path])
    assert plan.problems == ()


def test_the_config_is_valid_and_names_the_env_file() -> None:
    config = load_config(ROOT)
    assert (config.env_file, config.forward_env) == (".env", ("OPENROUTER_*",))
    assert not config.warnings()


def test_the_image_starts_from_the_base_and_its_context_is_small() -> None:
    files = read_build_files(ROOT, env_file=None)
    assert "FROM lw_coder_droid:latest" in files.dockerfile.splitlines()
    assert "*" in files.ignore.splitlines()
