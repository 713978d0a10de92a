"""The groups of the torture: each runs in a folder of its own, with a home of its own."""

from __future__ import annotations

import os
import signal
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from tests.torture.cases import Case, Extent


@dataclass(frozen=True)
class Outcome:
    """What came of a case.

    Attributes:
        group: its group.
        what: its row in the table.
        count: how many cases it stands for.
        wrong: all that was wrong; empty if nothing was.
    """

    group: str
    what: str
    count: int
    wrong: tuple[str, ...]


def run(name: str, extent: Extent) -> list[Outcome]:
    """Run a group, in a process that does nothing else; Ctrl+C ends it with what was done until then."""
    # Children inherit that a shell has what it starts in the background ignore Ctrl+C, and nohup a hangup.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    outcomes: list[Outcome] = []
    try:
        with suppress(KeyboardInterrupt), _own_folder(name) as folder:
            outcomes.extend(_outcomes(name, folder, extent))
    except Exception:  # noqa: BLE001 - a group that cannot be set up has failed; the others go on
        outcomes.append(Outcome(name, "the group itself", 1, (traceback.format_exc(),)))
        print(f"{name} FAILED: {outcomes[-1].wrong[0]}", flush=True)
    return outcomes


@contextmanager
def _own_folder(name: str) -> Iterator[Path]:
    """Yield a folder for a group; the home is in it."""
    prefix = f"lw_coder-torture-{name}-"
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as folder:
        home = Path(folder) / "home"
        home.mkdir()
        os.environ["HOME"] = str(home)
        yield Path(folder)


def _outcomes(name: str, folder: Path, extent: Extent) -> Iterator[Outcome]:
    """Run the cases of a group, and print what came of each."""
    with import_module(f"tests.torture.{name}").opened(folder, extent) as cases:
        for number, case in enumerate(cases, 1):
            wrong = _wrong(case)
            told = f"FAILED {'; '.join(wrong)}" if wrong else "ok"
            print(f"{name} {number}/{len(cases)} {case.what}: {case.name}: {told}", flush=True)
            yield Outcome(name, case.what, case.count, wrong)


def _wrong(case: Case) -> tuple[str, ...]:
    try:
        return tuple(case.run())
    except Exception:  # noqa: BLE001 - a case that breaks has failed; the others go on
        return (f"the case itself broke:\n{traceback.format_exc()}",)
