"""`lw_coder runs replay`: run the container of a run again, and import what it commits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lw_coder.commands.imported_refs import refs_of, report_refs
from lw_coder.commands.session_report import exit_code, replay_command, report_session, shell_path
from lw_coder.containers import engine
from lw_coder.foundation.counting import counted
from lw_coder.foundation.errors import ExitCode, RunError
from lw_coder.foundation.locks import plan_lock
from lw_coder.foundation.report import say, tell, warn
from lw_coder.repository.git import find_repository
from lw_coder.repository.importing.commits import import_commits
from lw_coder.repository.importing.uncommitted import find_uncommitted
from lw_coder.repository.private_git import open_private_git
from lw_coder.repository.worktrees import plan_worktree
from lw_coder.runs import run_record
from lw_coder.runs.find_run import find_run
from lw_coder.runs.run_folders import Run, read_record
from lw_coder.sessions.cleanup import require_idle
from lw_coder.sessions.context import SessionContext, load_context, session_redaction
from lw_coder.sessions.replaying import replay
from lw_coder.sessions.setup_commands import with_setup
from lw_coder.sessions.terminal import require_terminal
from lw_coder.settings.config import load_config

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lw_coder.containers.docker_command import EngineProbe
    from lw_coder.repository.importing.commits import ImportResult
    from lw_coder.runs.session_result import SessionResult


def replay_run_command(start: Path, name: str, probe: EngineProbe, *, fresh: bool, yes: bool) -> ExitCode:
    """Run a run's container again, and import its commits.

    Args:
        start: a folder in the repository.
        name: the run.
        probe: what docker was asked at the start.
        fresh: in a run of its own, over a new worktree at the commit that the run started from.
        yes: move the branch even to commits that delete files which the session did not have.

    Raises:
        LwCoderError: it cannot be replayed, or its commits could not be imported.
        SystemExit: a signal ended the session; its commits were imported.
    """
    repository = find_repository(start)
    run = find_run(repository.home, name)
    record = read_record(run)
    if record.get("kind", "code") != "code":
        raise RunError(f"{run.identity}: had a temporary worktree, which is gone", "name a run of a plan")
    if record.get("headless") is not True:
        require_terminal()
    context = load_context(repository, load_config(repository.root))
    engine.connect(probe, build_gives_version=True)  # Compose built the run's image
    with plan_lock(repository.common_dir, run.plan_id):
        require_idle(context.identity, run.plan_id)
        if fresh:
            return _replay_fresh(context, run, record)
        return _replay(context, run, record, yes=yes)


def _replay(context: SessionContext, run: Run, record: dict[str, Any], *, yes: bool) -> ExitCode:
    repository = context.repository
    worktree = plan_worktree(repository, run.plan_id)
    if worktree is None:
        raise RunError(f"{run.identity}: the plan's worktree does not exist any more", "add --fresh")
    git, before = open_private_git(run.folder), refs_of(repository, run)
    result = _run(context, run, run.plan_id, record)
    imported = import_commits(repository, worktree, git, run.identity, yes=yes)
    return _end(context, run, before, result, imported)


def _replay_fresh(context: SessionContext, run: Run, record: dict[str, Any]) -> ExitCode:
    from lw_coder.commands.fresh_replay import fresh_run

    repository = context.repository
    with fresh_run(repository, run, record) as fresh:
        say(f"Worktree: a new one at {fresh.worktree.head[:12]}; it is removed at the end")
        result = _run(context, fresh.run, run.plan_id, record)
        if commands := fresh.setup_commands():
            result = with_setup(fresh.run.folder, commands, session_redaction(context), result)
        imported = import_commits(repository, None, fresh.git, fresh.run.identity)
        left = find_uncommitted(fresh.worktree, imported)
        run_record.complete(fresh.run, result, imported, uncommitted=left)
    if left:
        were = counted(left.count, "file was", "files were")
        warn(f"{were} not committed, and removed with the worktree")
    return _end(context, fresh.run, {}, result, imported)


def _run(context: SessionContext, run: Run, plan_id: str, record: dict[str, Any]) -> SessionResult:
    is_headless = record.get("headless") is True
    say(f"Replay:   {replay_command(context.repository.root, run, headless=is_headless)}")
    redaction = session_redaction(context)
    return replay(run, context.identity, plan_id, redaction, is_headless=is_headless)


def _end(
    context: SessionContext,
    run: Run,
    before: Mapping[str, str],
    result: SessionResult,
    imported: ImportResult,
) -> ExitCode:
    report_session(result, imported, context.config.run_options)
    if not imported.problem:
        report_refs(context.repository, run, before, imported)
    tell(f"Run:      {shell_path(context.repository.root, run.folder)}")
    return exit_code(run, result, imported)
