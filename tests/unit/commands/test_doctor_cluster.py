"""What `lw_coder doctor` says of a cluster with several managers; a real one takes minutes to settle."""

from __future__ import annotations

from lw_coder.commands.doctor.cluster import describe_managers
from lw_coder.commands.doctor.findings import Finding
from lw_coder.containers.swarm import Node


def node(name: str, role: str) -> Node:
    return Node(name, name, "ready", "active", role, "192.0.2.1", "28.5.2", 1 << 30)


def test_one_manager() -> None:
    assert describe_managers([node("one", "leader"), node("two", "worker")]) == "one"


def test_two_managers() -> None:
    found = describe_managers([node("one", "leader"), node("two", "manager"), node("three", "worker")])
    assert isinstance(found, Finding)
    assert found.result.startswith("one, two: with more than one, a job can be started again")
    assert found.remedy == "docker node demote two"
