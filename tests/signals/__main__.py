"""Send signals at random moments of a start: `python -m tests.signals [NUMBER] [SEED]` prints a table.

The seed, which is printed, repeats the moments; what the machine does at them can differ.
"""

from __future__ import annotations

import os
import secrets
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.integration.conftest import a_person
from tests.signals.strikes import SIGNALS, Outcome, Scene, strikes
from tests.support.agent_script import scripted_alone
from tests.support.engine import bridge_address
from tests.support.sample_repository import make_sample_repository
from tests.support.scripted_model import ScriptedModel

NUMBER = 300
COLUMNS = ("sent", "before its handlers", "in the session", "lost", "wrong status", "left something")


def main() -> int:
    """Strike; the status is 0 only if each signal ended the command with its status, and nothing was left."""
    number = int(sys.argv[1]) if sys.argv[1:] else NUMBER
    seed = int(sys.argv[2]) if sys.argv[2:] else secrets.randbelow(1_000_000)
    # Children inherit that a shell has what it starts in the background ignore Ctrl+C, and nohup a hangup.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    with tempfile.TemporaryDirectory(prefix="lw_coder-signals-") as folder:
        outcomes = struck(Path(folder), number, seed)
    Console().print(_table(outcomes))
    wrong = [outcome for outcome in outcomes if not outcome.is_right]
    for outcome in wrong:
        print(outcome)
    return 1 if wrong or len(outcomes) < number else 0


def struck(folder: Path, number: int, seed: int) -> list[Outcome]:
    """Make a repository and a person in an empty folder, and strike that often."""
    for name in ("home", "scene"):
        (folder / name).mkdir()
    os.environ["HOME"] = str(folder / "home")
    with ScriptedModel(scripted_alone, host=bridge_address()) as model:
        sample = make_sample_repository(folder / "sample")
        sample.write_env(model.base_url)
        with a_person(folder / "home", sample.root) as person:
            scene = Scene(sample, person, folder / "scene")
            scene.measure()
            print(
                f"a start takes {scene.length:.2f} s until its session; {number} signals, seed {seed}",
                flush=True,
            )
            planned = strikes(number, scene.length, seed)
            outcomes = []
            with suppress(KeyboardInterrupt):  # the table then has what was sent until now
                for strike in track(planned, "Signals"):
                    outcomes.append(scene.struck(strike))  # noqa: PERF401 - kept when it is interrupted
            return outcomes


def _table(outcomes: Sequence[Outcome]) -> Table:
    table = Table(box=box.ASCII2)
    table.add_column("signal")
    for name in COLUMNS:
        table.add_column(name, justify="right")
    for number in SIGNALS:
        of_it = [outcome for outcome in outcomes if outcome.strike.number == number]
        table.add_row(number.name, *map(str, _counts(of_it)))
    table.add_row("all", *map(str, _counts(outcomes)))
    return table


def _counts(outcomes: Sequence[Outcome]) -> tuple[int, ...]:
    return (
        len(outcomes),
        sum(outcome.before_handlers for outcome in outcomes),
        sum(outcome.in_session for outcome in outcomes),
        sum(outcome.is_lost for outcome in outcomes),
        sum(outcome.has_wrong_status for outcome in outcomes),
        sum(bool(outcome.left) for outcome in outcomes),
    )


if __name__ == "__main__":
    sys.exit(main())
