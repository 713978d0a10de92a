"""A few of the strikes of the torture, always the same: `nox -s torture` makes all of them."""

from __future__ import annotations

from pathlib import Path

from tests.torture.cases import Extent
from tests.torture.killed import opened

CHOSEN = Extent(share=0.012, seed=46107)


def test_a_command_that_is_killed_or_ended_at_one_of_its_steps_loses_nothing(short_folder: Path) -> None:
    with opened(short_folder, CHOSEN) as cases:
        wrong = {case.name: found for case in cases if (found := case.run())}
    assert wrong == {}, f"to repeat: nox -s torture -- killed --share {CHOSEN.share} --seed {CHOSEN.seed}"
