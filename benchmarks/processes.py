"""What a start costs besides time: the programs that it starts, and the processor time of all of them.

A machine that is busy makes a start longer, but neither of these much larger.
"""

from __future__ import annotations

import os
import resource
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.workplace import LW_CODER, Workplace, workplace
from tests.support.sample_repository import PLAN_ID

COUNTED = ("git", "docker")

# It stands in front of the real program, which replaces it: one start is one line.
_RECORDER = """#!/bin/sh
printf '%s\\n' "{name} $*" >> '{log}'
exec '{real}' "$@"
"""


def measure(_times: int) -> Iterator[Figure]:
    """Count what a warm start runs; the number is the same every time."""
    with workplace() as place:
        place.code()
        counts = started(place)
    for name in COUNTED:
        yield Figure(f"{name} processes of a warm start", "figure", [counts[name]], unit="processes")


def started(place: Workplace, plan: str = PLAN_ID) -> Counter[str]:
    """Carry a plan out, and count the processes of git and docker that lw_coder starts."""
    return Counter(line.split(" ", 1)[0] for line in command_lines(place, plan))


def command_lines(place: Workplace, plan: str = PLAN_ID) -> list[str]:
    """Carry a plan out, and return the command lines of git and docker that lw_coder starts, in order.

    What these start themselves is not among them.
    """
    log, folder = place.home / "started", place.home / "recorders"
    folder.mkdir(exist_ok=True)
    log.write_bytes(b"")
    for name in COUNTED:
        text = _RECORDER.format(name=name, log=log, real=shutil.which(name))
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o755)
    place.times(place.lw_coder, "code", plan, PATH=f"{folder}:{os.environ['PATH']}")
    return log.read_text(encoding="utf-8").removesuffix("\n").split("\n")


def processor_time(place: Workplace, plan: str = PLAN_ID) -> float:
    """Carry a plan out; return the seconds of the processor that lw_coder and what it waits for used."""
    before = _used()
    place.code(plan)
    return _used() - before


def _used() -> float:
    """Seconds of all ended child processes; the engine, which builds and runs, is none of them."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Print the command lines of a warm start of this checkout's lw_coder, or of another's."""
    lw_coder = str(Path(sys.argv[1]).absolute()) if sys.argv[1:] else LW_CODER
    with workplace(lw_coder=lw_coder) as place:
        place.code()
        for line in command_lines(place):
            print(line.replace(str(place.root), "."))


if __name__ == "__main__":
    main()
