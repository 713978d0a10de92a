"""`lw_coder nodes` and `lw_coder doctor` on a cluster."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lw_coder.containers import swarm
from lw_coder.containers.job_spec import JOB_LABEL, SLOT, NodeJob
from lw_coder.containers.swarm import TaskPhase
from tests.integration.conftest import LW_CODER, Person
from tests.support.cluster import SLOTS, Cluster, Node
from tests.support.json_schemas import validated
from tests.support.patience import PATIENCE, wait_until
from tests.support.sample_repository import SampleRepository


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
    config = person.cwd / ".lw_coder/config.toml"
    before = config.read_text()
    config.write_text('[code]\n[code.swarm]\nregistry = "https://registry.example.com/team"\nslot = "bay"\n')
    assert shown(person)["slots"] == {"offered": 0, "free": 0}
    config.write_text(before)

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


@contextmanager
def listening(node: Node, port: int) -> Iterator[None]:
    """Have something listen on a port of a node."""
    command = ["nsenter", "--net", "--target", str(node.first_process)]
    server = (sys.executable, "-m", "http.server", str(port), "--directory", str(node.work))
    listener = subprocess.Popen([*command, *server], stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: f":{port} " in _sockets(command), "a listener")
        yield
    finally:
        listener.kill()
        listener.wait()


def _sockets(command: list[str]) -> str:
    listed = subprocess.run([*command, "ss", "-ltn"], capture_output=True, text=True, check=True)
    return listed.stdout


def test_doctor_finds_what_is_wrong_with_a_cluster(
    person: Person, sample: SampleRepository, cluster: Cluster
) -> None:
    config = sample.root / ".lw_coder/config.toml"
    code = f'{config.read_text()}\nengine = "swarm"\nallow_hosts = []\n'
    table = f'[code.swarm]\nregistry = "http://{cluster.registry}/team"\nslot = "{SLOT}"\n'
    config.write_text(code + table)
    one, two = cluster.nodes

    def wrong() -> dict[str, str]:
        found = json.loads(typed(person, "doctor", "--json").stdout)
        assert {"cluster", "config.toml"} <= {each["subject"] for each in found}
        return {each["subject"]: f"{each['result']} -> {each['remedy']}" for each in found if each["remedy"]}

    assert wrong() == {}

    config.write_text(code.replace("allow_hosts", "# allow_hosts"))
    assert "needs a registry" in wrong()["cluster settings"]
    config.write_text((code + table).replace("allow_hosts", "# allow_hosts"))
    assert "allow_hosts: is not set" in wrong()["cluster settings"]
    config.write_text(code + table.replace(":5000", ":5001"))
    assert "the registry does not answer" in wrong()["registry"]
    config.write_text(code + table)

    with cluster.only(one), listening(two, 2375):
        one.docker("node", "update", "--availability", "drain", one.name)
        found = wrong()
        assert found.keys() == {"slots", "ports"}
        assert "no node that takes jobs offers one, so no session can start" in found["slots"]
        assert "node-two: port 2375, Docker's API without a login, is open" in found["ports"]
    one.docker("node", "update", "--availability", "active", one.name)

    two.lose_power()
    wait_until(lambda: swarm.list_nodes()[1].state == "down", "the loss of a node")
    found = wrong()
    assert found.keys() == {"cluster"}
    assert "docker node rm --force node-two" in found["cluster"]

    person.extra["DOCKER_HOST"] = two.host
    cluster.start(two)
    found = wrong()
    assert "not a manager of a Swarm" in found["cluster"]
