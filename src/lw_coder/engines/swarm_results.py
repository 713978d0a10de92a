"""The results of a Swarm's jobs: find, fetch and take one, and remove what is left of the job."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from lw_coder.containers import swarm
from lw_coder.containers.registry import Registry
from lw_coder.containers.registry_login import find_login
from lw_coder.engines.interface import JobState, Phase
from lw_coder.engines.job_document import RESULTS, RUNS
from lw_coder.engines.node_order import result_tag
from lw_coder.engines.results import LARGEST_FILE, Expected, take_result
from lw_coder.foundation.errors import EngineError, LwCoderError
from lw_coder.settings.registry_place import parse_place

if TYPE_CHECKING:
    from lw_coder.containers.registry import Artifact
    from lw_coder.containers.swarm import Task
    from lw_coder.runs.session_result import SessionResult

_PHASES = {
    swarm.TaskPhase.PENDING: Phase.WAITING,
    swarm.TaskPhase.RUNNING: Phase.RUNNING,
    swarm.TaskPhase.LOST: Phase.LOST,
    swarm.TaskPhase.COMPLETE: Phase.ENDED,
    swarm.TaskPhase.FAILED: Phase.ENDED,
}


def registry_at(place: str) -> Registry:
    """Return a client of a registry, with the login that docker has for it."""
    parsed = parse_place(place)
    return Registry(parsed, find_login(parsed.host, os.environ))


def state_of(task: Task | None) -> JobState:
    """Return the state of a job, of which this is the newest attempt; None if it was removed."""
    return JobState(Phase.ENDED) if task is None else JobState(_PHASES[task.phase], task.node, task.reason)


def find_result(registry: Registry, job: str, attempts: Sequence[str]) -> Artifact | None:
    """Find the result of the first attempt that has sent one.

    Raises:
        EngineError: the registry does not answer.
    """
    found = (registry.find(RESULTS, result_tag(job, attempt)) for attempt in attempts)
    return next((one for one in found if one), None)


def take_from(registry: Registry, artifact: Artifact, expected: Expected) -> SessionResult:
    """Fetch a result, and put what it has into the run's folder; then remove the job and what was sent.

    Raises:
        LwCoderError: it is refused, or does not come. The job and the result are still there.
    """
    try:
        with tempfile.TemporaryFile(dir=expected.folder) as file:
            registry.fetch(artifact, file, LARGEST_FILE)
            file.seek(0)
            result = take_result(file, expected)
    except OSError as error:
        reason = f"the result was not fetched: {error.strerror or type(error).__name__}"
        raise EngineError(reason, "free some space, and try again") from error
    with suppress(LwCoderError):  # what is left is shown by `lw_coder nodes`
        swarm.remove(expected.job)
        for one in (artifact, registry.find(RUNS, expected.job)):
            if one:
                registry.delete(one)
    return result
