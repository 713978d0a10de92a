"""Sessions on the nodes of a cluster, from the command to the commits on the plan's branch."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from lw_coder.containers import swarm
from lw_coder.containers.image_names import BASE_TAG
from lw_coder.containers.job_spec import SLOT
from lw_coder.containers.registry import Registry
from lw_coder.engines.job_document import RUNS
from lw_coder.engines.sent_job import read_sent_job
from lw_coder.engines.swarm_results import find_result
from lw_coder.settings.registry_place import parse_place
from tests.integration.cluster.remote import Remote, committing, files_with
from tests.support.base_image import ensure_base_image
from tests.support.cluster import Cluster, Node
from tests.support.patience import wait_until
from tests.support.sample_repository import KEY
from tests.support.scripted_model import ScriptedModel
from tests.support.shell_agent import DONE, shell_agent
from tests.support.small_disk import mounted_disk
from tests.support.stand_in import copy

WAITING = f"{committing('First')}; touch /workspace/.lw-is-up; while :; do sleep 0.2; done"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted_disk(tmp_path / "disk", "1m") as folder:
        yield folder


@pytest.fixture(scope="session")
def real_base(with_images: Cluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The real base image, in the manager's engine under a name of its own."""
    copy(ensure_base_image(tmp_path_factory.mktemp("base")), with_images.manager.host, "lw_coder_real:latest")
    return "lw_coder_real:latest"


def test_a_plan_is_carried_out_on_a_node(remote: Remote) -> None:
    """The session has its hardening and its proxy there; its commits are on the plan's branch, verified."""
    registry, port = remote.cluster.registry.split(":")
    reaches = f"timeout 5 bash -c : <>/dev/tcp/{registry}/{port} 2>/dev/null && echo reached >>place"
    script = f"grep -E ^NoNewPrivs: /proc/self/status >place; ({reaches}) || true; {committing('Placed')}"
    remote.configure('checks = ["test -s place"]')
    with remote.cluster.only(remote.cluster.nodes[1]):
        status, document, said = remote.runs(script)
    assert status == 0, said
    commits = document["commits"]
    assert (document["outcome"], commits["branch_moved"], commits["count"]) == ("completed", True, 1), said
    assert document["verdict"]["passed"] is True
    assert "the session is on node node-two" in said
    assert (remote.worktree / "place").read_text().split() == ["NoNewPrivs:", "1"]
    assert remote.sample.git("-C", str(remote.worktree), "status", "--porcelain") == ""
    assert (remote.run / "summary.md").read_text() == "All of it is done.\n"
    remote.sample.git("fsck", "--strict")

    wait_until(lambda: not remote.on_nodes(), "the nodes' clean-up")
    assert [hit for node in remote.cluster.nodes for hit in files_with(node.folder, KEY)] == []
    assert [path for node in remote.cluster.nodes for path in node.memory.glob("lw_coder-lw-*")] == []
    assert files_with(remote.cluster.folder / "registry", KEY) == []
    assert files_with(remote.run, KEY) == []
    sent = read_sent_job(remote.run)
    assert sent is not None
    left = Registry(parse_place(sent.registry))
    assert left.find(RUNS, sent.job) is None
    assert find_result(left, sent.job, sent.attempts) is None


def test_the_commits_of_a_session_that_is_ended_are_imported(remote: Remote) -> None:
    """By Ctrl+C, and by its limit, with the exit codes of a session on this machine."""
    process = remote.types(WAITING)
    wait_until(lambda: remote.files_on_nodes("root/.lw_coder/worktrees/*/.lw-is-up"), "the session")
    manager = remote.cluster.manager
    for kind in ("service", "secret"):
        (one,) = manager.docker(kind, "ls", "--quiet").split()
        assert KEY not in manager.docker(kind, "inspect", one)
    assert manager.docker("config", "ls", "--quiet") == ""
    assert [hit for node in remote.cluster.nodes for hit in files_with(node.folder, KEY)] == []
    assert [hit for node in remote.cluster.nodes for hit in files_with(node.memory, KEY)], "it is in memory"
    process.send_signal(signal.SIGINT)
    status, document, said = remote.ended(process)
    assert (status, document["outcome"], document["commits"]["count"]) == (130, "signal", 1), said

    status, document, said = remote.runs(WAITING.replace("First", "Second"), "--minutes", "1")
    assert (status, document["outcome"], document["commits"]["count"]) == (5, "limit", 1), said
    assert document["ended"]["limit"] == {"name": "minutes", "value": 1}
    assert sorted(path.name for path in remote.worktree.glob("*.done")) == ["First.done", "Second.done"]


