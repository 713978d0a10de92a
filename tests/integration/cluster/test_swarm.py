"""Jobs of a Swarm, on two nodes: what a runner of lw_coder will find there, and what is left of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from msgspec.structs import asdict, replace

from lw_coder.containers import swarm
from lw_coder.containers.job_queue import submit_in_turn
from lw_coder.containers.job_spec import JOB_LABEL, REPO_LABEL, SLOT, NodeJob
from lw_coder.containers.swarm import Task, TaskPhase
from lw_coder.foundation.errors import EngineError
from tests.support.cluster import SLOTS, Cluster
from tests.support.patience import wait_until

KEY = b"sk-0123-a-key-of-this-test"
# What a runner does when it is asked to end: it sends what there is.
CANCELLED = "trap 'echo home >$0.home; exit 143' TERM; echo >$0.up; while :; do sleep 0.1; done"


def a_job(cluster: Cluster, name: str, script: str, **settings: object) -> NodeJob:
    words = ("sh", "-c", script, f"/var/lib/lw_coder/{name}")
    labels: Mapping[str, str] = {JOB_LABEL: name, REPO_LABEL: "tests"}
    return NodeJob(name, cluster.tiny, words, labels, memory=8 << 20, slot=SLOT, **settings)  # type: ignore[arg-type]


def the_task(name: str) -> Task:
    found = swarm.find_task(name)
    assert found is not None
    return found


def wait_for(name: str, phase: TaskPhase) -> Task:
    wait_until(lambda: the_task(name).phase is phase, f"{name}: {phase}")
    return the_task(name)


def file_on_a_node(cluster: Cluster, name: str) -> Path | None:
    found = (node.work / name for node in cluster.nodes)
    return next((path for path in found if path.exists()), None)


def files_with(folder: Path, text: bytes) -> list[str]:
    search = ["grep", "-rlaF", "--devices=skip", text.decode(), str(folder)]
    return subprocess.run(search, capture_output=True, text=True, check=False).stdout.split()


def test_a_job_gets_its_secret_and_leaves_nothing(cluster: Cluster) -> None:
    script = "wc -c </run/secrets/lw_coder >$0; ls -l /run/secrets /var/run/docker.sock; hostname; exit 3"
    swarm.submit(a_job(cluster, "lw-one", script, secret=KEY, environment={"TASK": "{{.Task.ID}}"}))
    ended = wait_for("lw-one", TaskPhase.FAILED)

    assert (ended.status, ended.attempt, ended.labels[JOB_LABEL]) == (3, 0, "lw-one")
    assert ended.node in {"node-one", "node-two"}
    told = file_on_a_node(cluster, "lw-one")
    assert told is not None
    assert (int(told.read_text()), ended.node in told.parts) == (len(KEY), True)
    shown = cluster.manager.docker("service", "inspect", "lw-one")
    assert '"ReadOnly"' not in shown
    assert KEY.decode() not in shown + cluster.manager.docker("secret", "inspect", "lw-one")
    assert swarm.list_tasks({REPO_LABEL: "tests"}) == [ended] == swarm.list_tasks()
    assert swarm.list_tasks({REPO_LABEL: "others"}) == []

    assert swarm.remove_all({REPO_LABEL: "others"}) == []
    assert swarm.remove_all({REPO_LABEL: "tests"}) == ["lw-one"]
    assert swarm.find_task("lw-one") is None
    swarm.remove("lw-one")  # it is gone already
    assert [hit for node in cluster.nodes for hit in files_with(node.folder, KEY)] == []


def test_a_job_that_is_removed_has_time_to_bring_its_result_home(cluster: Cluster) -> None:
    swarm.submit(a_job(cluster, "lw-two", CANCELLED))
    wait_until(lambda: file_on_a_node(cluster, "lw-two.up"), "the job")
    task = wait_for("lw-two", TaskPhase.RUNNING)
    swarm.remove("lw-two")
    wait_until(lambda: not swarm.is_running(task.id), "the task's end")
    assert file_on_a_node(cluster, "lw-two.home")


def test_a_job_that_cannot_start(cluster: Cluster) -> None:
    absent = cluster.tiny.replace("/tiny@", "/absent@")
    labels = {JOB_LABEL: "lw-three", REPO_LABEL: "tests"}
    swarm.submit(NodeJob("lw-three", absent, ("true",), labels, memory=0, secret=KEY))
    failed = wait_for("lw-three", TaskPhase.FAILED)
    assert (failed.status, "absent" in failed.reason) == (None, True), failed
    swarm.remove("lw-three")

    with pytest.raises(EngineError, match="the job was not accepted"):
        swarm.submit(NodeJob("lw-three", "No Image", ("true",), labels, memory=0, secret=KEY))

    swarm.submit(NodeJob("lw-four", cluster.tiny, ("true",), labels, memory=1 << 60))
    wait_until(lambda: the_task("lw-four").reason, "the reason")
    waiting = the_task("lw-four")
    assert (waiting.phase, waiting.node) == (TaskPhase.PENDING, "")
    assert "insufficient resources" in waiting.reason
    swarm.remove("lw-four")


def test_jobs_that_are_removed_while_they_are_listed(cluster: Cluster) -> None:
    """As those of other commands are, which share the cluster."""
    names = [f"lw-gone-{number}" for number in range(12)]
    for name in names:
        swarm.submit(NodeJob(name, cluster.tiny, ("true",), {JOB_LABEL: name}, memory=1 << 60))
    assert len(swarm.list_tasks()) == len(names)
    with ThreadPoolExecutor() as pool:
        removal = pool.submit(cluster.manager.docker, "service", "rm", *reversed(names))
        while not removal.done():
            swarm.list_tasks()
        removal.result()
    assert swarm.list_tasks() == []


def test_a_node_that_dies_and_comes_back(cluster: Cluster) -> None:
    """Swarm starts nothing elsewhere by itself; a forced attempt does, and the work of the first stays."""
    one, two = cluster.nodes
    with cluster.only(two):
        swarm.submit(a_job(cluster, "lw-five", CANCELLED, secret=KEY))
        wait_until(lambda: file_on_a_node(cluster, "lw-five.up"), "the job")
        assert wait_for("lw-five", TaskPhase.RUNNING).node == "node-two"
    two.lose_power()
    lost = wait_for("lw-five", TaskPhase.LOST)
    assert (lost.node, lost.status, lost.attempt) == ("node-two", None, 0)
    assert [node.state for node in swarm.list_nodes()] == ["ready", "down"]

    swarm.try_again("lw-five")
    wait_until((one.work / "lw-five.up").exists, "the second attempt")
    again = wait_for("lw-five", TaskPhase.RUNNING)
    assert (again.node, again.attempt) == ("node-one", 1)

    cluster.start(two)
    wait_until(lambda: all(node.takes_jobs for node in swarm.list_nodes()), "the node")
    assert the_task("lw-five") == again
    assert (two.work / "lw-five.up").exists()
    swarm.remove("lw-five")
    wait_until(lambda: not swarm.is_running(again.id), "the task's end")
    assert ((one.work / "lw-five.home").exists(), (two.work / "lw-five.home").exists()) == (True, False)


def test_the_nodes_of_a_cluster(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = swarm.list_nodes()
    assert (one.name, one.role, two.name, two.role) == ("node-one", "leader", "node-two", "worker")
    version = cluster.manager.docker("version", "--format", "{{.Server.Version}}")
    for node, known in zip((one, two), cluster.nodes, strict=True):
        assert (node.version, node.address, node.resources) == (version, known.address, {SLOT: SLOTS})
        assert (node.state, node.availability, node.takes_jobs) == ("ready", "active", True)
    with cluster.only(cluster.manager):
        assert [node.takes_jobs for node in swarm.list_nodes()] == [True, False]

    monkeypatch.setenv("DOCKER_HOST", cluster.nodes[1].host)
    for ask in (swarm.list_nodes, swarm.list_tasks, lambda: swarm.remove("lw-none")):
        with pytest.raises(EngineError, match="not a manager of a Swarm"):
            ask()
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/sock")
    with pytest.raises(EngineError, match="does not answer"):
        swarm.list_nodes()


# What lw_coder does in a process of its own.
SUBMIT = """
import json, sys
from lw_coder.containers.job_queue import submit_in_turn
from lw_coder.containers.job_spec import NodeJob
submit_in_turn(NodeJob(**json.loads(sys.argv[1])), lambda: print("waits", flush=True))
"""


def test_jobs_wait_for_a_slot_in_the_order_of_their_commands(cluster: Cluster, home: Path) -> None:
    """Nine jobs on six slots; the command of the seventh is killed while it waits."""

    def command(number: int) -> subprocess.Popen[bytes]:
        script = "while [ ! -e $0.go ]; do sleep 0.1; done"
        words = json.dumps(asdict(a_job(cluster, f"lw-q{number}", script)) | {"secret": ""})
        return subprocess.Popen([sys.executable, "-c", SUBMIT, words], stdout=subprocess.PIPE)

    def submitted() -> set[int]:
        return {int(task.job[-1]) for task in swarm.list_tasks()}

    def let_end(number: int) -> None:
        for node in cluster.nodes:
            (node.work / f"lw-q{number}.go").touch()

    first = [command(number) for number in range(1, 7)]
    assert [one.wait() for one in first] == [0] * 6
    wait_until(lambda: all(task.phase is TaskPhase.RUNNING for task in swarm.list_tasks()), "six jobs")
    assert sorted(task.node for task in swarm.list_tasks()) == ["node-one"] * SLOTS + ["node-two"] * SLOTS
    waiting = {}
    for number in (7, 8, 9):
        waiting[number] = command(number)
        assert waiting[number].stdout.readline() == b"waits\n"  # type: ignore[union-attr]
    waiting[7].kill()
    assert submitted() == {1, 2, 3, 4, 5, 6}

    let_end(2)
    assert waiting[8].wait() == 0
    assert (submitted(), waiting[9].poll()) == ({1, 2, 3, 4, 5, 6, 8}, None)
    let_end(5)
    assert waiting[9].wait() == 0
    for number in range(1, 10):
        let_end(number)
    wait_until(lambda: all(task.phase is TaskPhase.COMPLETE for task in swarm.list_tasks()), "all jobs")
    assert len(swarm.remove_all({JOB_LABEL: None})) == 8
    assert not list(home.glob("**/*.ticket"))


def test_a_slot_that_no_node_offers(cluster: Cluster) -> None:
    job = replace(a_job(cluster, "lw-none", "true"), slot="lw-other")
    with pytest.raises(EngineError, match="no node of the cluster that takes jobs offers lw-other"):
        submit_in_turn(job)
