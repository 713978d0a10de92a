"""Many commands at once: in one repository, on one plan, on an engine without images, with one cache."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from lw_coder.containers.image_names import BASE_TAG
from lw_coder.containers.images import base_fingerprint
from lw_coder.foundation.errors import ExitCode
from lw_coder.foundation.shipped import shipped_folder
from lw_coder.plans.plan_file import TASKS_FOLDER
from lw_coder.runs.run_folders import list_runs
from tests.support.agent_script import prompt_answer
from tests.support.cluster import Cluster
from tests.support.installed import LW_CODER
from tests.support.patience import PATIENCE, wait_until
from tests.support.plan_files import text
from tests.support.sample_repository import PLAN_ID
from tests.support.scripted_model import ScriptedModel
from tests.support.stand_in import SCRIPT, stand_in_tag
from tests.torture.cases import Case, Extent
from tests.torture.engines import own_engines
from tests.torture.health import changed, left, not_imported, sick
from tests.torture.scenes import COMMITS, Scene

CROWD, RIVALS, ASKING = 20, 5, 6
ROUNDS = 3
FILES = 200

_GO = "while [ ! -e go ]; do sleep 0.1; done; "
_HOLDER = re.compile(r"a session is already running on this plan \(process (\d+), since ")
_WORDS_OF_COLLISIONS = ("Traceback", "No such file", "damaged", "cannot be")


class Ended:
    """A command that was started beside others, and has ended.

    Attributes:
        status: its exit status; None if it did not end.
        shown: what it printed.
    """

    def __init__(self, process: subprocess.Popen[str], words: Sequence[str]) -> None:
        self.pid, self.words = process.pid, " ".join(words)
        self.status: int | None = None
        try:
            self.shown = process.communicate(timeout=PATIENCE)[0]
            self.status = process.returncode
        except subprocess.TimeoutExpired:
            process.kill()
            self.shown = process.communicate()[0]

    def faults(self, *expected: int) -> Iterator[str]:
        """Name what is wrong with its end."""
        if self.status not in expected:
            how = "it did not end" if self.status is None else f"its status is {self.status}"
            yield f"{self.words}: {how}\n{self.shown}"
        yield from (
            f"{self.words}: it showed {word!r}\n{self.shown}"
            for word in _WORDS_OF_COLLISIONS
            if word in self.shown
        )


def started(scene: Scene, *words: str, command: Sequence[str] = (LW_CODER,)) -> Callable[[], Ended]:
    """Start a command; what is returned waits for its end."""
    process = subprocess.Popen(
        [*command, *words],
        cwd=scene.root,
        env=scene.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return partial(Ended, process, words)


@contextmanager
def opened(folder: Path, extent: Extent) -> Iterator[Sequence[Case]]:
    """Start an engine of the torture's own, whose base image is a stand-in."""
    with own_engines(folder) as cluster:
        made = partial(_scenes, folder, cluster)
        rounds = range(extent.of(ROUNDS))
        crowd = max(2, extent.of(CROWD))
        yield [
            Case("runs of different plans at once", f"{crowd} plans", partial(_many, made, crowd), crowd),
            *(
                Case(what, f"round {number}", partial(run, made), count)
                for what, run, count in (
                    ("runs of one plan at once", _rivals, RIVALS),
                    ("batches at once", _two_batches, 2),
                    ("prune, clean, take and list while others run", _tidying, len(_TIDYING)),
                    ("first runs without a base image", partial(_two_first, cluster=cluster), 2),
                    ("runs that share an empty cache of prompts", _one_cache, ASKING),
                )
                for number in rounds
            ),
        ]


Made = Callable[..., Scene]


def _scenes(folder: Path, cluster: Cluster, commits: str = COMMITS) -> Scene:
    number = sum(1 for _ in folder.glob("scene-*"))
    return Scene(folder / f"scene-{number}", cluster.manager.host, FILES, commits)


