"""A part of the torture's weather, other cases each time: `nox -s torture` has all of it."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import pytest

from tests.torture.cases import Extent
from tests.torture.weather import opened

SHARE = 0.04

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root may start an engine and mount a disk")


def test_nothing_is_lost_whatever_the_weather(tmp_path: Path) -> None:
    extent = Extent(SHARE, secrets.randbelow(1_000_000))
    with opened(tmp_path, extent) as cases:
        wrong = {case.name: found for case in cases if (found := case.run())}
    assert wrong == {}, f"to repeat: nox -s torture -- weather --share {SHARE} --seed {extent.seed}"
