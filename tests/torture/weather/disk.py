"""A disk that gets full."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from lw_coder.foundation.errors import ExitCode
from tests.torture.weather.place import Kind, Place, recovered, waiting
from tests.torture.weather.running import CODE, ran, unusual

PAGE = 4096
# Of a whole start the repository's disk gets under 60 pages; the others are written at its end.
PAGES = (0, 1, 2, 4, 6, 8, 11, 14, 18, 24, 30, 40, 56, 100)
_ENDS = {ExitCode.OK, ExitCode.ERROR, ExitCode.SESSION}


def full_at(place: Place, pages: int, *, whole: bool) -> Iterator[str]:
    """A disk gets full after so many pages.

    Args:
        place: where.
        pages: of 4 kB, that are free when the command starts.
        whole: whether the home and the temporary files are on that disk too.
    """
    scene = place.on_disk(whole=whole)
    before = scene.persons()
    with _full(place.disk, pages):
        told = ran(scene, *CODE)
    yield from unusual(told, _ENDS)
    yield from recovered(scene, before)


@contextmanager
def _full(disk: Path, pages: int) -> Iterator[None]:
    ballast = disk / "ballast"
    found = os.statvfs(disk)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, found.f_bavail - pages) * PAGE)
    try:
        yield
    finally:
        ballast.unlink()


def full_at_the_import(place: Place) -> Iterator[str]:
    with place.scene(place.disk) as scene, waiting(scene) as session:
        session.let_go()
        with _full(place.disk, 0):
            told = session.command.end()
        yield from unusual(told, _ENDS)
        yield from session.recovered()


def kinds() -> Iterator[Kind]:
    for pages in PAGES:
        for where, whole in (("the repository's", False), ("all files", True)):
            yield "a full disk", f"{where}, {pages} pages", partial(full_at, pages=pages, whole=whole)
    yield "a full disk", "when the session has ended", full_at_the_import