def _many(made: Made, count: int) -> list[str]:
    """Each run commits to its own plan's branch."""
    scene = made()
    plans = [f"plan-{number}" for number in range(count)]
    for plan in plans:
        scene.add_plan(plan)
    before = scene.persons()
    running = [started(scene, "code", plan, "--headless") for plan in plans]
    wrong = [fault for wait in running for fault in wait().faults(ExitCode.OK)]
    wrong += [fault for plan in plans for fault in _has_one_commit(scene, plan)]
    return [*wrong, *sick(scene), *left(scene), *not_imported(scene), *changed(scene, before)]


def _has_one_commit(scene: Scene, plan: str) -> Iterator[str]:
    listed = scene.git("log", "--format=%s", f"main..lw/task/{plan}").stdout.splitlines()
    if len(listed) != 1:
        yield f"lw/task/{plan} has {len(listed)} commits of its own: {listed}"


def _rivals(made: Made) -> list[str]:
    """One proceeds; the others are refused, and each names the one."""
    scene = made(_GO + COMMITS)
    running = [started(scene, "code", PLAN_ID, "--headless") for _ in range(RIVALS)]
    worktree = scene.root / ".lw_coder/worktrees" / PLAN_ID
    wait_until(lambda: worktree.is_dir() and _refused(running) == RIVALS - 1, "the refusal of all but one")
    (worktree / "go").touch()
    ended = [wait() for wait in running]
    holders = [one for one in ended if one.status == ExitCode.OK]
    wrong = [fault for one in ended for fault in one.faults(ExitCode.OK, ExitCode.ERROR)]
    if len(holders) != 1:
        return [*wrong, f"{len(holders)} proceeded"]
    for one in ended:
        named = _HOLDER.search(one.shown)
        if one is not holders[0] and not (named and int(named[1]) == holders[0].pid):
            wrong.append(f"the refusal does not name process {holders[0].pid}: {one.shown}")
    return [*wrong, *_has_one_commit(scene, PLAN_ID), *sick(scene), *left(scene), *not_imported(scene)]


def _refused(running: Sequence[Callable[[], Ended]]) -> int:
    """Count those that have ended."""
    processes = [wait.args[0] for wait in running if isinstance(wait, partial)]
    return sum(process.poll() is not None for process in processes)


def _two_batches(made: Made) -> list[str]:
    """One is refused and names the other, whose plans are carried out once."""
    scene = made(_GO + COMMITS)
    scene.add_plan("another-plan")
    plans = (PLAN_ID, "another-plan")
    running = [started(scene, "batch", "--jobs", "2", *plans) for _ in range(2)]
    worktrees = [scene.root / ".lw_coder/worktrees" / plan for plan in plans]
    wait_until(lambda: all(one.is_dir() for one in worktrees) and _refused(running), "one refusal")
    for worktree in worktrees:
        (worktree / "go").touch()
    ended = sorted((wait() for wait in running), key=lambda one: one.status or 0)
    wrong = [*ended[0].faults(ExitCode.OK), *ended[1].faults(ExitCode.ERROR)]
    if f"a batch is already running in this repository (process {ended[0].pid}" not in ended[1].shown:
        wrong.append(f"the refusal does not name process {ended[0].pid}: {ended[1].shown}")
    wrong += [fault for plan in plans for fault in _has_one_commit(scene, plan)]
    return [*wrong, *sick(scene), *left(scene), *not_imported(scene)]


_TIDYING = (
    *((("runs", "prune", "--older-than", "0"),) * 3),
    *((("clean", "--yes", "--older-than", "0"),) * 2),
    *((("runs", "list"),) * 2),
    ("take", "done-0", "--yes", "--unverified"),  # its run may have been pruned before
    ("plans",),
    ("runs", "export"),
)


