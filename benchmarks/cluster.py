"""Sessions on the nodes of a cluster: what the way there takes, and many plans on two nodes and on one.

The nodes share this machine's processors, so these sessions only wait, as others do for their model.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.figures import Figure, in_turns
from benchmarks.workplace import LW_CODER
from lw_coder.plans.plan_file import read_plan
from tests.integration.cluster.remote import Remote, committing
from tests.integration.known_prompts import know_plan_prompts
from tests.support.cluster import Cluster, running_cluster
from tests.support.sample_repository import PLAN, PLAN_ID, make_sample_repository
from tests.support.stand_in import SCRIPT, give_images

COUNTS = (4, 8, 16)
WAITING = 10  # seconds of a session that waits for its model
_FIRST = f"date +%s.%N >when; {committing('When')}"


@dataclass(frozen=True)
class Stage:
    """A repository with as many plans as are carried out at once, and a cluster."""

    remote: Remote
    plans: Sequence[str]

    def _starts(self, plan: str, script: str, engine: str) -> subprocess.Popen[bytes]:
        command = [LW_CODER, "code", plan, "--headless", "--engine", engine]
        env = {**self.remote.env, SCRIPT: script}
        return subprocess.Popen(
            command,
            cwd=self.remote.sample.root,
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def first(self, engine: str) -> float:
        """Return the seconds from the command to the session's first instruction."""
        began = time.time()
        _end(self._starts(PLAN_ID, _FIRST, engine))
        return float((self.remote.worktree / "when").read_text()) - began

    def together(self, count: int) -> float:
        """Return the seconds that so many plans take, all started at once."""
        began = time.monotonic()
        for process in [self._starts(plan, f"sleep {WAITING}", "swarm") for plan in self.plans[:count]]:
            _end(process)
        return time.monotonic() - began

    def on_one_node(self, count: int) -> float:
        """Return what they take on one node alone."""
        with self.remote.cluster.only(self.remote.cluster.nodes[1]):
            return self.together(count)


def _end(process: subprocess.Popen[bytes]) -> None:
    _, said = process.communicate()
    # A session that commits nothing is a result too.
    if process.returncode not in {0, 6}:
        raise RuntimeError(f"{process.args!r}: {process.returncode}\n{said.decode(errors='replace')}")


def measure(times: int) -> Iterator[Figure]:
    """Prompts known, images pushed, objects on the nodes."""
    with tempfile.TemporaryDirectory(prefix="lw_coder-bench-") as folder, _stage(Path(folder)) as stage:
        for engine in ("local", "swarm"):
            stage.first(engine)
        takes = partial(stage.first, "swarm"), partial(stage.first, "local")
        there, here = in_turns(times, *takes)
        yield Figure("code on a node, first instruction", "ratio", there, here, "the same on this machine")
        yield Figure("the way to a node", "difference", there, here, "the same on this machine")
        for count in COUNTS:
            both = partial(stage.together, count), partial(stage.on_one_node, count)
            two, one = in_turns(max(1, times // 5), *both)
            yield Figure(f"{count} plans on two nodes", "ratio", two, one, "one node")


@contextmanager
def _stage(folder: Path) -> Iterator[Stage]:
    with running_cluster() as cluster:
        (folder / "images").mkdir()
        give_images(cluster, folder / "images")
        remote = Remote(folder / "home", make_sample_repository(folder / "sample"), cluster, {})
        remote.env = _environment(folder / "home", cluster)
        remote.configure()
        remote.sample.write_env(remote.model)
        plans = [PLAN_ID, *(_add_plan(remote, f"plan-{number}") for number in range(1, max(COUNTS)))]
        for plan in plans:
            path = remote.sample.plan.with_name(f"{plan}.md")
            know_plan_prompts(remote.home, read_plan(path).metadata, remote.model)
        yield Stage(remote, plans)


def _environment(home: Path, cluster: Cluster) -> Mapping[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "SSL_CERT_FILE") if name in os.environ}
    return {**kept, **cluster.environment, "HOME": str(home), "LANG": "C.UTF-8"}


def _add_plan(remote: Remote, name: str) -> str:
    text = (remote.sample.root / PLAN).read_text(encoding="utf-8").replace(PLAN_ID, name)
    remote.sample.plan.with_name(f"{name}.md").write_text(text, encoding="utf-8")
    return name
