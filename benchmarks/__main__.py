"""The benchmark's command line: `python -m benchmarks`, which `nox -s bench` sets up."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import base_image, growth, sessions, starts
from benchmarks.figures import HEADER, Figure, dump, load, markdown, rows, unmeasured, verdict

GROUPS: dict[str, Callable[[int], Iterator[Figure]]] = {
    "starts": starts.measure,
    "warm": sessions.warm,
    "cold": sessions.cold,
    "at-once": sessions.at_once,
    "memory": sessions.memory,
    "plans-and-runs": growth.plans_and_runs,
    "files": growth.files,
    "base-image": base_image.measure,
}


def main() -> int:
    """Measure, print the table, and judge if that was asked for."""
    options = _options()
    if options.markdown:
        print(markdown(load(options.markdown)), end="")
        return 0
    figures: list[Figure] = []
    for name in options.groups or GROUPS:
        print(f"measuring: {name} ...", file=sys.stderr, flush=True)
        figures += GROUPS[name](options.repeats)
        if options.json:
            dump(figures, options.json)  # what is measured by now is not lost with what comes
    _print(figures)
    missing = unmeasured(figures)
    for name in missing:
        print(f"not measured: {name}")
    failed = any(verdict(figure) == "FAIL" for figure in figures)
    return int(options.check and (failed or (bool(missing) and not options.groups)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="nox -s bench --", description=__doc__)
    parser.add_argument(
        "groups", nargs="*", metavar="GROUP", help=f"any of {', '.join(GROUPS)}; all by default"
    )
    parser.add_argument("--repeats", type=int, default=5, help="samples of each (default 5)")
    parser.add_argument("--json", type=Path, help="write every sample to this file")
    parser.add_argument(
        "--check",
        action="store_true",
        help="exit with 1 if a goal is not reached, or, of all groups, not measured",
    )
    parser.add_argument(
        "--markdown", type=Path, metavar="JSON", help="measure nothing: print that file's table"
    )
    options = parser.parse_args()
    if unknown := set(options.groups) - set(GROUPS):
        parser.error(f"no such group: {', '.join(sorted(unknown))}")
    return options


def _print(figures: list[Figure]) -> None:
    table = Table(*HEADER)
    for row in rows(figures):
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 180).print(table)


if __name__ == "__main__":
    sys.exit(main())
