"""`lw_coder nodes`: the machines of the cluster, their slots, and what runs where."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lw_coder.containers import swarm
from lw_coder.containers.engine_kind import ask_info, image_store
from lw_coder.containers.job_queue import count_slots
from lw_coder.containers.job_spec import JOB_LABEL, SLOT
from lw_coder.containers.swarm import Node, Task
from lw_coder.foundation.errors import ExitCode, GitError
from lw_coder.foundation.report import Cell, show_json, show_table, shown_if_slow, tell
from lw_coder.repository.git import find_repository
from lw_coder.settings.config import load_config_or_defaults

_COLUMNS = ("node", "state", "role", "engine", "slots", "runs")
_GOOD = "ready"


def nodes_command(start: Path, *, as_json: bool) -> ExitCode:
    """Print the nodes, as a table or as a JSON object.

    Args:
        start: in a repository, whose config names the slots, or anywhere else.
        as_json: whether to print JSON.

    Raises:
        EngineError: the engine does not answer, or is no manager of a cluster.
        ConfigError: the repository's config is wrong.
    """
    slot = _slot(start)
    with shown_if_slow("Asking the cluster ..."):
        nodes, tasks = swarm.list_nodes(), [task for task in swarm.list_tasks() if not task.is_over]
        info = ask_info()
    if as_json:
        show_json(_document(nodes, tasks, slot, info))
        return ExitCode.OK
    show_table(_COLUMNS, [_cells(node, tasks, slot) for node in nodes])
    for task in _of("", tasks):
        tell(f"Waiting:  {_run(task)}{f': {task.reason}' if task.reason else ''}")
    return ExitCode.OK


def _slot(start: Path) -> str:
    """Return the generic resource of which a session takes one."""
    try:
        root = find_repository(start).root
    except GitError:
        return SLOT
    settings = load_config_or_defaults(root).swarm
    return (settings and settings.slot) or SLOT


def _cells(node: Node, tasks: Sequence[Task], slot: str) -> tuple[Cell, ...]:
    slots = node.resources.get(slot, 0)
    own = _of(node.name, tasks)
    taken = f"{len(own)}/{slots}" if slots else "-"
    state = _state(node)
    runs = ", ".join(f"{_run(task)}{' (lost)' if node.state == 'down' else ''}" for task in own)
    return (
        Cell(node.name),
        Cell(state, "good" if state == _GOOD else "bad"),
        *map(Cell, (node.role, node.version, taken, runs)),
    )


def _state(node: Node) -> str:
    """Return one word: an availability other than `active` matters only while the node answers."""
    if node.state == _GOOD and node.availability != "active":
        return {"pause": "paused", "drain": "drained"}[node.availability]
    return node.state


def _of(name: str, tasks: Sequence[Task]) -> list[Task]:
    return [task for task in tasks if task.node == name]


def _run(task: Task) -> str:
    return task.labels.get(JOB_LABEL, task.job)


def _document(
    nodes: Sequence[Node], tasks: Sequence[Task], slot: str, info: dict[str, Any]
) -> dict[str, Any]:
    slots = count_slots(slot, list(nodes), list(tasks))
    asked = info.get("Swarm", {}).get("NodeID")
    return {
        "nodes": [
            {
                "name": node.name,
                "state": _state(node),
                "role": node.role,
                "address": node.address,
                "engine_version": node.version,
                "image_store": image_store(info) if node.id == asked else None,
                "memory": node.memory,
                "slots": node.resources.get(slot, 0),
                "jobs": [_job(task) for task in _of(node.name, tasks)],
            }
            for node in nodes
        ],
        "waiting": [_job(task) for task in _of("", tasks)],
        "slots": {"offered": slots.offered, "free": max(slots.free, 0)},
    }


def _job(task: Task) -> dict[str, Any]:
    return {
        "name": task.job,
        "run": _run(task),
        "state": task.phase.value,
        "attempt": task.attempt + 1,
        "reason": task.reason or None,
    }
