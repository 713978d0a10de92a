"""Submit jobs in the order in which they were asked for, each when a node has a free slot for it.

Swarm starts jobs that wait in no particular order. So a job is submitted only once it can start, and until
then its lw_coder has a ticket: a file that it keeps locked. Who has the smallest number is next; a ticket
that nobody locks any more belongs to an lw_coder that ended, and does not count. The order is kept among the
commands of one user on one machine. Jobs from elsewhere only take slots.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from msgspec import Struct

from lw_coder.containers import swarm
from lw_coder.containers.job_spec import NodeJob
from lw_coder.foundation.errors import EngineError, RunError
from lw_coder.foundation.locks import exclusive
from lw_coder.foundation.signals import interruptible
from lw_coder.foundation.state import lock_folder

_POLL = 1.0  # seconds between questions to the cluster, of the one that is next
_TURN_POLL = 0.2  # seconds between looks at the other tickets


class Slots(Struct, frozen=True):
    """Slots of the nodes that take jobs.

    Attributes:
        offered: how many there are.
        free: how many of them no job has, or waits for; below 0 if more jobs wait.
    """

    offered: int
    free: int


def submit_in_turn(job: NodeJob, wait_told: Callable[[], None] = lambda: None) -> None:
    """Submit a job as soon as a node has a slot for it, after this user's jobs that have waited for longer.

    Args:
        job: with a slot; one without is submitted at once.
        wait_told: is called once if it has to wait.

    Raises:
        EngineError: no node offers such a slot, or the job was not accepted. Nothing of it is left.
    """
    if job.slot is None:
        swarm.submit(job)
        return
    told = _once(wait_told)
    with _turn(swarm.cluster_id(), told):
        _wait_for_slot(job.slot, told)
        swarm.submit(job)


def _once(call: Callable[[], None]) -> Callable[[], None]:
    calls = [call]
    return lambda: calls.pop()() if calls else None


def _wait_for_slot(slot: str, told: Callable[[], None]) -> None:
    while (slots := count_slots(slot, swarm.list_nodes(), swarm.list_tasks())).free <= 0:
        if not slots.offered:
            raise EngineError(
                f"no node of the cluster that takes jobs offers {slot}",
                f'add "node-generic-resources": ["{slot}=2"] to daemon.json of a node, and restart '
                "its engine; `lw_coder docs cluster` says more",
            )
        told()
        with interruptible():
            time.sleep(_POLL)


def count_slots(slot: str, nodes: list[swarm.Node], tasks: list[swarm.Task]) -> Slots:
    """Count the slots of the nodes that take jobs."""
    usable: Mapping[str, int] = {one.name: one.resources.get(slot, 0) for one in nodes if one.takes_jobs}
    # One that waits for no node in particular takes a slot of any of them.
    taken = sum(not task.is_over and (not task.node or task.node in usable) for task in tasks)
    offered = sum(usable.values())
    return Slots(offered, offered - taken)


@contextmanager
def _turn(cluster: str, told: Callable[[], None]) -> Iterator[None]:
    """Wait until no older ticket is in use, and keep a newer one waiting during the block."""
    folder = lock_folder() / f"queue-{hashlib.sha256(cluster.encode()).hexdigest()[:16]}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        with _ticket(folder) as own:
            while any(_is_in_use(ticket) for ticket in _tickets(folder) if ticket < own):
                told()
                with interruptible():
                    time.sleep(_TURN_POLL)
            yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise RunError(
            f"{error.filename or folder}: cannot be locked: {reason}", "correct its owner and permissions"
        ) from error


@contextmanager
def _ticket(folder: Path) -> Iterator[Path]:
    with ExitStack() as stack:
        with _numbering(folder):
            # Another process can take one that is not locked yet for one that was left, and remove it.
            while not stack.enter_context(exclusive(path := _next_ticket(folder))):
                pass
            stack.callback(path.unlink, missing_ok=True)
        yield path


def _next_ticket(folder: Path) -> Path:
    last = max((int(ticket.stem) for ticket in _tickets(folder)), default=0)
    return folder / f"{last + 1:012}.ticket"


@contextmanager
def _numbering(folder: Path) -> Iterator[None]:
    """Let nobody else take a number during the block."""
    while True:
        with exclusive(folder / "numbers") as is_ours:
            if is_ours:
                yield
                return
        time.sleep(0.01)


def _tickets(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.ticket"))


def _is_in_use(ticket: Path) -> bool:
    """Return whether its lw_coder is still there; remove it otherwise."""
    if not ticket.exists():
        return False
    with exclusive(ticket) as is_left:
        if is_left:
            ticket.unlink(missing_ok=True)
        return not is_left