def test_a_signal_while_a_session_is_handed_over_ends_its_run(remote: Remote) -> None:
    """Its run has an end, and the cluster has nothing of it; the next one begins at once."""
    process = remote.types(WAITING)
    assert process.stderr
    while not process.stderr.readline().startswith("Session:"):
        pass
    process.send_signal(signal.SIGTERM)
    status, document, said = remote.ended(process)
    assert (status, document["outcome"]) == (143, "signal"), said
    assert json.loads((remote.run / "run.json").read_text())["ended"]["outcome"] == "signal"
    assert remote.cluster.settled_leavings() == []
    status, document, said = remote.runs(committing("Next"))
    assert (status, document["commits"]["count"]) == (0, 1), said


def test_a_signal_when_the_result_has_arrived_loses_nothing(remote: Remote) -> None:
    """It comes too late for the session; the commits are imported, and the run has an end."""
    process = remote.types(committing("Late"))
    assert process.stderr
    while not process.stderr.readline().startswith("Cluster:  the result has arrived"):
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    status, document, said = remote.ended(process)
    assert status in {0, 143}, said
    assert document["commits"]["count"] == 1, said
    assert json.loads((remote.run / "run.json").read_text())["ended"]["commits"] == 1


def test_an_error_while_a_session_is_handed_over_ends_its_run(remote: Remote, small_disk: Path) -> None:
    """Each time the run has an end that says why, and the cluster has nothing of it."""
    config, env = remote.sample.root / ".lw_coder/config.toml", remote.env
    whole = config.read_text(encoding="ascii")
    (remote.sample.root / ".lw_coder/tasks/large").write_bytes(os.urandom(2 << 20))  # the tar has it
    refused = whole.replace("allow", 'docker_run_args = ["--memory", "8589934591.9g"]\nallow')
    for text, own, why in (
        (whole.replace(remote.cluster.registry, f"{remote.cluster.address}:9"), {}, "was not pushed: "),
        (whole.replace(SLOT, "no-such-slot"), {}, "no node of the cluster that takes jobs offers no-such"),
        (refused, {}, "cluster: the job was not accepted: "),
        (whole, {"TMPDIR": str(small_disk)}, "there is no space for what is written"),
    ):
        config.write_text(text, encoding="ascii")
        remote.env = {**env, **own}
        status, document, said = remote.runs("true")
        (error,) = [line for line in said.splitlines() if line.startswith("error: ")]
        assert (status, why in error, document["outcome"]) == (1, True, "error"), said
        ended = json.loads((remote.run / "run.json").read_text())["ended"]
        assert (ended["outcome"], why in ended["agent"]["problem"], ended["problem"]) == (
            "failed",
            True,
            None,
        )
        assert remote.cluster.leavings() == []
        sent = read_sent_job(remote.run)
        if sent:
            assert sent.is_closed
            assert Registry(parse_place(sent.registry)).find(RUNS, sent.job) is None
    config.write_text(whole, encoding="ascii")
    remote.env = env
    status, document, said = remote.runs(committing("Next"))
    assert (status, document["commits"]["count"], "earlier run" in said.lower()) == (0, 1, False), said


def test_a_killed_command_leaves_its_result_to_the_next(remote: Remote) -> None:
    process = remote.types(f"{committing('Kept')}; touch .lw-is-up; until [ -e .lw-go ]; do sleep 0.2; done")
    wait_until(lambda: remote.files_on_nodes("root/.lw_coder/worktrees/*/.lw-is-up"), "the session")
    process.kill()
    process.wait()
    status, _, said = remote.runs(committing("Other"))
    assert status == 1
    assert "its session is still on node" in said
    (up,) = remote.files_on_nodes("root/.lw_coder/worktrees/*/.lw-is-up")
    up.with_name(".lw-go").touch()
    wait_until(lambda: not remote.on_nodes(), "the session's end")
    status, document, said = remote.runs(committing("Next"))
    assert (status, document["commits"]["count"]) == (0, 1), said
    assert "1 commit imported" in said
    assert sorted(path.name for path in remote.worktree.glob("*.done")) == ["Kept.done", "Next.done"]


