"""A few odd repositories; `nox -s torture` has all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.torture.cases import Extent
from tests.torture.repositories import opened

CHOSEN = Extent(share=0.05, seed=12)  # always the same cases


@pytest.mark.usefixtures("home")
def test_a_plan_is_carried_out_in_odd_repositories(tmp_path: Path) -> None:
    with opened(tmp_path, CHOSEN) as cases:
        wrong = {case.name: found for case in cases if (found := case.run())}
    assert wrong == {}