def _tidying(made: Made) -> list[str]:
    """Old runs are removed, and a result is taken, while three plans are carried out."""
    scene = made()
    finished, running = [f"done-{number}" for number in range(2)], [f"plan-{number}" for number in range(3)]
    for plan in (*finished, *running):
        scene.add_plan(plan)
    ended = [started(scene, "code", plan, "--headless") for plan in finished]
    wrong = [fault for wait in ended for fault in wait().faults(ExitCode.OK)]
    _make_old_runs(scene, "done-1", 25)
    at_work = [started(scene, "code", plan, "--headless") for plan in running]
    time.sleep(0.5)
    tidying = [started(scene, *words) for words in _TIDYING]
    wrong += [fault for wait in tidying for fault in wait().faults(ExitCode.OK)]
    wrong += [fault for wait in at_work for fault in wait().faults(ExitCode.OK)]
    wrong += [fault for plan in running for fault in _has_one_commit(scene, plan)]
    if scene.git("merge-base", "--is-ancestor", "lw/task/done-0", "main").returncode:
        wrong.append("done-0 was not taken")
    return [*wrong, *sick(scene), *left(scene), *not_imported(scene)]


def _make_old_runs(scene: Scene, plan: str, count: int) -> None:
    (run,) = list_runs(scene.root, plan)
    for number in range(count):
        copy = run.folder.with_name(f"20250101T0000{number:02}Z")
        shutil.copytree(run.folder, copy, symlinks=True)


def _two_first(made: Made, cluster: Cluster) -> list[str]:
    """Both need the base image, which nobody has built; another Dockerfile stands for the shipped one."""
    scenes = [made(), made()]
    lw_coder = _with_slim_dockerfile(scenes[0].folder / "installation")
    cluster.manager.docker("tag", BASE_TAG, "kept:latest")
    cluster.manager.docker("rmi", "--force", BASE_TAG)
    try:
        running = [started(scene, "code", PLAN_ID, "--headless", command=lw_coder) for scene in scenes]
        wrong = [fault for wait in running for fault in wait().faults(ExitCode.OK)]
    finally:
        cluster.manager.docker("tag", "kept:latest", BASE_TAG)
    for scene in scenes:
        wrong += [*_has_one_commit(scene, PLAN_ID), *sick(scene), *left(scene), *not_imported(scene)]
    return wrong


def _with_slim_dockerfile(folder: Path) -> Sequence[str]:
    """Install lw_coder in a folder, with a Dockerfile that needs no package mirror; return its command."""
    source = shipped_folder("docker").parent
    for name in ("docker", "compose"):
        shutil.copytree(source / name, folder / name)
    shutil.copytree(source / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    dockerfile = (
        f"FROM {stand_in_tag(base_fingerprint())}\nRUN sleep 1 && echo {_unlike_any_other()} > /built\n"
    )
    (folder / "docker/droid/Dockerfile").write_text(dockerfile, encoding="ascii")
    return ("env", f"PYTHONPATH={folder / 'src'}", sys.executable, "-m", "lw_coder")


def _unlike_any_other() -> str:
    """Return a text that no other build has: the build cache has nothing for it."""
    return str(time.time_ns())


def _one_cache(made: Made) -> list[str]:
    """All ask the model for prompts at once, with one empty cache, which then knows all of them."""
    scene = made()
    plans = [f"plan-{number}" for number in range(ASKING)]
    with ScriptedModel(prompt_answer) as model:
        scene.sample.write_env(model.base_url, **{SCRIPT: f"'{COMMITS}'"})
        for plan in plans:
            file = scene.root / TASKS_FOLDER / f"{plan}.md"
            head = scene.sample.git("rev-parse", "HEAD")
            file.write_text(text(f"# Do {plan}\n", plan_id=plan, git_sha=head), encoding="utf-8")
        running = [started(scene, "code", plan, "--headless") for plan in plans]
        wrong = [fault for wait in running for fault in wait().faults(ExitCode.OK)]
        asked = model.count("dspy")
        again = [started(scene, "code", plan, "--headless") for plan in plans]
        wrong += [fault for wait in again for fault in wait().faults(ExitCode.OK)]
        if model.count("dspy") != asked:
            wrong.append(f"the model was asked {model.count('dspy') - asked} times for known prompts")
    return [*wrong, *sick(scene), *left(scene), *not_imported(scene)]