def _kill_runner(remote: Remote, node: Node) -> None:
    wait_until(lambda: remote.files_on_nodes("root/.lw_coder/worktrees/*/.lw-is-up"), "the session")
    node.docker("kill", *node.docker("ps", "--quiet", "--filter", "name=lw-.*[.]").split())


def test_what_a_killed_runner_has_is_fetched_from_its_node(remote: Remote) -> None:
    two = remote.cluster.nodes[1]
    with remote.cluster.only(two):
        process = remote.types(WAITING)
        _kill_runner(remote, two)
    status, document, said = remote.ended(process)
    assert "the runner on node node-two was killed; what its session did is fetched" in said
    assert (status, document["outcome"], document["commits"]["count"]) == (4, "failed", 1), said
    assert (remote.worktree / "First.done").exists()
    assert (remote.on_nodes(), swarm.list_tasks()) == ([], [])
    status, document, said = remote.runs(committing("Second"))
    assert (status, document["commits"]["count"]) == (0, 1), said
    assert sorted(path.name for path in remote.worktree.glob("*.done")) == ["First.done", "Second.done"]


def test_what_a_killed_runner_of_a_killed_command_has_is_fetched_by_the_next_start(remote: Remote) -> None:
    two = remote.cluster.nodes[1]
    with remote.cluster.only(two):
        process = remote.types(WAITING)
        wait_until(lambda: remote.files_on_nodes("root/.lw_coder/worktrees/*/.lw-is-up"), "the session")
        process.kill()
        process.wait()
        _kill_runner(remote, two)
    first = remote.run.name
    status, document, said = remote.runs(committing("Second"))
    assert (status, document["commits"]["count"]) == (0, 1), said
    assert f"the runner of sample-plan/{first} was killed" in said
    assert f"the result of sample-plan/{first} has arrived" in said
    assert sorted(path.name for path in remote.worktree.glob("*.done")) == ["First.done", "Second.done"]
    assert (remote.on_nodes(), swarm.list_tasks()) == ([], [])


def test_the_real_agent_on_a_node(real_base: str, remote: Remote) -> None:
    """It asks its model through the gateway beside it, and the key stays outside of the session."""
    stand_in = remote.cluster.manager.docker("image", "inspect", "--format", "{{.Id}}", BASE_TAG)
    remote.cluster.manager.docker("tag", real_base, BASE_TAG)
    remote.configure("gateway = true")
    steps = ["env | grep -c sk-or > seen; git add --all; git commit --quiet --message Real; git status"]
    try:
        with (
            remote.cluster.only(remote.cluster.nodes[1]),
            ScriptedModel(shell_agent(steps), host=remote.cluster.address) as model,
        ):
            remote.model = model.base_url
            status, document, said = remote.runs("true")
    finally:
        remote.cluster.manager.docker("tag", stand_in, BASE_TAG)
    assert (status, document["outcome"], document["commits"]["count"]) == (0, "completed", 1), said
    assert (remote.worktree / "seen").read_text() == "0\n"
    assert document["spent"]["total"]["requests"] >= 2
    assert (remote.run / "summary.md").read_text() == f"{DONE}\n"
    assert list((remote.run / "sessions").rglob("*.jsonl"))


def test_what_cannot_run_on_a_node_is_refused(remote: Remote) -> None:
    config = remote.sample.root / ".lw_coder/config.toml"
    whole = config.read_text(encoding="ascii")
    remote.env = {**remote.env, "a.b": "1"}
    for text, why in (
        (whole.replace("allow_hosts = []\n", ""), "allow_hosts: is not set"),
        (whole.partition("[code.swarm]")[0], "needs a registry"),
        (whole.replace("allow", 'docker_run_args = ["--volume", "./a:/a"]\nallow'), "--volume names"),
        (whole.replace("http://", "ftp://"), "is not a registry"),
        (
            whole.replace("allow", 'forward_env = ["OPENROUTER_*", "*.b"]\nallow'),
            "a variable with this name",
        ),
    ):
        config.write_text(text, encoding="ascii")
        status, _, said = remote.runs("true")
        errors = [line for line in said.splitlines() if line.startswith("error: ")]
        assert (status, len(errors), why in errors[0]) == (1, 1, True), said
    assert not remote.worktree.exists()
