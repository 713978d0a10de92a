"""`lw_coder runs prune`: remove old runs now."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from lw_coder.containers.image_names import repo_hash
from lw_coder.foundation.errors import EngineError, ExitCode, SessionError
from lw_coder.foundation.report import shown_if_slow, tell
from lw_coder.repository.git import Repository, find_repository, root_commit
from lw_coder.runs.pruning import Pruning, prune_on_demand
from lw_coder.runs.run_folders import Run
from lw_coder.sessions.cleanup import require_idle


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
    wanted = Pruning(timedelta(days=days), keep, scored, dry_run, _Replays(repository).why_busy)
    with shown_if_slow("Looking for runs to remove ..."):
        lines = prune_on_demand(repository, wanted)
    for line in lines or ["There is no run to prune."]:
        tell(line)
    return ExitCode.OK


class _Replays:
    """Knows which plans a container is running for; the engine is asked once for each."""

    def __init__(self, repository: Repository) -> None:
        self._identity = repo_hash(root_commit(repository), repository.common_dir)
        self._asked: dict[str, str | None] = {}

    def why_busy(self, run: Run) -> str | None:
        """Return why a run is in use, or None; also if no engine answers."""
        if run.plan_id not in self._asked:
            self._asked[run.plan_id] = self._ask(run.plan_id)
        return self._asked[run.plan_id]

    def _ask(self, plan_id: str) -> str | None:
        try:
            with suppress(EngineError):
                require_idle(self._identity, plan_id)
        except SessionError as error:
            return error.message
        return None
