"""Sessions on the nodes of a Docker Swarm."""

from __future__ import annotations

import secrets
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from lw_coder.containers import swarm
from lw_coder.containers.image_transport import BASE, RUNNER, SESSION, ensure_image, ensure_runner
from lw_coder.containers.job_queue import submit_in_turn
from lw_coder.containers.job_spec import JOB_LABEL, REPO_LABEL, NodeJob
from lw_coder.engines.inputs import images_of, push_run
from lw_coder.engines.interface import Job, JobState
from lw_coder.engines.job_document import RUNS
from lw_coder.engines.node_order import NodeOrder
from lw_coder.engines.node_session import reserved_memory
from lw_coder.engines.results import Expected, RefusedResultError
from lw_coder.engines.sent_job import SentJob, write_sent_job
from lw_coder.engines.swarm_results import registry_at, state_of, take_from
from lw_coder.engines.swarm_wait import SwarmWait
from lw_coder.foundation.clock import not_before
from lw_coder.foundation.errors import EngineError
from lw_coder.foundation.report import say, warn
from lw_coder.foundation.signals import held
from lw_coder.runs.session_result import SessionResult

if TYPE_CHECKING:
    from collections.abc import Callable

    from lw_coder.sessions.setup import SessionSetup
    from lw_coder.settings.config import SwarmConfig

NAME = "swarm"

_TASK = "{{.Task.ID}}"  # Swarm fills it in, for each attempt
_LONGEST = 120.0  # minutes; of a session without a limit, a lost node is waited for so long


class SwarmEngine:
    """Hands sessions to the Swarm whose manager is the engine of docker's client.

    Args:
        setup: the session's folders; its run is sealed.
        config: where the registry is, and what a session takes of a node.
        try_again: asked with a node's name when that is down; returns whether to start a second attempt.
    """

    def __init__(self, setup: SessionSetup, config: SwarmConfig, try_again: Callable[[str], bool]) -> None:
        self._setup, self._config, self._try_again = setup, config, try_again
        self._registry = registry_at(config.registry)

    def submit(self, job: Job) -> str:
        """Push what a node needs, and hand the session over."""
        swarm.list_nodes()  # without a cluster nothing is pushed
        registry, name = self._registry, f"lw-{secrets.token_hex(10)}"
        runner, *images = self._push_images()
        sent = push_run(registry, self._setup, job.session, name, job.limits, (images[0], images[1]))
        order = NodeOrder(registry.place, sent.manifest, name, _TASK, registry.login, dict(job.values))
        self._remember(SentJob(engine=NAME, job=name, registry=self._config.registry, run=sent.manifest))
        try:
            submit_in_turn(self._job(job, name, runner, order), _tell_wait)
        except BaseException:
            with held():
                self._take_back(name)
            raise
        say(f"Cluster:  job {name}; to end it, press Ctrl+C")
        return name

    def _take_back(self, name: str) -> None:
        """Remove what the cluster and the registry have of a session that was not handed over."""
        try:
            swarm.remove(name)  # the cluster may have it although it has not said so
        except EngineError as error:
            warn(
                f"job {name} may be in the cluster, where the plan's next start looks for it: {error.message}"
            )
            return
        with suppress(EngineError):
            if sent := self._registry.find(RUNS, name):
                self._registry.delete(sent)
        with suppress(OSError):  # the next start asks for it then, and finds nothing
            self._close()

    def _push_images(self) -> tuple[str, str, str]:
        registry, ids = self._registry, images_of(self._setup)
        return (
            ensure_image(registry, ensure_runner(self._setup.context.ca_bundle), RUNNER),
            ensure_image(registry, ids.repo, SESSION),
            ensure_image(registry, ids.base, BASE),
        )

    def _job(self, job: Job, name: str, runner: str, order: NodeOrder) -> NodeJob:
        return NodeJob(
            name,
            runner,
            ("node-run",),
            {JOB_LABEL: job.identity, REPO_LABEL: self._setup.context.identity},
            reserved_memory(self._setup.context.config.run_options),
            self._config.slot,
            order.environment(),
            order.secret(),
        )

    def _remember(self, sent: SentJob) -> None:
        self._sent = sent
        write_sent_job(self._setup.run.folder, sent)

    def _close(self) -> None:
        self._remember(msgspec.structs.replace(self._sent, is_closed=True))

    def _note_attempt(self, attempt: str) -> None:
        self._remember(msgspec.structs.replace(self._sent, attempts=(*self._sent.attempts, attempt)))

    def state(self, name: str) -> JobState:
        """Return a job's state."""
        return state_of(swarm.find_task(name))

    def cancel(self, name: str) -> None:
        """Ask a job's session to end."""
        swarm.remove(name)

    def result(self, name: str) -> SessionResult:
        """Wait for a job's end, and take its result."""
        setup, begun = self._setup, datetime.now(UTC)
        patience = setup.limits.minutes or _LONGEST
        wait = SwarmWait(name, self._registry, self._try_again, self._note_attempt, patience)
        found, signalled = wait.to_end()
        if found is None:  # it was cancelled
            if not wait.attempts:  # else a result can still come
                self._close()
            return SessionResult(signalled or 1, begun, not_before(begun), signalled=signalled)
        expected = Expected(name, setup.run.folder, setup.git, setup.limits)
        try:
            result = take_from(self._registry, found, expected)
        except RefusedResultError:
            self._close()
            swarm.remove(name)
            raise
        self._close()
        say("Cluster:  the result has arrived")
        return replace(result, signalled=signalled or result.signalled)


def _tell_wait() -> None:
    say("Cluster:  waiting for a free slot")
