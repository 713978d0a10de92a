"""The benchmark's command line: `python -m benchmarks`, which `nox -s bench` sets up."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import (
    against,
    base_image,
    batch,
    cluster,
    gateway,
    growth,
    headless,
    processes,
    sessions,
    starts,
    verification,
)
from benchmarks.figures import (
    GOALS,
    HEADER,
    NO_SLOWER,
    Figure,
    dump,
    load,
    markdown,
    rows,
    unmeasured,
    verdict,
)

GROUPS: dict[str, Callable[[int], Iterator[Figure]]] = {
    "starts": starts.measure,
    "warm": sessions.warm,
    "headless": headless.measure,
    "gateway": gateway.measure,
    "processes": processes.measure,
    "cold": sessions.cold,
    "at-once": sessions.at_once,
    "memory": sessions.memory,
    "plans-and-runs": growth.plans_and_runs,
    "files": growth.files,
    "base-image": base_image.measure,
    "verification": verification.measure,
    "batch": batch.measure,
    "cluster": cluster.measure,
}


def main() -> int:
    """Measure, print the table, and judge it if `--check` was given."""
    options = _options()
    if options.markdown:
        print(markdown(load(options.markdown)), end="")
        return 0
    figures: list[Figure] = []
    for name, measure in _chosen(options).items():
        print(f"measuring: {name} ...", file=sys.stderr, flush=True)
        figures += measure(options.repeats)
        if options.json:
            dump(figures, options.json)  # written after each group: an error in a later one loses nothing
    _print(figures)
    missing = unmeasured(figures, NO_SLOWER if options.against else GOALS)
    for name in missing:
        print(f"not measured: {name}")
    failed = any(verdict(figure) == "FAIL" for figure in figures)
    return int(options.check and (failed or (bool(missing) and not options.groups)))


def _chosen(options: argparse.Namespace) -> dict[str, Callable[[int], Iterator[Figure]]]:
    if options.against:
        return {f"against {options.against}": partial(against.measure, options.against)}
    return {name: GROUPS[name] for name in options.groups or GROUPS}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="nox -s bench --", description=__doc__)
    parser.add_argument(
        "groups", nargs="*", metavar="GROUP", help=f"any of {', '.join(GROUPS)}; all by default"
    )
    parser.add_argument(
        "--against",
        metavar="PATH_OR_REV",
        help="measure only --help, the warm start and 8 plans at once, compared with another checkout's: "
        "a folder, or a revision of this repository",
    )
    parser.add_argument(
        "--repeats",
        type=int,
        default=5,
        help="samples of each, of small or noisy figures a multiple (default 5)",
    )
    parser.add_argument("--json", type=Path, help="write every sample to this file")
    parser.add_argument(
        "--check",
        action="store_true",
        help="exit with 1 if a goal is missed or, unless groups are named, was not measured",
    )
    parser.add_argument(
        "--markdown", type=Path, metavar="JSON", help="measure nothing; print the table of a --json file"
    )
    options = parser.parse_args()
    if unknown := set(options.groups) - set(GROUPS):
        parser.error(f"no such group: {', '.join(sorted(unknown))}")
    if options.against and options.groups:
        parser.error("--against measures a group of its own: name no other")
    if options.repeats < 1:
        parser.error("--repeats: give 1 or more")
    return options


def _print(figures: list[Figure]) -> None:
    table = Table(*HEADER)
    for row in rows(figures):
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 180).print(table)


if __name__ == "__main__":
    sys.exit(main())
