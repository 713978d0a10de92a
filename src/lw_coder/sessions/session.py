"""Run a session's container in the person's terminal, and remove it afterwards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from lw_coder.containers import engine
from lw_coder.containers.labels import OWN_LABEL, PLAN_LABEL
from lw_coder.containers.proxy import refused_hosts
from lw_coder.containers.specs import SessionSpec
from lw_coder.foundation.clock import not_before
from lw_coder.foundation.errors import EngineError, SilentEngineError
from lw_coder.foundation.report import warn
from lw_coder.foundation.signals import Signalled, handled_by, leave_interrupts_to_session, stop_raising
from lw_coder.gateway.state import GatewayState, read_state
from lw_coder.runs.session_result import SessionResult
from lw_coder.sessions.cleanup import remove_idle_proxies, remove_own_containers, removed_late
from lw_coder.sessions.session_watch import Counts, SessionWatch, is_setting_up
from lw_coder.sessions.terminal import discard_input, restored_terminal
from lw_coder.sessions.transcript_watch import stopped_if_flooded
from lw_coder.sessions.transcripts import SESSIONS, TranscriptCounts
from lw_coder.settings.limits import Limits


def run_session(
    folder: Path, session: SessionSpec, limits: Limits | None = None, *, ends_at_pause: bool = False
) -> SessionResult:
    """Run the container in the person's terminal, and always remove it afterwards.

    A signal, or a limit, only ends the session: its commits can still be imported. The same applies if the
    engine stops answering.

    Args:
        folder: the run's.
        session: its container.
        limits: what ends it; None if nothing does.
        ends_at_pause: whether it also ends when its provider is not to be asked for longer than a request
            can wait.
    """
    from lw_coder.gateway.spending import read_spending

    started = datetime.now(UTC)
    watch = SessionWatch(
        session.labels[PLAN_LABEL],
        limits or Limits(),
        _counter(folder),
        state=partial(_state, folder, ends_at_pause=ends_at_pause),
    )
    is_removed = False
    try:
        with watch if limits or session.gateway else nullcontext():
            status, signalled, is_removed = _watched(folder, session)
    finally:
        stop_raising()  # what follows is short; a closing terminal can end the session, and then this process
        refused = remove_containers(session, is_removed=is_removed, may_come=not is_removed)
        discard_input()  # those that arrived late
    ended = not_before(started)
    watch.note_end()
    return SessionResult(
        status,
        started,
        ended,
        refused,
        signalled,
        limit=watch.reached,
        pause=watch.pause,
        spending=read_spending(folder),
    )


def _state(folder: Path, *, ends_at_pause: bool) -> GatewayState:
    state = read_state(folder)
    return state if ends_at_pause else replace(state, pause=None)


def _counter(folder: Path) -> Callable[[], Counts]:
    transcripts = TranscriptCounts(folder)

    def count() -> Counts:
        transcripts.update()
        has_begun = bool(transcripts.turns or transcripts.steps)
        return Counts(has_begun, transcripts.turns, transcripts.steps, is_setting_up(folder))

    return count


def _watched(folder: Path, session: SessionSpec) -> tuple[int, int | None, bool]:
    """Return the session's status, lw_coder's if a signal arrived, and whether its container is removed."""
    is_removed = False
    try:
        with (
            restored_terminal(),
            stopped_if_flooded(folder / SESSIONS, stop=lambda: remove_containers(session)),
            handled_by(lambda: _remove_container(session)),
        ):
            leave_interrupts_to_session()  # one before this moment ends the session
            status, is_removed = engine.run_session(
                folder, session.project, {OWN_LABEL: "true"}, dependencies=not session.has_dependencies
            )
            signalled = stop_raising()  # it need not have been raised
    except Signalled:
        signalled = status = stop_raising() or 0
    return signalled or status, signalled, is_removed


def _remove_container(session: SessionSpec) -> bool:
    """Remove the session's container, if it already exists; Compose waits for it and then exits.

    Compose itself is not ended: it can have asked for the container, which would come after all.

    Returns:
        False if the engine is silent: Compose waits for it then, and would for ever.
    """
    try:
        remove_own_containers(session.labels[PLAN_LABEL])
    except SilentEngineError:
        return False
    except EngineError:
        return True
    return True


def remove_containers(
    session: SessionSpec, *, is_removed: bool = False, may_come: bool = False
) -> Counter[str]:
    """Remove what a session has in the engine, and count what its proxy refused.

    If the engine does not answer or cannot remove it, this is a warning: the commits are not affected.

    Args:
        session: what is removed.
        is_removed: whether its own container is known to be removed already.
        may_come: whether its own container can still be created, because docker's client was killed.
    """
    refused: Counter[str] = Counter()
    try:
        refused = refused_hosts(_proxy_log(session))
        remove = partial(remove_own_containers, session.labels[PLAN_LABEL])
        if may_come:
            removed_late(remove)
        elif not is_removed:
            remove()
        if session.has_networks:
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
