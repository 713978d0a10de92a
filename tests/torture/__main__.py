"""Do to lw_coder what must not harm it: `python -m tests.torture [GROUP ...]` prints a table of what failed.

`--help` has the options. The seed, which is printed, repeats what is random; what the machine does meanwhile
can differ.
"""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from tests.torture.cases import Case, Extent

# A module of this package each, with `opened`, a Group.
# In the order in which they run.
GROUPS: tuple[str, ...] = (
    "killed",
    "killed_on_nodes",
    "crowds",
    "inputs",
    "repositories",
    "weather",
    "long_sessions",
)


@dataclass(frozen=True)
class Outcome:
    """What came of a case.

    Attributes:
        group: its group.
        case: the case.
        wrong: all that was wrong; empty if nothing was.
    """

    group: str
    case: Case
    wrong: tuple[str, ...]


def main() -> int:
    """Run the groups; the status is 0 only if nothing was wrong."""
    options = _options()
    extent = Extent(options.share, options.seed)
    # Children inherit that a shell has what it starts in the background ignore Ctrl+C, and nohup a hangup.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    print(f"seed {extent.seed}, share {extent.share}", flush=True)
    outcomes: list[Outcome] = []
    began = time.monotonic()
    with suppress(KeyboardInterrupt):  # the table then has what was done until now
        for name in options.groups or GROUPS:
            outcomes += _run(name, extent)
    Console(width=120).print(_table(outcomes))
    print(f"{(time.monotonic() - began) / 60:.0f} minutes")
    return 1 if not outcomes or any(outcome.wrong for outcome in outcomes) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=", ".join(GROUPS))
    parser.add_argument("--share", type=float, default=1.0, help="of all cases, such as 0.05 (default: 1)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    options = parser.parse_args()
    unknown = [name for name in options.groups if name not in GROUPS]
    if unknown:
        parser.error(f"no group is called {unknown[0]}; there are {', '.join(GROUPS)}")
    if not 0 < options.share <= 1:
        parser.error(f"--share {options.share}: it is above 0, and at most 1")
    return options


def _run(name: str, extent: Extent) -> Iterator[Outcome]:
    """Run a group in a folder of its own, with a home of its own; print each case that fails at once."""
    opened = import_module(f"tests.torture.{name}").opened
    prefix = f"lw_coder-torture-{name}-"
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as folder:
        home = Path(folder) / "home"
        home.mkdir()
        os.environ["HOME"] = str(home)
        with opened(Path(folder), extent) as cases:
            for number, case in enumerate(cases, 1):
                outcome = Outcome(name, case, _wrong(case))
                told = f"FAILED {'; '.join(outcome.wrong)}" if outcome.wrong else "ok"
                print(f"{name} {number}/{len(cases)} {case.what}: {case.name}: {told}", flush=True)
                yield outcome


def _wrong(case: Case) -> tuple[str, ...]:
    try:
        return tuple(case.run())
    except Exception:  # noqa: BLE001 - a case that breaks has failed; the others go on
        return (f"the case itself broke:\n{traceback.format_exc()}",)


def _table(outcomes: Sequence[Outcome]) -> Table:
    table = Table(box=box.ASCII2)
    table.add_column("group")
    table.add_column("what")
    table.add_column("how many", justify="right")
    table.add_column("failed", justify="right")
    for group, what in dict.fromkeys((outcome.group, outcome.case.what) for outcome in outcomes):
        of_it = [outcome for outcome in outcomes if (outcome.group, outcome.case.what) == (group, what)]
        table.add_row(group, what, *_counts(of_it))
    table.add_row("all", "", *_counts(outcomes))
    return table


def _counts(outcomes: Sequence[Outcome]) -> tuple[str, str]:
    return (
        str(sum(outcome.case.count for outcome in outcomes)),
        str(sum(bool(outcome.wrong) for outcome in outcomes)),
    )


if __name__ == "__main__":
    sys.exit(main())
