"""A forwarded value is in the env file, in the session's environment and at the model: nowhere else."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.scan.plants import PLANTS
from tests.scan.scene import scan
from tests.scan.searches import Part, Search

MAY_BE_EMPTY = {"the engine's log"}  # where another is in charge of the engine


def test_sessions_and_failures_spread_no_secret(tmp_path: Path) -> None:
    searched = scan(tmp_path)
    assert {one.place: one.finds for one in searched if one.finds} == {}
    assert {one.place for one in searched if not one.items} <= MAY_BE_EMPTY


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_a_planted_one_is_found(plant: Callable[[Path, str], Iterator[Part]], tmp_path: Path) -> None:
    value = f"q{secrets.token_hex(12)}"
    assert len(Search(value).parts("planted", plant(tmp_path, value)).finds) == 1
