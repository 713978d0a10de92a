"""Engines that stop or freeze, no network, full disks, unusable folders, other homes and users, clocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.torture.cases import Case, Extent
from tests.torture.weather import disk, engine, folders, frozen_commands, network, users_and_clocks
from tests.torture.weather.place import Kind, Place, placed


@contextmanager
def opened(folder: Path, extent: Extent) -> Iterator[Sequence[Case]]:
    """Choose among all that the weather can be."""
    every = list(kinds())
    chosen = sorted(extent.random().sample(range(len(every)), extent.of(len(every))))
    with placed(folder, 60 * max(extent.share, 0.15)) as place:
        yield [_case(place, *every[number]) for number in chosen]


def kinds() -> Iterator[Kind]:
    """Return all cases, in the order in which they run."""
    for module in (engine, frozen_commands, network, folders, users_and_clocks, disk):
        yield from module.kinds()


def _case(place: Place, what: str, name: str, run: Callable[[Place], Iterator[str]]) -> Case:
    return Case(what, name, lambda: list(run(place)))
