"""A part of the torture's weather, always the same cases: `nox -s torture` has all of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.torture.cases import Extent
from tests.torture.weather import opened

CHOSEN = Extent(share=0.04, seed=47504)

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root may start an engine and mount a disk")


def test_nothing_is_lost_whatever_the_weather(short_folder: Path) -> None:
    with opened(short_folder, CHOSEN) as cases:
        wrong = {case.name: found for case in cases if (found := case.run())}
    assert wrong == {}, f"to repeat: nox -s torture -- weather --share {CHOSEN.share} --seed {CHOSEN.seed}"
