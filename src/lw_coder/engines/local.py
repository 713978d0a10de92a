"""Sessions on this machine: nothing travels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lw_coder.engines.interface import Job, JobState, Phase
from lw_coder.sessions.headless import run_headless
from lw_coder.sessions.progress import Progress

if TYPE_CHECKING:
    from lw_coder.containers.early_compose import EarlyCompose
    from lw_coder.runs.session_result import SessionResult


class LocalEngine:
    """Runs a session in this process: `result` begins it, and ends with it.

    Args:
        early: may have started its client already.
    """

    def __init__(self, early: EarlyCompose) -> None:
        self._early = early
        self._jobs: dict[str, Job] = {}

    def submit(self, job: Job) -> str:
        """Take a session."""
        self._jobs[job.identity] = job
        return job.identity

    def state(self, name: str) -> JobState:
        """Return its state: until `result` is asked for, it waits."""
        return JobState(Phase.WAITING if name in self._jobs else Phase.ENDED)

    def cancel(self, name: str) -> None:
        """Forget it; a session that runs is ended by a signal to this process."""
        self._jobs.pop(name, None)

    def result(self, name: str) -> SessionResult:
        """Run it to its end."""
        job = self._jobs.pop(name)
        progress = Progress(job.folder, job.branch, job.redaction)
        start = self._early.client
        return run_headless(job.folder, job.session, job.limits, job.redaction, progress, start)
