"""What a session's end leads to, whichever command started it; and ends that nobody was there for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lw_coder import run_record
from lw_coder.droid_session import take_over
from lw_coder.egress import refusal_line
from lw_coder.errors import ExitCode, GitError, RunError
from lw_coder.homecoming import bring_home
from lw_coder.report import say, warn
from lw_coder.runs_manager import list_runs, read_record
from lw_coder.session_git import open_session_git
from lw_coder.worktrees import plan_worktree

if TYPE_CHECKING:
    from lw_coder.droid_session import Ended
    from lw_coder.git import Repository
    from lw_coder.homecoming import Homecoming
    from lw_coder.runs_manager import Run


def report_session(ended: Ended, home: Homecoming) -> None:
    """Say how a session ended, and what is to be known of its commits."""
    for note in home.notes:
        warn(note)
    if ended.status:
        warn(f"the session ended with status {ended.status}")
    if ended.refused:
        say(refusal_line(ended.refused))


def exit_code(run: Run, ended: Ended, home: Homecoming) -> ExitCode:
    """Decide what the command exits with, once everything is told.

    Raises:
        RunError: the session's commits could not be brought home.
        SystemExit: a signal ended the session.
    """
    if home.problem:
        raise RunError(
            f"{run.identity}: {home.problem}", f"correct it, then type: lw_coder runs import {run.identity}"
        )
    if ended.signalled:
        raise SystemExit(ended.signalled)
    return ExitCode.OK if ended.status == 0 else ExitCode.SESSION


def unended_runs(repository: Repository, plan_id: str) -> list[Run]:
    """List a plan's runs whose lw_coder was killed; for who holds the plan's lock."""
    return [run for run in list_runs(repository.root, plan_id) if _is_unended(run)]


def _is_unended(run: Run) -> bool:
    try:
        return read_record(run).get("ended") is None
    except RunError:
        return False  # damaged; `runs list` says so


def catch_up(repository: Repository, identity: str, plan_id: str) -> None:
    """Bring home what killed commands left of a plan's runs, before it is worked on again.

    Args:
        repository: the person's.
        identity: the repository's, in the labels of its containers.
        plan_id: the plan, whose lock is held.

    Raises:
        SessionError: there is such a run, and a replay is at work on the plan.
    """
    runs = unended_runs(repository, plan_id)
    if runs:
        take_over(identity, plan_id)
    for run in runs:
        bring_home_late(repository, run)


def bring_home_late(repository: Repository, run: Run) -> None:
    """Bring one such run home and complete its record; what cannot be is a warning, and tried again."""
    try:
        worktree = plan_worktree(repository, run.plan_id)
        home = bring_home(repository, worktree, open_session_git(run.folder), run.identity)
    except GitError as error:
        warn(f"earlier run {run.identity}: {error.message}; {error.remedy}")
        return
    _report_late(run, home)
    if not home.problem:
        run_record.complete_late(run, home)


def _report_late(run: Run, home: Homecoming) -> None:
    for note in (home.problem, *home.notes):
        if note:
            warn(f"earlier run {run.identity}: {note}")
    if home.moved and home.commits:
        what = "commit" if home.commits == 1 else "commits"
        say(f"Earlier run {run.identity}: {home.commits} {what} brought home")
    elif home.refs and not home.moved:
        say(f"Earlier run {run.identity}: brought home as refs/lw_coder/{run.identity}")
