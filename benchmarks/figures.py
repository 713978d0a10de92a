"""The samples of a measurement, the samples of what it is compared with, and the goals."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

Unit = Literal["s", "ms", "MiB", "processes"]
Kind = Literal["ratio", "difference", "exponent", "figure"]
_Sample = TypeVar("_Sample")


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Attributes:
        name: what is measured; its goal is looked up by this name.
        kind: how a sample of ours and the other's sample of the same turn are compared: ours divided by the
            other's, ours minus the other's, or the exponent of the growth from the other's size to ours. A
            plain figure is not compared.
        ours: samples, in `unit`.
        other: samples of what ours is compared with, one for each of ours, taken in turns with them; empty
            for a plain figure.
        beside: what the other is.
        unit: the unit of the samples.
        growth: the sizes of the other and of ours, for an exponent.
    """

    name: str
    kind: Kind
    ours: Sequence[float]
    other: Sequence[float] = ()
    beside: str = ""
    unit: Unit = "s"
    growth: tuple[int, int] = (1, 1)

    @property
    def value(self) -> float:
        """The value that the goal limits: the median over the turns, so that a slow minute cancels out."""
        return statistics.median(self._values)

    @property
    def shown(self) -> str:
        """The value as the table shows it; for a ratio of several turns also the middle half of the turns."""
        if self.kind == "exponent":
            return f"n^{self.value:.2f}"
        if self.kind != "ratio":
            return _with_unit(self.value, self.unit)
        if len(self._values) == 1:
            return f"{self.value:.2f}x"
        lower, _, upper = statistics.quantiles(self._values, n=4, method="inclusive")
        return f"{self.value:.2f}x ({lower:.2f} to {upper:.2f})"

    @property
    def _values(self) -> list[float]:
        """One value for each turn."""
        if self.kind == "figure":
            return list(self.ours)
        return [self._compared(ours, other) for ours, other in zip(self.ours, self.other, strict=True)]

    def _compared(self, ours: float, other: float) -> float:
        if self.kind == "ratio":
            return ours / other
        if self.kind == "difference":
            return ours - other
        return math.log(ours / other) / math.log(self.growth[1] / self.growth[0])


# The most that each value may be. None is a time, so that they hold on a slow machine too; the gateway's
# delay alone is a difference of times. docs/explanation/performance.md says where they come from. What is
# not listed is measured and has no goal.
GOALS: Mapping[str, float] = {
    "--help": 4.4,
    "completion": 10.0,
    "warm code, first instruction": 1.25,
    "warm code beside devcontainer, first instruction": 0.75,
    "first piece of an answer through the gateway": 15.0,
    "8 answers at once through the gateway": 1.11,
    "code with the gateway, prompts written, first instruction": 1.15,
    "git processes of a warm start": 16.0,
    "docker processes of a warm start": 7.0,
    "cold prompts and a changed layer": 1.15,
    "8 at once": 1.25,
    "a batch of 8 plans": 1.1,
    "memory during a session": 60.0,
    "verification of 10000 files": 1.5,
    "validating among 10000 plans": 0.85,
    "pruning among 1000 runs": 6.0,
    "growth of validating, 1000 to 10000 plans": 1.0,
    "growth of pruning, 1000 to 10000 runs": 1.0,
    "growth of the private git folder, 10000 to 100000 files": 1.0,
    "growth of importing commits, 10000 to 100000 files": 1.0,
}
# The same for `--against`: "no slower than the other checkout", with room for noise.
NO_SLOWER: Mapping[str, float] = {
    "--help against the other": 1.05,
    "warm code against the other, first instruction": 1.05,
    "warm code against the other, return": 1.05,
    "processor time of a warm start against the other": 1.05,
    "8 at once against the other": 1.05,
}
_ALL_GOALS = {**GOALS, **NO_SLOWER}
_TOLERANCE = 0.1  # added to an exponent's goal: noise can make linear growth look steeper


def verdict(figure: Figure) -> str:
    """Return PASS or FAIL, or nothing where there is no goal.

    Raises:
        ValueError: the value is a time, which says more about the machine than about lw_coder.
    """
    goal = _ALL_GOALS.get(figure.name)
    if goal is None:
        return ""
    if figure.unit == "s" and figure.kind in {"figure", "difference"}:
        raise ValueError(f"{figure.name}: a goal has to be a ratio, an exponent or a size, not a time")
    return "PASS" if figure.value <= goal + (_TOLERANCE if figure.kind == "exponent" else 0) else "FAIL"


def unmeasured(figures: Iterable[Figure], goals: Iterable[str] = GOALS) -> list[str]:
    """Return the names of the goals that nothing was measured for."""
    measured = {figure.name for figure in figures}
    return [name for name in goals if name not in measured]


def in_turns(times: int, *takes: Callable[[], _Sample]) -> list[list[_Sample]]:
    """Take samples of several things, one of each in turn, so that all of them meet the same noise.

    Every second turn goes backwards: what one leaves behind for the next slows each of them equally often.
    """
    samples: list[list[_Sample]] = [[] for _ in takes]
    for turn in range(times):
        pairs = list(zip(samples, takes, strict=True))
        for taken, take in reversed(pairs) if turn % 2 else pairs:
            taken.append(take())
    return samples


def rows(figures: Iterable[Figure]) -> list[tuple[str, ...]]:
    """Return the table's rows, in the columns of HEADER."""
    return [
        (
            figure.name,
            _spread(figure.ours, figure.unit),
            f"{_spread(figure.other, figure.unit)} ({figure.beside})" if figure.other else "",
            figure.shown,
            _goal(figure),
            verdict(figure),
        )
        for figure in figures
    ]


HEADER = (
    "what",
    "lw_coder: median (least to most)",
    "compared with",
    "value (middle half of the turns)",
    "goal",
    "",
)


def markdown(figures: Iterable[Figure]) -> str:
    """Return the table as docs/explanation/performance.md has it."""
    lines = ["| " + " | ".join(HEADER) + " |", "|" + "---|" * len(HEADER)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows(figures))]) + "\n"


def dump(figures: Iterable[Figure], path: Path) -> None:
    """Write every sample as JSON."""
    values = [{**asdict(figure), "value": figure.value, "verdict": verdict(figure)} for figure in figures]
    path.write_text(json.dumps(values, indent=1) + "\n", encoding="ascii")


def load(path: Path) -> list[Figure]:
    """Read what `dump` wrote."""
    entries: list[dict[str, Any]] = json.loads(path.read_text(encoding="ascii"))
    names = set(Figure.__dataclass_fields__)
    kept = [{name: value for name, value in entry.items() if name in names} for entry in entries]
    return [Figure(**{**entry, "growth": tuple(entry["growth"])}) for entry in kept]


def _spread(samples: Sequence[float], unit: Unit) -> str:
    middle = _with_unit(statistics.median(samples), unit)
    return middle if len(samples) == 1 else f"{middle} ({_number(min(samples))} to {_number(max(samples))})"


def _with_unit(value: float, unit: Unit) -> str:
    return f"{_number(value)} {unit}"


def _number(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"  # noqa: PLR2004 - four digits either way


def _goal(figure: Figure) -> str:
    goal = _ALL_GOALS.get(figure.name)
    if goal is None:
        return ""
    forms = {"ratio": f"at most {goal:g}x", "exponent": f"at most n^{goal:g}"}
    return forms.get(figure.kind, f"at most {goal:g} {figure.unit}")
