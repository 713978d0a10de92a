"""Results of sessions on nodes that arrive after their lw_coder has ended; the files of imported commits."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from lw_coder.containers import swarm
from lw_coder.engines.node_order import SENDS_WHAT_IS_LEFT
from lw_coder.engines.results import Expected, RefusedResultError
from lw_coder.engines.sent_job import read_sent_job, write_sent_job
from lw_coder.engines.swarm_results import find_result, registry_at, take_from
from lw_coder.engines.swarm_wait import RECOVERY
from lw_coder.foundation.errors import EngineError, GitError, RunError, SessionError
from lw_coder.foundation.report import printable, tell, warn
from lw_coder.foundation.signals import held, interruptible
from lw_coder.repository.git import Place, run_git
from lw_coder.repository.importing.commits import ImportResult
from lw_coder.repository.importing.uncommitted import find_uncommitted
from lw_coder.repository.private_git import open_private_git
from lw_coder.repository.worktrees import plan_worktree
from lw_coder.runs.run_folders import list_runs, read_record
from lw_coder.sessions.unfinished import import_unfinished_run
from lw_coder.settings.limits import Limits

if TYPE_CHECKING:
    from lw_coder.containers.registry import Artifact
    from lw_coder.containers.swarm import Task
    from lw_coder.engines.sent_job import SentJob
    from lw_coder.repository.git import Repository
    from lw_coder.repository.worktrees import Worktree
    from lw_coder.runs.run_folders import Run

_UNTOUCHED = "lw_coder-untouched"  # in the worktree's git folder: the commit whose files are in the worktree
_PAUSE = 1.0  # seconds between questions
_KEPT = timedelta(days=8)  # a node keeps what it could not send for a week


def is_untouched(worktree: Worktree) -> bool:
    """Return whether a worktree's files are those of its commit, so that they may be replaced."""
    left = find_uncommitted(worktree, ImportResult())
    return left is not None and not left


def note_untouched(worktree: Worktree) -> bool:
    """Return whether a worktree is untouched; if so, note that until `follow_branch` has been called.

    If lw_coder is killed between, the branch can have moved, and the files are those of the commit before.
    """
    untouched = is_untouched(worktree)
    if untouched:
        with suppress(OSError):  # on a full disk: the import is worth more than the note
            (worktree.git_dir / _UNTOUCHED).write_text(worktree.head, encoding="ascii")
    return untouched


def follow_after_kill(repository: Repository, plan_id: str) -> None:
    """Check out the commits of a branch that moved just before lw_coder was killed; its lock is held."""
    worktree = plan_worktree(repository, plan_id)
    note = worktree.git_dir / _UNTOUCHED if worktree else None
    if worktree is None or note is None or not note.is_file():
        return
    before = note.read_text(encoding="ascii", errors="replace")
    place = Place(worktree.path, git_dir=worktree.git_dir, work_tree=worktree.path)
    unchanged = run_git("diff", "--quiet", "--no-ext-diff", before, "--", place=place, check=False).code == 0
    follow_branch(worktree, ImportResult(moved=worktree.head != before), was_untouched=unchanged)


def follow_branch(worktree: Worktree, imported: ImportResult, *, was_untouched: bool) -> None:
    """Check out the commits that came from a node: their files are not in the worktree yet.

    Args:
        worktree: the plan's.
        imported: its commits, after the branch has moved.
        was_untouched: whether the files were those of the commit before.
    """
    if imported.moved:
        _check_out(worktree, is_wanted=was_untouched and not imported.nested)
    (worktree.git_dir / _UNTOUCHED).unlink(missing_ok=True)


def _check_out(worktree: Worktree, *, is_wanted: bool) -> None:
    if not is_wanted:
        warn(f"{worktree.path}: was changed meanwhile, so its files are not those of the new commits")
        return
    place = Place(worktree.path, git_dir=worktree.git_dir, work_tree=worktree.path)
    try:
        run_git("reset", "--hard", "--quiet", place=place, config=("submodule.recurse=false",))
    except GitError as error:
        warn(f"{worktree.path}: the new commits were not checked out: {error.message}")


def import_late_results(repository: Repository, plan_id: str, *, gives_up: bool, yes: bool) -> None:
    """Import the results of a plan's runs on nodes whose lw_coder was killed, or gave up waiting.

    A runner that was killed has left what its session did on its node; another runner there sends it.

    Args:
        repository: the user's.
        plan_id: the plan, whose lock is held.
        gives_up: give up a session whose node is down.
        yes: as `import_commits` has it.

    Raises:
        SessionError: a session is still running, or on a node that is down.
        LwCoderError: a result is refused, or the cluster or the registry does not answer.
    """
    for run in list_runs(repository.home, plan_id):
        sent = read_sent_job(run.folder)
        if sent and not sent.is_closed and datetime.now(UTC) - run.started < _KEPT:
            try:
                _import_late(repository, run, sent, gives_up=gives_up, yes=yes)
            except RefusedResultError as error:
                warn(f"earlier run {run.identity}: {error.message}")
                _close(run, sent)
            except EngineError as error:
                _require_wish(run, error, gives_up=gives_up)
                _close(run, sent)


