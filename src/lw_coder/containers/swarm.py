"""Jobs of a Docker Swarm: submit one, tell its state, try it once more, remove it.

A job is a service with one task that is not restarted by itself. Swarm does not start it elsewhere either
when its node dies: that is for the person to decide, because the first attempt may still run, and cost money.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from enum import Enum
from typing import Any

from msgspec import Struct, field

from lw_coder.containers.docker_command import Outcome, Patience
from lw_coder.containers.job_spec import (
    JOB_LABEL,
    KEYS_SECRET,
    NODE_FOLDER,
    NODE_MEMORY,
    NODE_SOCKET,
    RUNNER_MEMORY,
    STOP_GRACE,
    NodeJob,
)
from lw_coder.foundation.errors import EngineError
from lw_coder.foundation.json_text import read_json
from lw_coder.foundation.report import printable
from lw_coder.foundation.signals import ENDING

_ENDED = {"complete", "failed", "rejected", "shutdown", "remove"}
_ON_NODE = {"preparing", "starting", "running"}
# What the client says, and what the manager says, of a service that was removed since it was inspected.
_GONE = re.compile(r"no such service|service \S+ not found", re.IGNORECASE)
_NOT_MANAGER = "is not a swarm manager"
_MANAGER_REMEDY = (
    "type `docker swarm init` there, or choose a manager with DOCKER_HOST or `docker context`; "
    "`lw_coder docs cluster` says more"
)
_SWARM_REMEDY = "`docker node ls` and `docker service ls` tell more"
_PATIENCE = Patience()
_BY_SIGNAL = 128  # an exit status from here on
_IN_ORDER = {_BY_SIGNAL + number for number in ENDING}  # by signals that a runner handles
_UPDATE_TRIES = 5  # a service that changes meanwhile is not updated


class TaskPhase(Enum):
    """Where a task is."""

    PENDING = "pending"  # for a node with a free slot, or until its image is there
    RUNNING = "running"
    COMPLETE = "complete"  # its status was 0
    FAILED = "failed"
    LOST = "lost"  # its node is down; it may still be running there


class Task(Struct, frozen=True):
    """The latest attempt of a job.

    Attributes:
        id: Swarm's.
        job: the service's name.
        phase: where it is.
        node: host name of its node, or empty.
        status: its exit status; None if it has not ended, or never began.
        reason: why it waits or failed, in one line, or empty.
        attempt: 0 for the first one.
        labels: the service's.
        node_id: Swarm's id of its node, or empty.
    """

    id: str
    job: str
    phase: TaskPhase
    node: str = ""
    status: int | None = None
    reason: str = ""
    attempt: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    node_id: str = ""

    @property
    def is_over(self) -> bool:
        """Whether it is known to have ended."""
        return self.phase in {TaskPhase.COMPLETE, TaskPhase.FAILED}

    @property
    def was_killed(self) -> bool:
        """Whether it ended without an end of its own making: killed, or while its engine was away."""
        return self.status is not None and self.status >= _BY_SIGNAL and self.status not in _IN_ORDER


class Node(Struct, frozen=True):
    """A machine of the cluster.

    Attributes:
        id: Swarm's.
        name: its host name.
        state: `ready`, `down`, `unknown` or `disconnected`.
        availability: `active`, `pause` or `drain`; only an active one gets new jobs.
        role: `leader`, `manager` or `worker`.
        address: its address in the cluster.
        version: of its engine.
        memory: bytes.
        resources: generic resources that it offers, by name.
    """

    id: str
    name: str
    state: str
    availability: str
    role: str
    address: str
    version: str
    memory: int
    resources: Mapping[str, int] = field(default_factory=dict)

    @property
    def takes_jobs(self) -> bool:
        """Whether a new job can start there."""
        return self.state == "ready" and self.availability == "active"


def submit(job: NodeJob) -> None:
    """Hand a job over; it starts as soon as a node has room for it.

    Raises:
        EngineError: it was not accepted. Nothing of it is left, unless the cluster does not answer.
    """
    try:
        if job.secret:
            _create_secret(job)
        _asked("the job was not accepted", "service", "create", *_described(job), job.image, *job.words)
    except BaseException:
        with suppress(EngineError):  # the first error says more
            remove(job.name)
        raise


def _create_secret(job: NodeJob) -> None:
    # "-": read from the pipe. It is nowhere else: no argument, variable or file has it.
    words = ("secret", "create", *_pairs("--label", job.labels), job.name, "-")
    _require(_PATIENCE.ask(*words, given=job.secret), "the secret was not accepted")


def _described(job: NodeJob) -> list[str]:
    once = (
        "--mode",
        "replicated-job",
        "--restart-condition",
        "none",
        "--stop-grace-period",
        f"{STOP_GRACE}s",
    )
    grace = ("--stop-grace-period", f"{STOP_GRACE}s")
    client = ("--detach", "--quiet", "--with-registry-auth")
    # The engine's own bridge: no network of the cluster's is made.
    network = ("--network", "bridge")
    places = {NODE_SOCKET: NODE_SOCKET, NODE_FOLDER: NODE_FOLDER, NODE_MEMORY: RUNNER_MEMORY}
    mounts = [word for pair in places.items() for word in ("--mount", _bind(*pair))]
    reserved = ["--reserve-memory", str(job.memory)] if job.memory else []
    reserved += ["--generic-resource", f"{job.slot}=1"] if job.slot else []
    secret = ("--secret", f"source={job.name},target={KEYS_SECRET},mode=0400") if job.secret else ()
    own = [*_pairs("--label", job.labels), *_pairs("--env", job.environment)]
    return ["--name", job.name, *once, *grace, *client, *network, *mounts, *reserved, *secret, *own]


def _bind(source: str, target: str) -> str:
    return f"type=bind,source={source},target={target}"


def _pairs(flag: str, values: Mapping[str, str]) -> list[str]:
    return [word for name, value in values.items() for word in (flag, f"{name}={value}")]


def find_task(name: str) -> Task | None:
    """Find the latest attempt of a job; None if there is no such job.

    Raises:
        EngineError: the cluster does not answer.
    """
    return next((task for task in _tasks_of([name])), None)


def list_tasks(labels: Mapping[str, str | None] | None = None) -> list[Task]:
    """List the latest attempts of all jobs that have these labels; None matches any value.

    Args:
        labels: without any, all jobs of lw_coder.

    Raises:
        EngineError: the cluster does not answer.
    """
    return _tasks_of(_named("service", {JOB_LABEL: None} if labels is None else labels))


def _tasks_of(names: Sequence[str]) -> list[Task]:
    services = {one["ID"]: one["Spec"] for one in _inspected("service", names)}
    if not services:
        return []
    listed = _PATIENCE.ask("service", "ps", "--quiet", "--no-trunc", *services)
    if listed.status and _GONE.search(listed.reason):  # it was removed meanwhile: there is one fewer now
        return _tasks_of(names)
    told = _require(listed, "the tasks were not listed")
    latest: dict[str, dict[str, Any]] = {}
    for task in sorted(_inspected("task", told.split()), key=_age):
        latest[task["ServiceID"]] = task
    nodes = {one.id: one for one in list_nodes()}
    found = [_task(latest.get(service), spec, nodes) for service, spec in services.items()]
    return sorted(found, key=lambda task: task.job)


def _age(task: Mapping[str, Any]) -> tuple[int, str]:
    return int(task.get("JobIteration", {}).get("Index", 0)), str(task["CreatedAt"])


def _task(told: Mapping[str, Any] | None, spec: Mapping[str, Any], nodes: Mapping[str, Node]) -> Task:
    labels = spec.get("Labels") or {}
    if told is None:  # the service is there, and its task is about to be
        return Task("", spec["Name"], TaskPhase.PENDING, labels=labels)
    status = told["Status"]
    node = nodes.get(told.get("NodeID", ""))
    phase = _phase(status["State"], node)
    ended = status.get("ContainerStatus", {}).get("ExitCode", 0) if phase is not TaskPhase.LOST else None
    is_over = status["State"] in _ENDED and status["State"] != "rejected"
    return Task(
        id=told["ID"],
        job=spec["Name"],
        phase=phase,
        node=node.name if node else "",
        status=ended if is_over else None,
        reason=printable(str(status.get("Err", ""))),
        attempt=_age(told)[0],
        labels=labels,
        node_id=node.id if node else "",
    )


def _phase(state: str, node: Node | None) -> TaskPhase:
    if state in _ENDED:
        return TaskPhase.COMPLETE if state == "complete" else TaskPhase.FAILED
    if state == "orphaned" or (state in _ON_NODE and (node is None or node.state == "down")):
        return TaskPhase.LOST
    return TaskPhase.RUNNING if state == "running" else TaskPhase.PENDING


def try_again(name: str) -> None:
    """Start a job once more, on any node with room; an attempt on a node that answers is ended.

    Raises:
        EngineError: it is not there any more, or the cluster does not answer.
    """
    _start_again(name)


def start_beside(task: Task, environment: Mapping[str, str]) -> None:
    """Start a job once more on the node of an earlier task, for a little work: nothing is reserved for it.

    Args:
        task: the earlier one.
        environment: variables that are set, or have other values than before.

    Raises:
        EngineError: it is not there any more, or the cluster does not answer.
    """
    place = ("--constraint-add", f"node.id=={task.node_id}")
    slots = (word for slot in _slots_of(task.job) for word in ("--generic-resource-rm", slot))
    _start_again(task.job, *place, "--reserve-memory", "0", *slots, *_pairs("--env-add", environment))


def _slots_of(name: str) -> list[str]:
    """Return the generic resources that a job reserves."""
    templates = (one["Spec"]["TaskTemplate"] for one in _inspected("service", [name]))
    reserved = (one.get("Resources", {}).get("Reservations", {}) for one in templates)
    return [slot for one in reserved for slot in _counted(one.get("GenericResources") or ())]


def _start_again(name: str, *changes: str) -> None:
    words = ("service", "update", "--force", "--detach", "--quiet", *changes, name)
    for _ in range(_UPDATE_TRIES):
        outcome = _PATIENCE.ask(*words)
        if "out of sequence" not in outcome.reason:
            break
    _require(outcome, f"job {name} was not started again")


def remove(name: str) -> None:
    """Remove a job and its secret; no effect if there are none.

    Its task is asked to end (SIGTERM), and killed a minute later. This does not wait for it.

    Raises:
        EngineError: the cluster does not answer.
    """
    for kind in ("service", "secret"):
        outcome = _PATIENCE.ask(kind, "rm", name)
        if not outcome.misses_something:
            _require(outcome, f"{kind} {name} was not removed")


def remove_all(labels: Mapping[str, str | None]) -> list[str]:
    """Remove all jobs and secrets that have these labels, and return their names; None matches any value.

    Raises:
        EngineError: the cluster does not answer.
    """
    names = sorted({name for kind in ("service", "secret") for name in _named(kind, labels)})
    for name in names:
        remove(name)
    return names


def _named(kind: str, labels: Mapping[str, str | None]) -> list[str]:
    chosen = [name if value is None else f"{name}={value}" for name, value in labels.items()]
    filters = [word for label in chosen for word in ("--filter", f"label={label}")]
    return _asked(f"no {kind} was listed", kind, "ls", *filters, "--format", "{{.Name}}").split()


def is_running(task: str) -> bool:
    """Return whether a task of a job, which may have been removed meanwhile, has not ended yet."""
    found = _inspected("task", [task])
    return bool(found) and found[0]["Status"]["State"] not in {*_ENDED, "orphaned"}


def cluster_id() -> str:
    """Return the cluster's id.

    Raises:
        EngineError: the engine does not answer, or is no manager of a cluster.
    """
    shown = "{{if .Swarm.Cluster}}{{.Swarm.Cluster.ID}}{{end}}"
    told = _asked("its id was not told", "info", "--format", shown)
    if not told:
        raise _no_manager()
    return told


def list_nodes() -> list[Node]:
    """List the machines of the cluster, by name.

    Raises:
        EngineError: the engine does not answer, or is no manager of a cluster.
    """
    ids = _asked("the nodes were not listed", "node", "ls", "--quiet").split()
    return sorted(map(_node, _inspected("node", ids)), key=lambda node: (node.name, node.id))


def _node(told: Mapping[str, Any]) -> Node:
    spec, about = told["Spec"], told.get("Description", {})
    resources = about.get("Resources", {})
    return Node(
        id=told["ID"],
        name=printable(about.get("Hostname", "")),
        state=told["Status"]["State"],
        availability=spec["Availability"],
        role=_role(spec["Role"], told.get("ManagerStatus")),
        address=told["Status"].get("Addr", ""),
        version=printable(about.get("Engine", {}).get("EngineVersion", "")),
        memory=int(resources.get("MemoryBytes", 0)),
        resources=_counted(resources.get("GenericResources") or ()),
    )


def _role(wanted: str, manages: Mapping[str, Any] | None) -> str:
    """Return a node's role; one that is being demoted counts as a manager until the others do without it."""
    if manages is None:
        return wanted
    return "leader" if manages.get("Leader") else "manager"


