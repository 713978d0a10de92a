"""A few of the crowds of the torture: `nox -s torture -- crowds` makes all of them."""

from __future__ import annotations

from pathlib import Path

from tests.torture.cases import Extent
from tests.torture.crowds import opened

CHOSEN = ("runs of one plan at once", "batches at once", "prune, clean, take and list while others run")


def test_commands_at_once_do_not_collide(short_folder: Path) -> None:
    with opened(short_folder, Extent(0.1)) as cases:
        wrong = {case.what: found for case in cases if case.what in CHOSEN and (found := case.run())}
    assert wrong == {}
