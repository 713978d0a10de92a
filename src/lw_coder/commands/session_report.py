"""What every command reports at the end of a session, and its exit code."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from lw_coder.containers.docker_command import COMPOSE_FILE, HEADLESS_COMMAND
from lw_coder.containers.engine_kind import warn_of_kind
from lw_coder.containers.proxy import refusal_line
from lw_coder.foundation.errors import ExitCode, RunError
from lw_coder.foundation.report import tell, warn
from lw_coder.settings.docker_variables import dropped_variables
from lw_coder.settings.limits import shown

if TYPE_CHECKING:
    from lw_coder.repository.importing.commits import ImportResult
    from lw_coder.runs.run_folders import Run
    from lw_coder.runs.session_result import SessionResult
    from lw_coder.settings.docker_flags import RunOptions
    from lw_coder.verdicts.verdict import Verdict


def report_session(result: SessionResult, imported: ImportResult, options: RunOptions) -> None:
    """Report how a session ended, and the notes on its commits.

    Args:
        result: how it ended.
        imported: its commits.
        options: docker_run_args.
    """
    for note in imported.notes:
        warn(note)
    _report_failure(result, options)
    if result.limit:
        warn(f"a limit ended the session: {result.limit.name} = {shown(result.limit.value)}")
        if result.spending and result.spending.state.cannot_be_kept:
            warn(result.spending.state.cannot_be_kept)
    if result.spending:
        tell(f"Model:    {result.spending.total.line()}")
    if result.refused:
        tell(refusal_line(result.refused))


def _report_failure(result: SessionResult, options: RunOptions) -> None:
    if result.setup:
        from lw_coder.sessions.setup_commands import report_setup_failure

        report_setup_failure(result.setup)
    if result.pause and result.outcome == "paused":
        from lw_coder.gateway.state import shown_time

        until = shown_time(result.pause.until)
        warn(f"the session was paused: {result.pause.why}; it is to be asked again at {until}")
    elif (result.failure and result.report is None) or result.outcome in {"failed", "setup"}:
        warn(str(result.failure))
    if result.outcome == "failed" and result.status:
        warn_of_kind(options)


def exit_code(
    run: Run, result: SessionResult, imported: ImportResult, verdict: Verdict | None = None
) -> ExitCode:
    """Choose the command's exit code, after everything has been reported.

    Raises:
        RunError: the session's commits could not be imported.
        SystemExit: a signal ended the session.
    """
    if imported.problem:
        raise RunError(
            f"{run.identity}: {imported.problem}",
            f"correct that, then type: lw_coder runs import {run.identity}",
        )
    if result.signalled:
        raise SystemExit(result.signalled)
    if result.limit:
        return ExitCode.LIMIT
    if result.setup:
        return ExitCode.SETUP
    if result.is_paused:
        return ExitCode.PAUSED
    if result.failure:
        return ExitCode.SESSION
    return ExitCode.OK if verdict is None or verdict.passed else ExitCode.VERDICT


def replay_command(root: Path, run: Run, *, headless: bool = False) -> str:
    """Return the command that replays a run from the repository's root, in a shell such as this one.

    docker reads this shell's variables itself; the command unsets those that lw_coder does not pass on.

    Args:
        root: the repository's.
        run: the run.
        headless: replay it without a terminal.
    """
    unset = " ".join(f"-u {shlex.quote(name)}" for name in dropped_variables(os.environ))
    service = f"-T droid {' '.join(HEADLESS_COMMAND)}" if headless else "droid"
    compose = f"docker compose -f {shell_path(root, run.folder / COMPOSE_FILE)} run --rm {service}"
    return f"env {unset} {compose}" if unset else compose


def shell_path(root: Path, path: Path) -> str:
    """Quote a path for a shell in the repository's root; absolute if it is outside of it."""
    return shlex.quote(str(path.relative_to(root) if path.is_relative_to(root) else path))
