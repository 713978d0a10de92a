"""Run the container of an earlier run again, as its Compose files say."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lw_coder.containers import docker_command
from lw_coder.containers.labels import session_labels
from lw_coder.containers.proxy import FILTER_FILE
from lw_coder.containers.specs import GatewaySpec, SessionSpec
from lw_coder.foundation.clock import not_before
from lw_coder.foundation.report import say, show
from lw_coder.foundation.signals import Signalled, stop_raising
from lw_coder.gateway.settings import SETTINGS_FILE
from lw_coder.gateway.spending import read_spending
from lw_coder.runs.session_result import SessionResult
from lw_coder.sessions.droid_events import Lines
from lw_coder.sessions.session import remove_containers, run_session
from lw_coder.sessions.spec import host_user, project_name

if TYPE_CHECKING:
    from lw_coder.foundation.redaction import Redaction
    from lw_coder.runs.run_folders import Run

_TICK = 1.0  # seconds


def replay(
    run: Run, identity: str, plan_id: str, redaction: Redaction, *, is_headless: bool
) -> SessionResult:
    """Run a run's container, and always remove it afterwards.

    Args:
        run: its folder has the Compose files.
        identity: the repository's, from `image_names.repo_hash`.
        plan_id: the plan that the run carries out; its lock is held.
        redaction: is applied to what a session without a terminal prints.
        is_headless: run it without a terminal, and print droid's events.
    """
    session = _spec(run, identity, plan_id)
    return _printed(run, session, redaction) if is_headless else run_session(run.folder, session)


def _spec(run: Run, identity: str, plan_id: str) -> SessionSpec:
    """Describe the container as far as its removal needs it; the Compose files describe the rest."""
    return SessionSpec(
        project=project_name(identity, plan_id, run.name),
        user=host_user(),
        mounts=(),
        forwarded=(),
        fixed={},
        labels=session_labels(identity, plan_id, run.name),
        allowed=() if (run.folder / FILTER_FILE).is_file() else None,
        gateway=GatewaySpec((), (), {}) if (run.folder / SETTINGS_FILE).is_file() else None,
    )


def _printed(run: Run, session: SessionSpec, redaction: Redaction) -> SessionResult:
    started, signalled, status = datetime.now(UTC), None, 0
    try:
        status = _follow(run, session, redaction)
    except Signalled:
        signalled = status = stop_raising() or 0
    finally:
        stop_raising()  # what follows is short
        refused = remove_containers(session)
    ended, spending = not_before(started), read_spending(run.folder)
    return SessionResult(status, started, ended, refused, signalled, spending=spending)


def _follow(run: Run, session: SessionSpec, redaction: Redaction) -> int:
    client = docker_command.start_headless(docker_command.HeadlessCall(run.folder, session.project))
    out, err = Lines(), Lines()
    try:
        while (chunks := client.read(_TICK)) is not None:
            for line in out.feed(chunks[0]):
                show(redaction.text(line.decode(errors="replace")))
            for line in err.feed(chunks[1]):
                say(redaction.text(line.decode(errors="replace")))
    finally:
        status = client.end()
    return status
