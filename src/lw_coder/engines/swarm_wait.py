"""Wait for a job of a Swarm: its nodes can die and come back, and this process can be told to end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from lw_coder.containers import swarm
from lw_coder.containers.docker_command import LONGEST_ANSWER, carry_out
from lw_coder.containers.job_spec import STOP_GRACE
from lw_coder.engines.interface import JobState, Phase
from lw_coder.engines.node_order import SENDS_WHAT_IS_LEFT
from lw_coder.engines.swarm_results import find_result, state_of
from lw_coder.foundation.errors import EngineError
from lw_coder.foundation.report import printable, say, tell, warn
from lw_coder.foundation.signals import Signalled, interruptible, stop_raising

if TYPE_CHECKING:
    from lw_coder.containers.registry import Artifact, Registry
    from lw_coder.containers.swarm import Task

_INTERVAL = 1.0  # seconds between questions
_PATIENCE = 600.0  # seconds without an answer of the manager or of the registry
_SENDING = 60.0  # seconds and more that a result may need after a runner's grace
_LATE = 10  # questions, while a runner that is over may still be seen to have sent something
RECOVERY = 120.0  # seconds until a runner has begun that sends what a killed one left
_LONGEST_LINE = 300


class _GoneError(EngineError):
    """There is nothing to wait for any more."""


class SwarmWait:
    """Waits for a job.

    Args:
        job: its name.
        registry: where its result comes to.
        try_again: asked with a node's name when that is down; returns whether to start a second attempt.
        note_attempt: told the name of each attempt, once.
        patience: minutes that a lost node may be away.

    Attributes:
        attempts: names of all attempts so far, oldest first.
        node: name of the newest one's node.
    """

    def __init__(
        self,
        job: str,
        registry: Registry,
        try_again: Callable[[str], bool],
        note_attempt: Callable[[str], object],
        patience: float,
    ) -> None:
        self._job, self._registry = job, registry
        self._try_again, self._note_attempt = try_again, note_attempt
        self._lost_for_good = patience * 60
        self._shown = JobState(Phase.ENDED)
        self._lost_since: float | None = None
        self._cancelled: float | None = None
        self._killed: Task | None = None
        self._recovers_until = 0.0
        self._named = ""
        self.attempts: list[str] = []
        self.node = ""

    def to_end(self) -> tuple[Artifact | None, int | None]:
        """Wait; return the result, if there is one, and this process's status if a signal ended the wait.

        Raises:
            EngineError: the job failed before its session, its node stays away, or nothing answers.
        """
        signalled, answered, late = None, time.monotonic(), 0
        while True:
            try:
                found, is_over = self._ask()
                answered = time.monotonic()
                late += is_over
                if self._is_lost_for_good():
                    self._require_node()
                if found is None and is_over and self._starts_recovery():
                    late = 0
                elif found or late > _LATE or (is_over and not self.attempts) or self._recovers_in_vain():
                    return self._ended(found, signalled)
                with interruptible():
                    time.sleep(_INTERVAL)
            except Signalled:
                signalled = signalled or stop_raising()
                self._require_node()
                say("Signal:   the session is asked to end; then its result is fetched")
                self._cancel()
            except EngineError as error:
                if isinstance(error, _GoneError) or time.monotonic() - answered > _PATIENCE:
                    raise
                say(f"Cluster:  no answer, which is waited for: {error.message}")
                time.sleep(_INTERVAL)

    def _ask(self) -> tuple[Artifact | None, bool]:
        task = swarm.find_task(self._job)
        if task:
            self._note(task)
        is_over = task.is_over if task else not self._is_ending()
        # While there is one attempt that runs, nothing can have come; one that sends what was left is to end.
        look = is_over or self._cancelled or (len(self.attempts) > 1 and not self._killed)
        return (find_result(self._registry, self._job, self.attempts) if look else None), is_over

    def _starts_recovery(self) -> bool:
        """Let another runner send what one that was killed has left on its node; return whether it is new."""
        task = None if self._killed or self._cancelled else swarm.find_task(self._job)
        if task is None or not (task.is_over and task.was_killed and task.node_id):
            return False
        self._killed, self._recovers_until = task, time.monotonic() + RECOVERY
        warn(f"the runner on node {printable(task.node)} was killed; what its session did is fetched")
        swarm.start_beside(task, SENDS_WHAT_IS_LEFT)
        return True

    def _recovers_in_vain(self) -> bool:
        return self._killed is not None and time.monotonic() > self._recovers_until

    def _is_ending(self) -> bool:
        """Return whether an attempt of a job that was removed is still sending its result."""
        begun = self._cancelled or time.monotonic()
        if self.attempts and time.monotonic() - begun < STOP_GRACE + _SENDING:
            return swarm.is_running(self.attempts[-1])
        return False

    def _note(self, task: Task) -> None:
        state = state_of(task)
        if task.id and task.id not in self.attempts and task.node:
            self.attempts.append(task.id)
            self._note_attempt(task.id)
        self.node = task.node or self.node
        if state.phase is not Phase.LOST:
            self._lost_since = None
        elif self._lost_since is None and not self._killed:
            self._lost_since = time.monotonic()
            self._act_on_loss(task.node)
        if self._killed and state.phase is Phase.RUNNING:
            self._recovers_until = time.monotonic() + RECOVERY
        elif not self._killed and (state.phase, state.node) != (self._shown.phase, self._shown.node):
            self._show(state)
        self._shown = state

    def _act_on_loss(self, node: str) -> None:
        warn(f"node {printable(node)} is down; the session may still be running there, and cost money")
        if self._try_again(node):
            swarm.try_again(self._job)
            tell("Cluster:  a second attempt was started; whichever result comes first is taken")
            self._lost_since = None

    def _is_lost_for_good(self) -> bool:
        since = self._lost_since
        return since is not None and time.monotonic() - since > self._lost_for_good

    def _require_node(self) -> None:
        """Give up the wait for a node that is down, and leave the job as it is: it may come back.

        Raises:
            EngineError: it is down.
        """
        if self._lost_since is not None:
            raise _GoneError(
                f"node {printable(self.node)} is down, and has the session",
                "when it is back, the next start of the plan imports its commits; "
                "to give them up, start it with --retry-lost",
            )

    def _show(self, state: JobState) -> None:
        if state.phase is Phase.WAITING:
            say(f"Cluster:  waiting for a node with room{f': {state.reason}' if state.reason else ''}")
        elif state.phase is Phase.RUNNING:
            say(f"Cluster:  the session is on node {printable(state.node)}")
            self._named = state.node
        elif state.phase is Phase.ENDED and state.node not in {"", self._named}:  # between two looks
            say(f"Cluster:  the job has ended on node {printable(state.node)}")

    def _cancel(self) -> None:
        if self._cancelled is None:
            self._cancelled = time.monotonic()
            swarm.remove(self._job)

    def _ended(self, found: Artifact | None, signalled: int | None) -> tuple[Artifact | None, int | None]:
        if found is None and signalled is None and self._cancelled is None:
            reason = self._last_words()
            swarm.remove(self._job)
            raise _GoneError(f"job {self._job} ended without a result: {reason}", _REMEDY)
        return found, signalled or stop_raising()  # from here on the run gets its end, whatever comes

    def _last_words(self) -> str:
        """Return what the runner said last, or what Swarm says."""
        told = carry_out("service", "logs", "--raw", "--tail", "20", self._job, seconds=LONGEST_ANSWER)
        lines = [line.strip() for line in f"{told.told}\n{told.reason}".split("\n") if "error: " in line]
        task = self._killed or swarm.find_task(self._job)
        reason = lines[-1] if lines else (task.reason if task else "")
        return printable(reason or "it was removed")[:_LONGEST_LINE]


_REMEDY = "correct what it says, and start the plan again; `lw_coder docs cluster` tells more"
