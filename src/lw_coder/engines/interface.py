"""What a place where sessions run has to do: take a session, tell its state, cancel it, return its result.

A third place (Slurm, Kubernetes) is a class with these four methods, a name in `choice.py` and a value of
`[code] engine`. It can use `inputs.py`, `node_run.py` and `results.py` as they are: they know no scheduler.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct, field

from lw_coder.foundation.values import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lw_coder.containers.specs import SessionSpec
    from lw_coder.foundation.redaction import Redaction
    from lw_coder.runs.session_result import SessionResult
    from lw_coder.settings.limits import Limits


class Job(Secret, frozen=True):
    """A session that is ready to begin: its run is sealed.

    Attributes:
        identity: the run's, `<plan_id>/<timestamp>`.
        folder: the run's.
        branch: short name of the plan's branch.
        session: its container.
        limits: what ends it.
        redaction: is applied to everything that is kept or shown of what the agent says.
        values: the session's variables. Secret.
    """

    identity: str
    folder: Path
    branch: str
    session: SessionSpec
    limits: Limits
    redaction: Redaction
    values: Mapping[str, str] = field(default_factory=dict)


class Phase(Enum):
    """Where a job is."""

    WAITING = "waiting"  # for a node that has room
    RUNNING = "running"
    ENDED = "ended"  # its result can be fetched, or will never come
    LOST = "lost"  # its node does not answer; it may still be running there


class JobState(Struct, frozen=True):
    """The state of a job.

    Attributes:
        phase: where it is.
        node: the name of its node, or empty.
        reason: what the scheduler says about it, in one line, or empty.
    """

    phase: Phase
    node: str = ""
    reason: str = ""


class SessionEngine(Protocol):
    """A place where sessions run."""

    def submit(self, job: Job) -> str:
        """Hand a session over, and return the job's name there.

        Raises:
            LwCoderError: it was not accepted, and nothing of it is left there; if the scheduler does not
                answer, a warning says that something may be.
            OSError: what travels cannot be written. Nothing of it is left there.
            SystemExit: a signal came before it was accepted; nothing of it is left there either.
        """

    def state(self, name: str) -> JobState:
        """Return a job's state.

        Raises:
            LwCoderError: the scheduler does not answer.
        """

    def cancel(self, name: str) -> None:
        """Ask a job's session to end; its result can still be fetched. This does not wait.

        Raises:
            LwCoderError: the scheduler does not answer.
        """

    def result(self, name: str) -> SessionResult:
        """Wait for a job's end, put what its session left into the run's folder, and return how it ended.

        A signal to this process cancels the job. What comes from another machine is not trusted: the run's
        folder is changed only once all of it has been checked.

        Raises:
            LwCoderError: there is no result, or not one that can be used. The run's folder has not changed.
        """
