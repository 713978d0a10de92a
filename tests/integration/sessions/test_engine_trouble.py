"""An engine that goes away or freezes while a session runs, and a second home on the same plan."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.torture.weather import engine, users_and_clocks
from tests.torture.weather.place import Place, placed

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(os.getuid() != 0, reason="only root may start an engine and mount a disk"),
]


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with (
        tempfile.TemporaryDirectory(prefix="lw-", ignore_cleanup_errors=True) as folder,
        placed(Path(folder), 10) as found,
    ):
        yield found


def test_a_session_that_the_engine_took_along_has_not_completed(place: Place) -> None:
    assert list(engine.stopped_during_session(place, terminal=True)) == []


def test_a_signal_ends_a_session_whose_engine_is_frozen(place: Place) -> None:
    assert list(engine.frozen_at_end(place, signal.SIGTERM, terminal=False)) == []


def test_a_signal_ends_a_session_at_a_terminal_whose_engine_is_frozen(place: Place) -> None:
    assert list(engine.frozen_at_end(place, signal.SIGHUP, terminal=True)) == []


@pytest.mark.parametrize("name", ["HOME", "XDG_STATE_HOME"])
def test_a_second_home_meets_the_first_ones_lock(place: Place, name: str) -> None:
    assert list(users_and_clocks.another_home(place, name)) == []
