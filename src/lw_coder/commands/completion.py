"""Shell completion of plan and run ids, from folder names and front matter, without git; and of pages."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from click.shell_completion import CompletionItem

from lw_coder.plans.find_plan import plan_ids
from lw_coder.plans.plan_file import TASKS_FOLDER
from lw_coder.runs.run_folders import RUNS_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterable

    import click


def complete_plan(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Complete the id of a plan; if none matches, a path."""
    folder = _above(TASKS_FOLDER)
    ids = plan_ids(folder) if folder.is_dir() else set()
    return _starting_with(typed, ids) or [CompletionItem(typed, type="file")]


def complete_run(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Complete a plan's id, which stands for its newest run."""
    folder = _above(RUNS_FOLDER)
    return _starting_with(typed, [entry.name for entry in os.scandir(folder)] if folder.is_dir() else [])


def complete_page(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Complete the name of a page of the documentation."""
    from lw_coder.commands.docs import all_pages

    return _starting_with(typed, [page.name for page in all_pages()])


def _starting_with(typed: str, names: Iterable[str]) -> list[CompletionItem]:
    return [CompletionItem(name) for name in sorted(names) if name.startswith(typed) and name[:1] != "."]


def _above(relative: Path) -> Path:
    """Find a folder of the repository that contains the current directory."""
    here = Path.cwd()
    return next(
        (top / relative for top in (here, *here.parents) if (top / relative).is_dir()), here / relative
    )
