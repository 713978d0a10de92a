"""Hand a headless session of `lw_coder code` to the engine that it runs on."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from lw_coder.engines.choice import engine_for
from lw_coder.engines.interface import Job
from lw_coder.foundation.clock import not_before
from lw_coder.foundation.errors import LwCoderError
from lw_coder.foundation.report import printable, say
from lw_coder.foundation.signals import Signalled, stop_raising
from lw_coder.foundation.system_errors import expected_error
from lw_coder.repository.importing.commits import ImportResult
from lw_coder.runs import run_record
from lw_coder.runs.session_result import AgentReport, SessionResult
from lw_coder.sessions.context import compose_values, session_redaction

if TYPE_CHECKING:
    from lw_coder.commands.code_inputs import CodeInputs
    from lw_coder.containers.early_compose import EarlyCompose
    from lw_coder.containers.specs import SessionSpec
    from lw_coder.sessions.context import SessionContext
    from lw_coder.sessions.setup import SessionSetup


def carried_out(
    inputs: CodeInputs, setup: SessionSetup, session: SessionSpec, early: EarlyCompose
) -> SessionResult:
    """Run a headless session where it is to run, and return how it ended."""
    engine = engine_for(setup, early, _second_attempt(inputs), is_remote=inputs.is_remote)
    job = Job(
        setup.run.identity,
        setup.run.folder,
        str(setup.worktree.branch),
        session,
        inputs.limits,
        session_redaction(setup.context),
        _values(setup.context),
    )
    begun = datetime.now(UTC)
    try:
        name = engine.submit(job)
    except Signalled:
        signalled = stop_raising()
        return SessionResult(signalled or 1, begun, not_before(begun), signalled=signalled)
    except (LwCoderError, OSError) as error:
        _record_failure(setup, begun, error)
        raise
    return engine.result(name)


def _record_failure(setup: SessionSetup, begun: datetime, error: LwCoderError | OSError) -> None:
    """Record that a run ended before its session began, and why."""
    known = expected_error(error) if isinstance(error, OSError) else error
    why = session_redaction(setup.context).text(known.message if known else type(error).__name__)
    result = SessionResult(1, begun, not_before(begun), report=AgentReport(problem=printable(why)))
    run_record.complete(setup.run, result, ImportResult())


def _values(context: SessionContext) -> dict[str, str]:
    """Return all variables that the session's Compose files name, with their values."""
    named = context.config.run_options.variables
    own = {name: os.environ[name] for name in named if name in os.environ}
    return {**own, **compose_values(context.environment, context.config)}


def _second_attempt(inputs: CodeInputs) -> Callable[[str], bool]:
    """Return what decides about a second attempt: the option, or who sits at the terminal; nobody else."""

    def decide(node: str) -> bool:
        if inputs.options.retry_lost:
            return True
        if sys.stdin.isatty() and sys.stderr.isatty():
            return click.confirm(f"Start the session once more, on another node than {node}?", err=True)
        say("Cluster:  waiting for the node; to give up what it has, end this and add --retry-lost")
        return False

    return decide
