"""What every command reports at the end of a session, and its exit code."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from lw_coder.containers.proxy import refusal_line
from lw_coder.foundation.errors import ExitCode, RunError
from lw_coder.foundation.report import say, warn

if TYPE_CHECKING:
    from lw_coder.repository.importing.commits import ImportResult
    from lw_coder.runs.run_folders import Run
    from lw_coder.runs.session_result import SessionResult


def report_session(result: SessionResult, imported: ImportResult) -> None:
    """Report how a session ended, and the notes on its commits."""
    for note in imported.notes:
        warn(note)
    if result.status:
        warn(f"the session ended with status {result.status}")
    if result.refused:
        say(refusal_line(result.refused))


def exit_code(run: Run, result: SessionResult, imported: ImportResult) -> ExitCode:
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
    return ExitCode.OK if result.status == 0 else ExitCode.SESSION


def shell_path(root: Path, path: Path) -> str:
    """Quote a path for a shell in the repository's root; absolute if it is outside of it."""
    return shlex.quote(str(path.relative_to(root) if path.is_relative_to(root) else path))
