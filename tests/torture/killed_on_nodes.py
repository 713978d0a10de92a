"""Sessions on the nodes of a cluster: the command at home is killed, or the runner on the node."""

from __future__ import annotations

import glob
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event, Thread

from lw_coder.containers.job_spec import SLOT
from lw_coder.containers.labels import PROXY_LABEL
from lw_coder.engines.job_document import JOB_FILE
from lw_coder.engines.node_work import BEGUN
from lw_coder.foundation.errors import ExitCode
from tests.support.cluster import Cluster, Node, running_cluster
from tests.support.patience import wait_until
from tests.support.sample_repository import PLAN_ID
from tests.support.stand_in import give_images
from tests.torture.cases import Case, Extent
from tests.torture.commands import BRANCH, FILES
from tests.torture.health import changed, not_imported, sick
from tests.torture.scenes import Persons, Scene
from tests.torture.strikes import SIGNALS, WHEN, Ended, Sight, Strike

POINTS = 15  # of the command at home
TIMES = 2  # at random, for each signal, at home and on the node

_WORDS = ("code", PLAN_ID, "--headless")
_RUNNERS = ("ps", "--quiet", "--filter", "name=lw-.*[.]")
_AT_WORK = "work/lw-*"
_RUN = f"{_AT_WORK}/root/.lw_coder/runs/{PLAN_ID}/*"
_WORKTREE = f"{_AT_WORK}/root/.lw_coder/worktrees/{PLAN_ID}"
_SETTINGS = """[code]
engine = "swarm"
allow_hosts = []
[code.swarm]
registry = "http://{registry}/team"
slot = "{slot}"
"""


def _sight(what: str, pattern: str) -> Sight:
    """Something below a node's folder; what other processes remove meanwhile is no error for `glob.glob`."""
    return Sight(what, lambda folder: glob.glob(pattern, root_dir=folder))  # noqa: PTH207


SIGHTS = (
    _sight("its folder is there", f"{_AT_WORK}/lock"),
    _sight("the job is there", f"{_AT_WORK}/{JOB_FILE}"),
    _sight("the run is unpacked", f"{_RUN}/compose.yml"),
    _sight("the worktree has begun", f"{_WORKTREE}/*"),
    _sight("the session is about to begin", f"{_AT_WORK}/{BEGUN}"),
    _sight("its events are kept", f"{_RUN}/events.jsonl"),
    _sight("the agent has begun", f"{_WORKTREE}/work-*"),
    _sight("the agent has committed", f"{_RUN}/git/refs/heads/{BRANCH}"),
    _sight("the result is packed", f"{_AT_WORK}/result-*"),
    _sight("the result is written", f"{_AT_WORK}/result-*/result"),
)


@dataclass(frozen=True)
class NodeStage:
    """The cluster, and a scene whose sessions go to its nodes.

    Attributes:
        cluster: the cluster.
        scene: the scene.
        seconds: how long a session takes.
        programs: how many programs the command at home starts.
    """

    cluster: Cluster
    scene: Scene
    seconds: float
    programs: int

    def wait_for_nodes(self) -> None:
        """Wait until no session is at work on a node."""
        wait_until(lambda: not self._at_work(), "the end of the sessions on the nodes")

    def _at_work(self) -> list[str]:
        """Runners and sessions; a proxy whose runner was killed waits for the next one, which removes it."""
        asked = ("ps", "--format", f'{{{{.ID}}}} {{{{.Label "{PROXY_LABEL}"}}}}')
        listed = [line for node in self.cluster.nodes for line in node.docker(*asked).splitlines()]
        return [line for line in listed if len(line.split()) == 1]


@contextmanager
def opened(folder: Path, extent: Extent) -> Iterator[Sequence[Case]]:
    """Start a cluster, whose base image is a stand-in."""
    with running_cluster() as cluster:
        (folder / "image").mkdir()
        give_images(cluster, folder / "image")
        scene = Scene(folder / "scene", cluster.manager.host, FILES)
        settings = _SETTINGS.format(registry=cluster.registry, slot=SLOT)
        (scene.root / ".lw_coder/config.toml").write_text(settings, encoding="ascii")
        scene.sample.git("commit", "--quiet", "--all", "--message", "Settings")
        scene.keep("on nodes")
        first, second = scene.types(*_WORDS), scene.types(*_WORDS)  # the first one sends all that there is
        assert (first.status, second.status) == (0, 0), f"{first.shown}\n{second.shown}"
        stage = NodeStage(cluster, scene, second.seconds, len(second.programs))
        yield list(_cases(stage, extent))


