"""Run a session's container in the person's terminal, and remove it afterwards."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from lw_coder.containers import engine
from lw_coder.containers.labels import OWN_LABEL, PLAN_LABEL
from lw_coder.containers.proxy import refused_hosts
from lw_coder.containers.specs import SessionSpec
from lw_coder.foundation.errors import EngineError
from lw_coder.foundation.report import warn
from lw_coder.foundation.signals import hold_endings
from lw_coder.runs.session_result import SessionResult
from lw_coder.sessions.cleanup import remove_idle_proxies, remove_own_containers
from lw_coder.sessions.terminal import discard_input, restored_terminal
from lw_coder.sessions.transcript_watch import stopped_if_flooded


def run_session(folder: Path, session: SessionSpec) -> SessionResult:
    """Run the container in the person's terminal, and always remove it afterwards.

    SIGTERM and SIGHUP, which arrive as SystemExit, only end the session: its commits can still be imported.
    The same applies if the engine stops answering.
    """
    started = datetime.now(UTC)
    try:
        with restored_terminal():
            status, signalled = _watched(folder, session)
    finally:
        hold_endings()  # what follows is short; a closing terminal can end the session, and then this process
        refused = remove_containers(session)
        discard_input()  # those that arrived late
    return SessionResult(status, started, datetime.now(UTC), refused, signalled)


def _watched(folder: Path, session: SessionSpec) -> tuple[int, int | None]:
    try:
        with stopped_if_flooded(folder / "sessions", stop=lambda: remove_containers(session)):
            return engine.run_session(folder, session.project, {OWN_LABEL: "true"}), None
    except SystemExit as ending:
        status = int(ending.code or 0)
        return status, status


def remove_containers(session: SessionSpec) -> Counter[str]:
    """Remove what a session has in the engine, and count what its proxy refused.

    If the engine does not answer or cannot remove it, this is a warning: the commits are not affected.
    """
    refused: Counter[str] = Counter()
    try:
        refused = refused_hosts(_proxy_log(session))
        remove_own_containers(session.labels[PLAN_LABEL])
        if session.allowed is not None:
            remove_idle_proxies(session.labels[PLAN_LABEL])
    except EngineError as error:
        warn(
            f"the session's containers may still be running: {error.message}; {error.remedy}; do not run git"
            " in its worktree until they are gone"
        )
    return refused


def _proxy_log(session: SessionSpec) -> str:
    if session.allowed is None:
        return ""
    return "\n".join(
        engine.container_log(one.id) for one in engine.containers_with(dict(session.proxy_labels))
    )
