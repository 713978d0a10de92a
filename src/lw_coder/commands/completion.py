"""Shell completion: its scripts, and ids of plans and runs, from names of folders and front matter alone."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
)

from lw_coder.containers.labels import NO_PLANS
from lw_coder.foundation.errors import FolderError
from lw_coder.foundation.folders import entries_of
from lw_coder.plans.find_plan import plan_ids
from lw_coder.plans.plan_file import TASKS_FOLDER
from lw_coder.plans.plan_rules import is_plan_id
from lw_coder.runs.find_run import LATEST
from lw_coder.runs.run_folders import RUNS_FOLDER, list_runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import click

T = TypeVar("T")
PROGRAM = "lw_coder"
VARIABLE = "_LW_CODER_COMPLETE"
_SHELLS: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


def complete_plan(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Complete the id of a plan; if none matches, a path."""
    ids = _known(lambda: plan_ids(_above(TASKS_FOLDER)))
    return _starting_with(typed, ids) or [CompletionItem(typed, type="file")]


def complete_run(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Complete what stands for a run: `latest`, a plan's id, and once a slash or a digit is typed, a time."""
    folder = _above(RUNS_FOLDER)
    plans = _plans_of_runs(folder)
    found = _starting_with(typed, [*plans, LATEST] if plans else [])
    if found and typed not in plans:
        return found
    runs = _known(lambda: [run for run in list_runs(folder.parent.parent) if run.plan_id in plans])
    if typed[:1].isdigit():
        found += _starting_with(typed, {run.name for run in runs})
    return found + _starting_with(typed, [run.identity for run in runs])


def complete_plan_of_runs(
    _context: click.Context, _parameter: click.Parameter, typed: str
) -> list[CompletionItem]:
    """Complete the id of a plan that has runs."""
    return _starting_with(typed, _plans_of_runs(_above(RUNS_FOLDER)))


def _plans_of_runs(folder: Path) -> list[str]:
    folders = (entry for entry in _known(lambda: entries_of(folder)) if entry.is_dir(follow_symlinks=False))
    # Of any other name, a shell could run a part.
    return [each.name for each in folders if is_plan_id(each.name) or each.name in NO_PLANS]


def _known(ask: Callable[[], Iterable[T]]) -> list[T]:
    """Return what is found, nothing if a folder cannot be read: other commands say what is wrong with it."""
    with suppress(FolderError):
        return list(ask())
    return []


def complete_page(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Complete the name of a page of the documentation."""
    from lw_coder.commands.docs import all_pages

    return _starting_with(typed, [page.name for page in all_pages()])


def script(command: click.Command, shell: str) -> str:
    """Return the script with which a shell asks for completions.

    Args:
        command: the command line.
        shell: `bash`, `zsh` or `fish`.
    """
    completion = _SHELLS[shell](command, {}, PROGRAM, VARIABLE)
    return ShellComplete.source(completion)  # BashComplete's own asks bash for its version


def _starting_with(typed: str, names: Iterable[str]) -> list[CompletionItem]:
    return [CompletionItem(name) for name in sorted(names) if name.startswith(typed) and name[:1] != "."]


def _above(relative: Path) -> Path:
    """Find a folder of the repository that contains the current directory."""
    try:
        here = Path.cwd()
    except FileNotFoundError:  # it was removed
        return relative
    return next(
        (top / relative for top in (here, *here.parents) if os.path.lexists(top / relative)), here / relative
    )
