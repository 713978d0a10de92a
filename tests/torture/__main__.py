"""Do to lw_coder what must not harm it: `python -m tests.torture [GROUP ...]` prints a table of what failed.

`--help` has the options. The seed, which is printed, repeats what is random; what the machine does meanwhile
can differ.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, wait
from contextlib import suppress
from multiprocessing import get_context

from rich import box
from rich.console import Console
from rich.table import Table

from tests.torture.cases import Extent
from tests.torture.groups import Outcome, run

# A module of this package each, with `opened`, a Group.
# In the order in which they are begun: the longest first, and one that waits beside one that works.
GROUPS: tuple[str, ...] = (
    "killed",
    "weather",
    "killed_on_nodes",
    "long_sessions",
    "crowds",
    "inputs",
    "repositories",
)
AT_ONCE = 2  # groups; each has engines of its own


def main() -> int:
    """Run the groups; the status is 0 only if nothing was wrong."""
    options = _options()
    extent = Extent(options.share, options.seed)
    print(f"seed {extent.seed}, share {extent.share}", flush=True)
    began = time.monotonic()
    outcomes = _run_all(options.groups or GROUPS, extent)
    Console(width=120).print(_table(outcomes))
    print(f"{(time.monotonic() - began) / 60:.0f} minutes")
    return 1 if not outcomes or any(outcome.wrong for outcome in outcomes) else 0


def _run_all(groups: Sequence[str], extent: Extent) -> list[Outcome]:
    """Run groups side by side; Ctrl+C ends those that have begun, and their cases until then count."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        running = [pool.submit(_in_a_process, name, extent) for name in groups]
        with suppress(KeyboardInterrupt):
            wait(running)
        pool.shutdown(cancel_futures=True)
    return [outcome for one in running if not one.cancelled() for outcome in one.result()]


def _in_a_process(name: str, extent: Extent) -> list[Outcome]:
    """Run a group in a process of its own, whose home is another one."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(run, name, extent).result()


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


def _table(outcomes: Sequence[Outcome]) -> Table:
    table = Table(box=box.ASCII2)
    table.add_column("group")
    table.add_column("what")
    table.add_column("how many", justify="right")
    table.add_column("failed", justify="right")
    for group, what in dict.fromkeys((outcome.group, outcome.what) for outcome in outcomes):
        of_it = [outcome for outcome in outcomes if (outcome.group, outcome.what) == (group, what)]
        table.add_row(group, what, *_counts(of_it))
    table.add_row("all", "", *_counts(outcomes))
    return table


def _counts(outcomes: Sequence[Outcome]) -> tuple[str, str]:
    return (
        str(sum(outcome.count for outcome in outcomes)),
        str(sum(bool(outcome.wrong) for outcome in outcomes)),
    )


if __name__ == "__main__":
    sys.exit(main())