def _require_wish(run: Run, error: EngineError, *, gives_up: bool) -> None:
    """Raise that a cluster does not answer, unless what it has of a run is given up."""
    if not gives_up:
        raise SessionError(
            f"{run.identity}: its session was sent to a node, and this cannot be asked: {error.message}",
            f"{error.remedy}; or give up what it has with --retry-lost",
        ) from error
    warn(f"{run.identity}: what its session did on a node is given up")


def _import_late(repository: Repository, run: Run, sent: SentJob, *, gives_up: bool, yes: bool) -> None:
    task = swarm.find_task(sent.job)
    attempts = list(dict.fromkeys([*sent.attempts, *([task.id] if task and task.id else [])]))
    sent = msgspec.structs.replace(sent, attempts=tuple(attempts))
    registry = registry_at(sent.registry)
    found = find_result(registry, sent.job, attempts)
    if found is None and task and task.is_over and task.was_killed and task.node_id:
        found = _sent_by_another(run, sent, task)
    if found:
        git = open_private_git(run.folder)
        take_from(registry, found, Expected(sent.job, run.folder, git, _limits(run)))
        _close(run, sent)
        tell(f"Cluster:  the result of {run.identity} has arrived")
        _import(repository, run, yes=yes)
    elif task and not task.is_over:
        _require_given_up(run, task, gives_up=gives_up)
        swarm.remove(sent.job)
        _close(run, sent)
    else:
        write_sent_job(run.folder, sent)  # a result that comes later is found by its attempt
        swarm.remove(sent.job)  # also the secret of a job that was never submitted


def _sent_by_another(run: Run, sent: SentJob, killed: Task) -> Artifact | None:
    """Let another runner send what a killed one left on its node; return None if nothing came."""
    tell(f"Cluster:  the runner of {run.identity} was killed; what its session did is fetched from its node")
    write_sent_job(run.folder, sent)  # the next start finds the result, too
    try:
        with suppress(EngineError):  # then the next runner there sends it
            swarm.start_beside(killed, SENDS_WHAT_IS_LEFT)
            _wait_for_the_next(killed)
    finally:
        with held():
            swarm.remove(sent.job)
    return find_result(registry_at(sent.registry), sent.job, sent.attempts)


def _wait_for_the_next(killed: Task) -> None:
    """Wait for the end of the task after a killed one, and not for long until it runs."""
    deadline = time.monotonic() + RECOVERY
    while task := swarm.find_task(killed.job):
        if task.attempt > killed.attempt and task.is_over:
            return
        if task.phase is not swarm.TaskPhase.RUNNING and time.monotonic() > deadline:
            return
        with interruptible():
            time.sleep(_PAUSE)


def _close(run: Run, sent: SentJob) -> None:
    write_sent_job(run.folder, msgspec.structs.replace(sent, is_closed=True))


def _limits(run: Run) -> Limits:
    try:
        return msgspec.convert(read_record(run).get("limits") or {}, Limits)
    except msgspec.ValidationError:
        raise RunError(f"{run.record}: has no limits", "remove the run's folder if it is damaged") from None


def _import(repository: Repository, run: Run, *, yes: bool) -> None:
    worktree = plan_worktree(repository, run.plan_id)
    untouched = worktree is not None and note_untouched(worktree)
    before = worktree.head if worktree else ""
    import_unfinished_run(repository, run, yes=yes)
    after = plan_worktree(repository, run.plan_id)
    if after:
        follow_branch(after, ImportResult(moved=after.head != before), was_untouched=untouched)


def _require_given_up(run: Run, task: Task, *, gives_up: bool) -> None:
    where = f"on node {printable(task.node)}" if task.node else "waiting for a node"
    if task.phase is not swarm.TaskPhase.LOST:
        raise SessionError(
            f"{run.identity}: its session is still {where}",
            f"wait, or end it: docker service rm {task.job}; the next start of the plan imports its commits",
        )
    if not gives_up:
        raise SessionError(
            f"{run.identity}: its session was {where}, which is down; it may still be running there",
            "wait until the node is back, or give up what it has with --retry-lost",
        )
    warn(f"{run.identity}: what its session did {where} is given up")
