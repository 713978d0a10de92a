"""Signals at random moments of a start: each ends it with its status, and nothing is left."""

from __future__ import annotations

import secrets
from pathlib import Path

from tests.integration.conftest import Person
from tests.signals.strikes import Scene, strikes
from tests.support.sample_repository import SampleRepository

NUMBER = 20  # `nox -s signals` sends 300


def test_a_signal_at_a_random_moment_ends_a_start(
    sample: SampleRepository, person: Person, tmp_path: Path
) -> None:
    (tmp_path / "scene").mkdir()
    scene = Scene(sample, person, tmp_path / "scene")
    scene.measure()
    seed = secrets.randbelow(1_000_000)
    print(f"a start takes {scene.length:.2f} s; to repeat: nox -s signals -- {NUMBER} {seed}")
    outcomes = [scene.struck(strike) for strike in strikes(NUMBER, scene.length, seed)]
    assert [outcome for outcome in outcomes if not outcome.is_right] == []
    assert sample.git("fsck", "--connectivity-only") == ""
    assert not all(outcome.in_session or outcome.before_handlers for outcome in outcomes)
