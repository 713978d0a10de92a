"""What the benchmark makes of its samples."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.against import installed
from benchmarks.figures import NO_SLOWER, Figure, Kind, dump, in_turns, load, markdown, unmeasured, verdict

BARE = [0.01, 0.01, 0.02]
HELP = Figure("--help", "ratio", [0.04, 0.05, 0.10], BARE, "python -c pass")


@pytest.mark.parametrize(
    ("figure", "value", "shown"),
    [
        (HELP, 5.0, "5.00x (4.50 to 5.00)"),
        (Figure("a", "ratio", [3.0], [2.0], "b"), 1.5, "1.50x"),
        (Figure("a", "difference", [70.0], [10.0], "b", "MiB"), 60.0, "60.0 MiB"),
        (Figure("a", "exponent", [10.0], [1.0], "b", growth=(10, 100)), 1.0, "n^1.00"),
        (Figure("a", "exponent", [100.0], [1.0], "b", growth=(10, 100)), 2.0, "n^2.00"),
        (Figure("a", "figure", [1.0, 3.0, 2.0]), 2.0, "2.000 s"),
    ],
)
def test_the_value_is_the_median_of_the_turns(figure: Figure, value: float, shown: str) -> None:
    assert figure.value == pytest.approx(value)
    assert figure.shown == shown


def test_a_slow_minute_that_both_meet_changes_nothing() -> None:
    quiet = Figure("a", "ratio", [2.0, 2.0, 2.0, 2.0], [1.0, 1.0, 1.0, 1.0], "b")
    disturbed = Figure("a", "ratio", [2.0, 2.0, 8.0, 8.0], [1.0, 1.0, 4.0, 4.0], "b")
    assert disturbed.value == quiet.value


def test_the_verdict_compares_the_value_with_the_goal() -> None:
    assert verdict(HELP) == "FAIL"
    assert verdict(Figure("--help", "ratio", [0.03, 0.044, 0.1], BARE)) == "PASS"
    assert verdict(Figure("of no goal", "ratio", [0.03, 0.044, 0.1], BARE)) == ""
    assert verdict(Figure("8 at once against the other", "ratio", [1.1], [1.0])) == "FAIL"


@pytest.mark.parametrize("kind", ["figure", "difference"])
def test_a_time_is_not_judged(kind: Kind) -> None:
    with pytest.raises(ValueError, match="--help"):
        verdict(replace(HELP, kind=kind))


def test_a_goal_that_nothing_was_measured_for_is_listed() -> None:
    assert "--help" not in unmeasured([HELP])
    assert "8 at once" in unmeasured([HELP])
    assert unmeasured([HELP], NO_SLOWER) == list(NO_SLOWER)


def test_samples_are_taken_in_turns() -> None:
    taken: list[str] = []

    def take(name: str) -> float:
        taken.append(name)
        return float(len(taken))

    assert in_turns(3, lambda: take("a"), lambda: take("b")) == [[1.0, 4.0, 5.0], [2.0, 3.0, 6.0]]
    assert taken == ["a", "b", "b", "a", "a", "b"]


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    growth = Figure("growth", "exponent", [10.0], [1.0], "b", growth=(10, 100))
    dump([HELP, growth], tmp_path / "figures.json")
    assert [figure.value for figure in load(tmp_path / "figures.json")] == [HELP.value, growth.value]
    assert "| 5.00x (4.50 to 5.00) | at most 4.4x | FAIL |" in markdown([HELP])


def test_a_checkout_that_is_not_there_is_refused_in_one_line() -> None:
    with pytest.raises(SystemExit, match="no-such-checkout: neither a folder nor a revision"):
        installed("no-such-checkout").__enter__()
