"""A few of each kind of bad input; `nox -s torture` has thousands."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from tests.torture.cases import Extent
from tests.torture.inputs import opened


@pytest.mark.usefixtures("home")
def test_bad_input_breaks_nothing(tmp_path: Path) -> None:
    extent = Extent(share=0.03, seed=secrets.randbelow(1_000_000))
    with opened(tmp_path, extent) as cases:
        wrong = {f"{case.what}: {case.name}": found for case in cases if (found := case.run())}
    assert wrong == {}, f"seed {extent.seed}"
