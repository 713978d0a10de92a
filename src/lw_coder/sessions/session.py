"""Run a session's container at the person's terminal, and remove it afterwards."""

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
from lw_coder.sessions.terminal import drop_answers, lent
from lw_coder.sessions.transcript_watch import stopped_if_flooded


def run_session(folder: Path, session: SessionSpec) -> SessionResult:
    """Run the container at the person's terminal; whatever happens, none is left behind.

    SIGTERM and SIGHUP, which come as SystemExit, end the session and no more: what it committed can still be
    brought home. So it is with an engine that stops answering.
    """
    started = datetime.now(UTC)
    try:
        with lent():
            status, signalled = _watched(folder, session)
    finally:
        hold_endings()  # what follows is short; a terminal that closes can end the session first, and us then
        refused = remove_containers(session)
        drop_answers()  # those that came late
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

    An engine that does not answer, or removes nothing, is a warning: the session's commits are elsewhere.
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
