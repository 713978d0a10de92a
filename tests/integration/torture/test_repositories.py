"""A few odd repositories; `nox -s torture` has all of them."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from tests.torture.cases import Extent
from tests.torture.repositories import opened


@pytest.mark.usefixtures("home")
def test_a_plan_is_carried_out_in_odd_repositories(tmp_path: Path) -> None:
    extent = Extent(share=0.05, seed=secrets.randbelow(1_000_000))
    with opened(tmp_path, extent) as cases:
        wrong = {case.name: found for case in cases if (found := case.run())}
    assert wrong == {}, f"seed {extent.seed}"
