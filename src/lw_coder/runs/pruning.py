"""Remove old runs, except those with a score or with commits that are not imported."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from datetime import timedelta

from msgspec import Struct

from lw_coder.containers.labels import PLAN_RUNS, REPLAY_RUNS
from lw_coder.foundation.errors import GitError
from lw_coder.foundation.locks import is_locked
from lw_coder.repository.git import Repository
from lw_coder.repository.importing.commits import pending
from lw_coder.repository.private_git import open_private_git
from lw_coder.repository.temporary_worktrees import temp_worktree_names
from lw_coder.runs.run_folders import KEEP, Run, list_runs, oldest_first, remove_run, runs_to_prune
from lw_coder.runs.scores import is_scored

NO_TRAINING_DATA = (
    "Pruned runs are no training data any more. Score a run to keep it (`lw_coder runs score`), or keep what "
    "`lw_coder runs export` prints."
)
NO_SCORED_DATA = (
    "Pruned runs are no training data any more, nor are their scores. To keep both, keep what "
    "`lw_coder runs export` prints before."
)
_SCORED = "it has a score; --scored removes it"


class Pruning(Struct, frozen=True):
    """What to prune.

    Attributes:
        age: runs that are older.
        newest: except so many of each plan, the newest.
        scored: also those with a score.
        is_rehearsal: remove nothing.
        busy: says why a run is in use, or None.
    """

    age: timedelta = KEEP
    newest: int = 0
    scored: bool = False
    is_rehearsal: bool = False
    busy: Callable[[Run], str | None] = lambda _: None


def prune(repository: Repository, keep: Run) -> list[str]:
    """Remove the runs that are more than 30 days old and have no score, and return a line for each.

    A run stays if it has commits that the repository lacks, if its plan is in use, or if it cannot be
    removed. The caller holds the lock of the plan of the run `keep`.
    """
    runs = [run for run in runs_to_prune(repository.home) if not is_scored(run)]
    return _lines(repository, runs, Pruning(), keep.plan_id)


def prune_on_demand(repository: Repository, wanted: Pruning) -> list[str]:
    """Remove the runs of a certain age, except the newest, and return a line for each.

    A run stays for the same reasons; one with a score stays unless `wanted` names them too.
    """
    return _lines(repository, _old(repository, wanted), wanted)


def judged_runs(repository: Repository, wanted: Pruning) -> list[tuple[Run, str | None]]:
    """Return the runs of a certain age, except the newest, each with the reason why it stays, or None."""
    return [(run, why_kept(repository, run, wanted, None)) for run in _old(repository, wanted)]


def _old(repository: Repository, wanted: Pruning) -> list[Run]:
    stay = _newest(oldest_first(list_runs(repository.home)), wanted.newest)
    return [run for run in runs_to_prune(repository.home, keep=wanted.age) if run not in stay]


def _newest(runs: Iterable[Run], number: int) -> set[Run]:
    """Return the last runs of each plan."""
    by_plan: dict[str, deque[Run]] = {}
    for run in runs:
        by_plan.setdefault(run.plan_id, deque(maxlen=number)).append(run)
    return {run for last in by_plan.values() for run in last}


def _lines(repository: Repository, runs: list[Run], wanted: Pruning, own: str | None = None) -> list[str]:
    done = "To prune:" if wanted.is_rehearsal else "Pruned:  "
    judged = [(run, _why_not_removed(repository, run, wanted, own)) for run in runs if run.is_there()]
    # One that another command has removed meanwhile is not kept.
    reasons = [(run, reason) for run, reason in judged if reason is None or run.is_there()]
    lines = [
        f"{done} {run.identity}" if reason is None else f"Kept:     {run.identity}: {reason}"
        for run, reason in reasons
    ]
    removes_data = any(reason is None and run.plan_id != PLAN_RUNS for run, reason in reasons)
    advice = NO_SCORED_DATA if wanted.scored else NO_TRAINING_DATA
    return [*lines, advice] if removes_data else lines


def _why_not_removed(repository: Repository, run: Run, wanted: Pruning, own: str | None) -> str | None:
    """Remove a run, or return why it stays."""
    try:
        reason = why_kept(repository, run, wanted, own)
        if reason is None and not wanted.is_rehearsal:
            remove_run(run)
    except OSError as error:
        return f"it cannot be removed: {error.strerror}; check {error.filename or run.folder}"
    return reason


def why_kept(repository: Repository, run: Run, wanted: Pruning, own: str | None) -> str | None:
    """Return why a run must stay, or None.

    Args:
        repository: the user's.
        run: the run, of the wanted age.
        wanted: what to prune.
        own: the plan whose lock the caller holds, if any.
    """
    if is_scored(run) and not wanted.scored:
        return _SCORED
    if run.plan_id != own and is_locked(repository.common_dir, run.plan_id):
        return "its plan is in use"
    return wanted.busy(run) or _why_git_is_needed(repository, run)


def _why_git_is_needed(repository: Repository, run: Run) -> str | None:
    if not (run.folder / "git").is_dir():
        return None
    try:
        session = open_private_git(run.folder)
        is_temporary = run.plan_id in {PLAN_RUNS, REPLAY_RUNS}
        if is_temporary and session.worktree_name in temp_worktree_names(repository):
            return "its session may be running"
        is_needed = pending(repository, session)
    except GitError:
        is_needed = True  # with a damaged record this is unknown
    return "it has commits that are not in the repository" if is_needed else None
