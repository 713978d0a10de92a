"""A node that dies, or that nothing reaches, while it has a session: what is told, and what is imported."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from lw_coder.containers import swarm
from lw_coder.containers.job_spec import JOB_LABEL
from tests.integration.cluster.remote import Remote, committing
from tests.support.cluster import Node
from tests.support.patience import read_until, wait_until


def script(word: str) -> str:
    """Commit a file, and wait until a file `go` is in the worktree."""
    return f"{committing(word)}; touch {word}.begun; while [ ! -e go ]; do sleep 0.2; done; rm go *.begun"


def found(node: Node, name: str) -> Path | None:
    """Find a file in the worktree of a session on a node."""
    walk = os.walk(node.work)  # which passes over what a runner removes meanwhile
    return next((Path(folder, name) for folder, _, files in walk if name in files), None)


def let_end(node: Node, word: str) -> None:
    wait_until(lambda: found(node, f"{word}.begun"), f"a session on {node.name}")
    begun = found(node, f"{word}.begun")
    assert begun is not None
    begun.with_name("go").touch()


def subjects(remote: Remote) -> list[str]:
    listed = remote.sample.git("-C", str(remote.worktree), "log", "--format=%s", "-3")
    return listed.split("\n")


def test_a_node_dies_and_the_session_is_given_up(remote: Remote) -> None:
    """Without the option nothing starts a second time; with it, the first attempt's commits stay out."""
    one, two = remote.cluster.nodes
    with remote.cluster.only(two):
        process = remote.types(script("first"))
        wait_until(lambda: found(two, "first.begun"), "the session")
    two.lose_power()
    said = read_until(process, "waiting for the node")
    assert "node node-two is down; the session may still be running there, and cost money" in said
    assert [task.attempt for task in swarm.list_tasks()] == [0]
    process.send_signal(signal.SIGINT)
    status, _, said = remote.ended(process)
    assert status not in {0, 3}, said
    assert "--retry-lost" in said

    status, _, said = remote.runs(script("again"))
    assert status == 1, said
    assert "which is down; it may still be running there" in said
    assert "--retry-lost" in said

    again = remote.types(script("second"), "--retry-lost")
    let_end(one, "second")
    status, document, said = remote.ended(again)
    assert (status, document["commits"]["count"]) == (0, 1), said
    assert "is given up" in said

    remote.cluster.start(two)
    wait_until(lambda: all(node.takes_jobs for node in swarm.list_nodes()), "the node")
    with remote.cluster.only(two):
        third = remote.types(script("third"))
        let_end(two, "third")
        status, document, said = remote.ended(third)
    assert (status, document["commits"]["count"]) == (0, 1), said
    assert subjects(remote)[:2] == ["third", "second"]
    assert not (remote.worktree / "first.done").exists()
    assert found(two, "first.done") is None, "the runner sweeps what the first attempt left"
    remote.sample.git("fsck", "--strict")


def test_a_second_attempt_is_imported_once(remote: Remote) -> None:
    """The first attempt goes on all the while, on a node that nothing reaches."""
    one, two = remote.cluster.nodes
    with remote.cluster.only(two):
        process = remote.types(script("word"), "--retry-lost")
        wait_until(lambda: found(two, "word.begun"), "the session")
    with remote.cluster.cut_off(two):
        said = read_until(process, "a second attempt was started")
        assert "node node-two is down" in said
        let_end(one, "word")
        status, document, said = remote.ended(process)
        assert (status, document["commits"]["count"]) == (0, 1), said
        assert found(two, "word.begun"), "the first attempt is still at work"
    wait_until(lambda: all(node.takes_jobs for node in swarm.list_nodes()), "the node")
    wait_until(lambda: found(two, "word.done") is None, "the end of the first attempt")
    assert swarm.list_tasks({JOB_LABEL: None}) == []

    # What the first attempt has sent meanwhile is not looked for.
    after = remote.types(script("after"))
    with remote.cluster.only(two):
        wait_until(lambda: found(one, "after.begun") or found(two, "after.begun"), "a session")
    let_end(one if found(one, "after.begun") else two, "after")
    status, document, said = remote.ended(after)
    assert (status, document["commits"]["count"]) == (0, 1), said
    assert subjects(remote)[:2] == ["after", "word"]
    remote.sample.git("fsck", "--strict")
