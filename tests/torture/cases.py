"""What a torture is made of: cases, each of which does one thing to lw_coder and looks at what came of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Case:
    """One thing that is done to lw_coder.

    Attributes:
        what: its row in the table, which it shares with others of its kind.
        name: which one of its kind it is: enough to repeat it, with the seed.
        run: does it, and returns all that is wrong afterwards; nothing if lw_coder did what it promises.
        count: how many cases it stands for in the table, such as generated inputs of one property.
    """

    what: str
    name: str
    run: Callable[[], Sequence[str]]
    count: int = 1


@dataclass(frozen=True)
class Extent:
    """How much is to be done.

    Attributes:
        share: of the whole number of cases, above 0 and at most 1.
        seed: what is random is drawn with it.
    """

    share: float = 1.0
    seed: int = 0

    def of(self, whole: int) -> int:
        """Return the share of a whole number of cases, at least one."""
        return max(1, round(whole * self.share))

    def random(self) -> random.Random:
        """Return a source of randomness that the seed repeats."""
        return random.Random(self.seed)  # noqa: S311 - no secret depends on it


Group = Callable[[Path, Extent], AbstractContextManager[Sequence[Case]]]
"""Sets up in an empty folder what its cases need, makes them, and clears away afterwards."""
