"""Commands that do next to nothing, compared with the start of a bare Python."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from benchmarks.figures import Figure, in_turns
from benchmarks.workplace import LW_CODER, PYTHON, Workplace, seconds, workplace
from tests.support.sample_repository import PLAN_ID

BARE = (PYTHON, "-c", "pass")
STORED_RUNS = 1000


def measure(times: int) -> Iterator[Figure]:
    """Time each command often: one start takes little time."""
    with workplace() as place:
        place.code()
        _store_runs(place)
        asked = {"_LW_CODER_COMPLETE": "bash_complete", "COMP_WORDS": "lw_coder code sam", "COMP_CWORD": "2"}
        starts = {
            "--help": ((LW_CODER, "--help"), place.env),
            "--version": ((LW_CODER, "--version"), place.env),
            "completion": ((LW_CODER,), {**place.env, **asked}),
            f"runs list over {STORED_RUNS} runs": ((LW_CODER, "runs", "list"), place.env),
        }
        _require(starts["completion"], place.root, "plain,sample-plan", 1)
        _require(starts[f"runs list over {STORED_RUNS} runs"], place.root, PLAN_ID, STORED_RUNS)
        bare = partial(seconds, BARE, place.root, place.env)
        for name, (command, env) in starts.items():
            ours, other = in_turns(times * 3, partial(seconds, command, place.root, env), bare)
            yield Figure(name, "ratio", ours, other, "python -c pass")


def _require(start: tuple[tuple[str, ...], Mapping[str, str]], cwd: Path, word: str, lines: int) -> None:
    """Check that a command does what it is timed for."""
    command, env = start
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=env, cwd=cwd)
    if sum(word in line for line in done.stdout.splitlines()) < lines:
        raise RuntimeError(f"{command}: printed {done.stdout[:500]!r}")


def _store_runs(place: Workplace) -> None:
    run = place.newest_run()
    for number in range(STORED_RUNS):
        name = f"20250{number // 500 + 1}{number // 24 % 20 + 1:02}T{number % 24:02}{number % 60:02}00Z"
        copy = run.parent.with_name(f"{PLAN_ID}-{number % 10}") / f"{name}-{number + 2}"
        copy.mkdir(parents=True)
        shutil.copy(run / "run.json", copy)