def _counted(resources: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Count generic resources: a number of them, or each with a name of its own."""
    found: dict[str, int] = {}
    for one in resources:
        if number := one.get("DiscreteResourceSpec"):
            found[number["Kind"]] = found.get(number["Kind"], 0) + int(number["Value"])
        elif named := one.get("NamedResourceSpec"):
            found[named["Kind"]] = found.get(named["Kind"], 0) + 1
    return found


def _inspected(kind: str, names: Sequence[str]) -> list[dict[str, Any]]:
    """Inspect what there is of these; what is removed meanwhile is left out."""
    if not names:
        return []
    outcome = _PATIENCE.ask("inspect", "--type", kind, *names)
    if outcome.told:
        return list(read_json(outcome.told))
    _require(outcome, f"no {kind} was inspected")
    return []


def _asked(failure: str, *words: str) -> str:
    return _require(_PATIENCE.ask(*words), failure)


def _require(outcome: Outcome, failure: str) -> str:
    if outcome.status == 0:
        return outcome.told
    if _NOT_MANAGER in outcome.reason:
        raise _no_manager()
    if "Cannot connect" in outcome.reason:
        raise EngineError(
            f"the Docker engine does not answer: {outcome.reason}",
            "start Docker, or correct DOCKER_HOST or `docker context`, and try again",
        )
    raise EngineError(f"cluster: {failure}: {outcome.reason}", _SWARM_REMEDY)


def _no_manager() -> EngineError:
    return EngineError("the Docker engine is not a manager of a Swarm", _MANAGER_REMEDY)