def _cases(stage: NodeStage, extent: Extent) -> list[Case]:
    """Choose as many of all strikes as are wanted."""
    chance = extent.random()
    every = [
        *(Case("code on a node", f"{strike}", partial(_at_home, stage, strike)) for strike in _steps(stage)),
        *(Case("node-run", f"{strike}", partial(_on_the_node, stage, strike)) for strike in _at_sights()),
    ]
    for what, struck in (("code on a node", _at_home), ("node-run", _on_the_node)):
        for number in range(TIMES * len(SIGNALS)):
            strike = Strike(SIGNALS[number % len(SIGNALS)], seconds=chance.random() * stage.seconds)
            every.append(Case(what, f"{strike}, seed {extent.seed}", partial(struck, stage, strike)))
    return [every[one] for one in sorted(chance.sample(range(len(every)), extent.of(len(every))))]


def _steps(stage: NodeStage) -> Iterator[Strike]:
    """Spread the points over all programs; the signals take turns."""
    for point in range(POINTS):
        program = 1 + point * (stage.programs - 1) // (POINTS - 1)
        yield Strike(SIGNALS[point % len(SIGNALS)], program, WHEN[point % len(WHEN)])


def _at_sights() -> Iterator[Strike]:
    """SIGKILL at each sight, and another signal; these take turns."""
    others = SIGNALS[1:]
    for count, sight in enumerate(SIGHTS):
        yield Strike(signal.SIGKILL, sight=sight)
        yield Strike(others[count % len(others)], sight=sight)


def _at_home(stage: NodeStage, strike: Strike) -> list[str]:
    """The session goes on when the command is killed; its result is imported by the next one."""
    stage.scene.restore("on nodes")
    before = stage.scene.persons()
    ended = stage.scene.types(*_WORDS, strike=strike)
    wrong = [] if ended.status in {128 + strike.number, ExitCode.OK} else [f"its status is {ended.status}"]
    if strike.number != signal.SIGKILL:
        wrong += [*_left(stage), *sick(stage.scene), *not_imported(stage.scene)]
    return _judged(stage, before, ended, wrong, more=1)


def _on_the_node(stage: NodeStage, strike: Strike) -> list[str]:
    """The runner gets the signal; what it had of the session arrives by it, or by the next runner there."""
    stage.scene.restore("on nodes")
    before = stage.scene.persons()
    with stage.cluster.only(stage.cluster.nodes[1]):
        ended = _with_struck_runner(stage, strike)
        wrong = [] if ended.status in _ENDS else [f"its status is {ended.status}"]
        return _judged(stage, before, ended, wrong, more=2)


# Done before the signal, a session that a signal has ended, or one without a result.
_ENDS = {ExitCode.OK, ExitCode.ERROR, ExitCode.SESSION, *(128 + number for number in SIGNALS)}


def _with_struck_runner(stage: NodeStage, strike: Strike) -> Ended:
    over = Event()
    sender = Thread(target=_send, args=(stage.cluster.nodes[1], strike, over))
    sender.start()
    try:
        return stage.scene.types(*_WORDS)
    finally:
        over.set()
        sender.join()


def _send(node: Node, strike: Strike, over: Event) -> None:
    """Wait for the runner and for the moment, and send it the signal."""
    while not (runner := node.docker(*_RUNNERS)) and not over.is_set():
        time.sleep(0.01)
    if strike.sight:
        while not strike.sight.is_there(node.work) and not over.is_set():
            time.sleep(0.002)
    else:
        # The moment is counted from the runner's start: what is before concerns the command at home.
        time.sleep(strike.seconds / 2)
    if runner:
        with suppress(AssertionError):  # it has ended
            node.docker("kill", "--signal", strike.number.name, runner)


def _judged(stage: NodeStage, before: Persons, ended: Ended, wrong: list[str], *, more: int) -> list[str]:
    """Run the plan again: what a runner left arrives while the first one runs; the second imports it."""
    scene = stage.scene
    stage.wait_for_nodes()
    following = [scene.types(*_WORDS) for _ in range(more)]
    failed = [one for one in following if one.status != ExitCode.OK]
    wrong += [f"after the next one: its status is {one.status}\n{one.shown}" for one in failed]
    wrong += [*sick(scene), *_left(stage), *not_imported(scene), *changed(scene, before)]
    if "work-" not in scene.git("ls-tree", "--name-only", BRANCH).stdout:
        wrong.append(f"{BRANCH} has no commit of a session")
    return [*wrong, *([ended.shown] if wrong else [])]


def _left(stage: NodeStage) -> list[str]:
    return stage.cluster.settled_leavings()
