"""What the benchmark makes of its samples."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.figures import Figure, dump, in_turns, load, markdown, unmeasured, verdict

HELP = Figure("--help", "ratio", [0.04, 0.05, 0.09], [0.01, 0.01, 0.02], "python -c pass")


@pytest.mark.parametrize(
    ("figure", "value", "shown"),
    [
        (HELP, 5.0, "5.00x"),
        (Figure("a", "difference", [70.0], [10.0], "b", "MiB"), 60.0, "60.0 MiB"),
        (Figure("a", "exponent", [10.0], [1.0], "b", growth=(10, 100)), 1.0, "n^1.00"),
        (Figure("a", "exponent", [100.0], [1.0], "b", growth=(10, 100)), 2.0, "n^2.00"),
        (Figure("a", "figure", [1.0, 3.0, 2.0]), 2.0, "2.000 s"),
    ],
)
def test_the_value_is_of_the_medians(figure: Figure, value: float, shown: str) -> None:
    assert figure.value == pytest.approx(value)
    assert figure.shown == shown


def test_the_verdict_is_the_goals() -> None:
    assert verdict(HELP) == "FAIL"
    assert verdict(replace(HELP, ours=[0.044])) == "PASS"
    assert verdict(replace(HELP, name="of no goal")) == ""


def test_a_goal_that_nothing_was_measured_for_is_told() -> None:
    assert "--help" not in unmeasured([HELP])
    assert "8 at once" in unmeasured([HELP])


def test_samples_are_taken_in_turns() -> None:
    taken: list[str] = []

    def take(name: str) -> float:
        taken.append(name)
        return float(len(taken))

    assert in_turns(2, lambda: take("a"), lambda: take("b")) == [[1.0, 3.0], [2.0, 4.0]]
    assert taken == ["a", "b", "a", "b"]


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    growth = Figure("growth", "exponent", [10.0], [1.0], "b", growth=(10, 100))
    dump([HELP, growth], tmp_path / "figures.json")
    assert [figure.value for figure in load(tmp_path / "figures.json")] == [HELP.value, growth.value]
    assert "| 5.00x | at most 4.4x | FAIL |" in markdown([HELP])
