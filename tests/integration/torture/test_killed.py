"""A few of the strikes of the torture, at other steps each time: `nox -s torture` makes all of them."""

from __future__ import annotations

import secrets
from pathlib import Path

from tests.torture.cases import Extent
from tests.torture.killed import opened

SHARE = 0.012


def test_a_command_that_is_killed_or_ended_at_one_of_its_steps_loses_nothing(tmp_path: Path) -> None:
    extent = Extent(SHARE, secrets.randbelow(1_000_000))
    with opened(tmp_path, extent) as cases:
        wrong = {case.name: found for case in cases if (found := case.run())}
    assert wrong == {}, f"to repeat: nox -s torture -- killed --share {SHARE} --seed {extent.seed}"
