"""`lw_coder runs prune`: remove old runs now."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from lw_coder.foundation.errors import ExitCode
from lw_coder.foundation.report import shown_if_slow, tell
from lw_coder.repository.git import find_repository
from lw_coder.runs.pruning import Pruning, prune_on_demand
from lw_coder.sessions.replays import Replays


def prune_command(start: Path, days: int, keep: int, *, scored: bool, dry_run: bool) -> ExitCode:
    """Remove the runs that are more than `days` days old, and print a line for each.

    Args:
        start: a folder in the repository.
        days: the age.
        keep: how many runs of each plan stay, whatever their age: the newest.
        scored: also remove those with a score.
        dry_run: print what would be removed, and remove nothing.
    """
    repository = find_repository(start)
    wanted = Pruning(timedelta(days=days), keep, scored, dry_run, Replays(repository).why_busy)
    with shown_if_slow("Looking for runs to remove ..."):
        lines = prune_on_demand(repository, wanted)
    for line in lines or ["There is no run to prune."]:
        tell(line)
    return ExitCode.OK
