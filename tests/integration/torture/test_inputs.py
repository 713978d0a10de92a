"""A few of each kind of bad input; `nox -s torture` has thousands."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.torture.cases import Extent
from tests.torture.inputs import opened

CHOSEN = Extent(share=0.03, seed=12)  # always the same cases


@pytest.mark.usefixtures("home")
def test_bad_input_breaks_nothing(tmp_path: Path) -> None:
    with opened(tmp_path, CHOSEN) as cases:
        wrong = {f"{case.what}: {case.name}": found for case in cases if (found := case.run())}
    assert wrong == {}
