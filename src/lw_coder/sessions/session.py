"""Run a session's container at the person's terminal, and remove it afterwards."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from lw_coder.containers import engine
from lw_coder.containers.labels import OWN_LABEL, PLAN_LABEL
from lw_coder.containers.proxy import refused_hosts
from lw_coder.containers.specs import SessionSpec
from lw_coder.foundation.errors import EngineError
from lw_coder.foundation.report import warn
from lw_coder.foundation.signals import Signalled, answered_by, stop_raising
from lw_coder.runs.session_result import SessionResult
from lw_coder.sessions.cleanup import remove_idle_proxies, remove_own_containers
from lw_coder.sessions.terminal import drop_answers, lent
from lw_coder.sessions.transcript_watch import stopped_if_flooded


def run_session(folder: Path, session: SessionSpec) -> SessionResult:
    """Run the container at the person's terminal; whatever happens, none is left behind.

    A signal ends the session and no more: what it committed can still be imported. So it is with an engine
    that stops answering.
    """
    started = datetime.now(UTC)
    try:
        status, signalled = _watched(folder, session)
    finally:
        stop_raising()  # what follows is short; a terminal that closes can end the session first, and us then
        refused = remove_containers(session)
        drop_answers()  # those that came late
    return SessionResult(status, started, datetime.now(UTC), refused, signalled)


def _watched(folder: Path, session: SessionSpec) -> tuple[int, int | None]:
    try:
        with (
            lent(),
            stopped_if_flooded(folder / "sessions", stop=lambda: remove_containers(session)),
            answered_by(lambda: _remove_container(session)),
        ):
            status = engine.run_session(folder, session.project, {OWN_LABEL: "true"})
            signalled = stop_raising()  # it need not have been raised
    except Signalled:
        signalled = status = stop_raising() or 0
    return signalled or status, signalled


def _remove_container(session: SessionSpec) -> None:
    """Remove the session's container, if it is there yet: Compose, which waits for it, then ends by itself.

    Compose itself is not ended: it can have asked for the container, which would come after all.
    """
    with suppress(EngineError):
        remove_own_containers(session.labels[PLAN_LABEL])


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
