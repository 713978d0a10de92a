"""What is measured: samples of a thing and of what it is compared with, and the goals."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

Unit = Literal["s", "MiB"]
Kind = Literal["ratio", "difference", "exponent", "figure"]


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Attributes:
        name: by which it is chosen, and its goal found.
        kind: what is told of it: ours divided by the other, ours less the other, the exponent of the growth
            from the other's size to ours, or ours alone.
        ours: samples, in `unit`.
        other: samples of what it is compared with, taken in turns with ours; empty for a figure alone.
        beside: what that is.
        unit: of the samples.
        growth: sizes of the other and of ours, for an exponent.
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
        """What the goal is about, of the medians."""
        ours, other = statistics.median(self.ours), statistics.median(self.other or [1.0])
        if self.kind == "ratio":
            return ours / other
        if self.kind == "difference":
            return ours - other
        if self.kind == "exponent":
            return math.log(ours / other) / math.log(self.growth[1] / self.growth[0])
        return ours

    @property
    def shown(self) -> str:
        """The value as it is read."""
        if self.kind == "ratio":
            return f"{self.value:.2f}x"
        if self.kind == "exponent":
            return f"n^{self.value:.2f}"
        return _with_unit(self.value, self.unit)


# The most that each may be; the rest is measured and has no goal.
GOALS: Mapping[str, float] = {
    "--help": 4.4,
    "completion": 10.0,
    "warm code, first instruction": 1.25,
    "warm code beside devcontainer, first instruction": 0.75,
    "cold prompts and a changed layer": 1.15,
    "8 at once": 1.25,
    "memory during a session": 60.0,
    "validating among 10000 plans": 0.100,
    "pruning among 1000 runs": 0.050,
    "growth of validating, 1000 to 10000 plans": 1.0,
    "growth of pruning, 1000 to 10000 runs": 1.0,
    "growth of the private git folder, 10000 to 100000 files": 1.0,
    "growth of bringing home, 10000 to 100000 files": 1.0,
}
_TOLERANCE = 0.1  # of an exponent: what noise makes of a straight line


def verdict(figure: Figure) -> str:
    """Return PASS or FAIL, or nothing where there is no goal."""
    goal = GOALS.get(figure.name)
    if goal is None:
        return ""
    return "PASS" if figure.value <= goal + (_TOLERANCE if figure.kind == "exponent" else 0) else "FAIL"


def unmeasured(figures: Iterable[Figure]) -> list[str]:
    """Return the names of the goals that nothing was measured for."""
    measured = {figure.name for figure in figures}
    return [name for name in GOALS if name not in measured]


def in_turns(times: int, *takes: Callable[[], float]) -> list[list[float]]:
    """Take samples of several things, one of each in turn, so that noise is shared."""
    samples: list[list[float]] = [[] for _ in takes]
    for _ in range(times):
        for kept, take in zip(samples, takes, strict=True):
            kept.append(take())
    return samples


def rows(figures: Iterable[Figure]) -> list[tuple[str, ...]]:
    """Return the table's lines: what, ours, the other, the value, the goal, the verdict."""
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


HEADER = ("what", "lw_coder: median (least to most)", "beside", "", "goal", "")


def markdown(figures: Iterable[Figure]) -> str:
    """Return the table as docs/explanation/performance.md has it."""
    lines = ["| " + " | ".join(HEADER) + " |", "|" + "---|" * len(HEADER)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows(figures))]) + "\n"


def dump(figures: Iterable[Figure], path: Path) -> None:
    """Write every sample, for whoever wants to look again."""
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
    goal = GOALS.get(figure.name)
    if goal is None:
        return ""
    forms = {"ratio": f"at most {goal:g}x", "exponent": f"at most n^{goal:g}"}
    return forms.get(figure.kind, f"at most {goal:g} {figure.unit}")
