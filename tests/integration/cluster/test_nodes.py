"""`lw_coder nodes` on a cluster."""

from __future__ import annotations

import subprocess
from typing import Any

from lw_coder.containers import swarm
from lw_coder.containers.job_spec import JOB_LABEL, SLOT, NodeJob
from lw_coder.containers.swarm import TaskPhase
from tests.integration.conftest import LW_CODER, Person
from tests.support.cluster import SLOTS, Cluster
from tests.support.json_schemas import validated
from tests.support.patience import PATIENCE, wait_until


def typed(person: Person, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LW_CODER, *words],
        cwd=person.cwd,
        env=person.env,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


def shown(person: Person) -> dict[str, Any]:
    done = typed(person, "nodes", "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = validated("nodes", done.stdout)
    return found


def submit(cluster: Cluster, name: str, words: tuple[str, ...], **settings: Any) -> None:
    labels = {JOB_LABEL: f"{name}/20260101T000000Z"}
    swarm.submit(
        NodeJob(f"lw-{name}", cluster.tiny, words, labels, **{"memory": 0, "slot": SLOT, **settings})
    )


def has_phase(name: str, phase: TaskPhase) -> bool:
    task = swarm.find_task(f"lw-{name}")
    return task is not None and task.phase is phase


def test_what_runs_where(person: Person, cluster: Cluster) -> None:
    one, two = shown(person)["nodes"]
    assert (one["name"], one["role"], one["image_store"]) == ("node-one", "leader", "overlay2")
    assert (two["name"], two["role"], two["image_store"]) == ("node-two", "worker", None)
    assert [(node["state"], node["slots"], node["jobs"]) for node in (one, two)] == [("ready", SLOTS, [])] * 2

    with cluster.only(cluster.nodes[1]):
        submit(cluster, "long", ("sleep", "3600"))
        submit(cluster, "short", ("true",))
        wait_until(lambda: has_phase("long", TaskPhase.RUNNING), "a job")
        wait_until(lambda: has_phase("short", TaskPhase.COMPLETE), "a job's end")
        submit(cluster, "large", ("true",), memory=1 << 50)
        wait_until(lambda: shown(person)["waiting"][0]["reason"], "the reason")
        told = shown(person)
        assert [node["state"] for node in told["nodes"]] == ["paused", "ready"]
        assert told["slots"] == {"offered": SLOTS, "free": SLOTS - 2}
        (job,) = told["nodes"][1]["jobs"]
        assert (job["run"], job["state"], job["attempt"]) == ("long/20260101T000000Z", "running", 1)
        table = typed(person, "nodes")
        lines = [line.split() for line in table.stdout.splitlines()]
        assert ["node-two", "ready", "worker", one["engine_version"], "1/3", job["run"]] in lines
        assert "large/20260101T000000Z" in table.stderr
        assert "insufficient resources" in table.stderr

    cluster.nodes[1].lose_power()
    wait_until(lambda: has_phase("long", TaskPhase.LOST), "the loss")
    lost = shown(person)["nodes"][1]
    assert (lost["state"], lost["jobs"][0]["state"]) == ("down", "lost")
    assert "long/20260101T000000Z (lost)" in typed(person, "nodes").stdout
    assert len(swarm.remove_all({JOB_LABEL: None})) == 3


def test_an_engine_without_a_cluster(person: Person, engine: str) -> None:
    assert engine
    done = typed(person, "nodes")
    assert (done.returncode, done.stdout) == (1, "")
    assert "the Docker engine is not a manager of a Swarm" in done.stderr
    assert "docker swarm init" in done.stderr
