"""Checks for `engine = "swarm"`: the registry, the cluster's nodes and slots, the ports of its nodes."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import closing
from functools import partial

from lw_coder.commands.doctor.findings import Checks, Finding
from lw_coder.containers import swarm
from lw_coder.containers.swarm import Node
from lw_coder.engines.choice import require_cluster
from lw_coder.engines.swarm_results import registry_at
from lw_coder.settings.config import CodeConfig

_OPEN_API = 2375  # Docker's API without TLS
_SECONDS = 3.0  # that a port has to answer
_SEE = "`lw_coder docs cluster` says how"


def check_cluster(checks: Checks, config: CodeConfig) -> None:
    """Check what sessions on a cluster need; nothing is started or written there.

    Args:
        checks: gets the findings.
        config: has the settings for it.
    """
    settings = checks.run("cluster settings", lambda: require_cluster(config), lambda _: "complete")
    if settings:
        registry = settings.registry
        checks.run("registry", registry_at(registry).require_answer, lambda _: f"{registry} answers")
    nodes = checks.run("cluster", swarm.list_nodes, _describe_nodes)
    if nodes:
        checks.run("managers", lambda: nodes, describe_managers)
        if settings and settings.slot:
            checks.run("slots", lambda: nodes, partial(_describe_slots, settings.slot))
        checks.run("ports", lambda: [one for one in nodes if _is_open(one, _OPEN_API)], _describe_ports)


def _describe_nodes(nodes: Sequence[Node]) -> str | Finding:
    told = f"{len(nodes)} nodes: {', '.join(f'{node.name} ({node.state})' for node in nodes)}"
    silent = [node.name for node in nodes if node.state != "ready"]
    if not silent:
        return told
    remedy = f"start Docker there, or, if it is gone for good: docker node rm --force {silent[0]}"
    return Finding("cluster", f"{told}; {', '.join(silent)} gets no jobs", remedy)


def describe_managers(nodes: Sequence[Node]) -> str | Finding:
    """Return the manager, or what is wrong if there are several."""
    names = [node.name for node in nodes if node.role != "worker"]
    told = ", ".join(names)
    if len(names) == 1:
        return told
    what = f"{told}: with more than one, a job can be started again when the leader changes"
    return Finding("managers", what, f"docker node demote {names[-1]}")


def _describe_slots(slot: str, nodes: Sequence[Node]) -> str | Finding:
    told = ", ".join(f"{node.name} {node.resources.get(slot, 0)}" for node in nodes)
    if any(node.resources.get(slot) for node in nodes if node.takes_jobs):
        return f"{slot}: {told}"
    what = f"{slot}: {told}: no node that takes jobs offers one, so no session can start"
    return Finding("slots", what, f"offer some in daemon.json ({_SEE}), or remove slot from [code.swarm]")


def _describe_ports(nodes: Sequence[Node]) -> str | Finding:
    if not nodes:
        return f"no node answers on {_OPEN_API}"
    what = f"{nodes[0].name}: port {_OPEN_API}, Docker's API without a login, is open"
    return Finding("ports", what, f"close it: who reaches it is root there; {_SEE}")


def _is_open(node: Node, port: int) -> bool:
    try:
        with closing(socket.create_connection((node.address, port), _SECONDS)):
            return True
    except OSError:
        return False
