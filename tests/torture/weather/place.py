"""Where the weather is: an engine that can be stopped and frozen, a small disk, scenes, sessions in them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from lw_coder.foundation.errors import ExitCode
from tests.support.sample_repository import PLAN_ID
from tests.support.second_engine import SecondEngine, an_engine
from tests.support.small_disk import mounted_disk
from tests.support.stand_in import SCRIPT, give_base_image
from tests.torture.health import changed, left, not_imported, sick
from tests.torture.scenes import COMMITS, MODEL, Persons, Scene
from tests.torture.weather.running import (
    CODE,
    DONE,
    AtTerminal,
    Command,
    at_terminal,
    ran,
    started,
    unusual,
)

BRANCH = f"lw/task/{PLAN_ID}"
DOCKERFILE, ENV_FILE = ".lw_coder/code.Dockerfile", ".env"
_WAIT = "touch committed; while [ ! -e go ]; do sleep 0.2; done; rm -f committed go"


@dataclass
class Place:
    """Where the weather is.

    Attributes:
        folder: an empty one, for scenes.
        disk: a small disk of its own.
        engine: which can be stopped and frozen.
        minute: seconds that it is frozen.
    """

    folder: Path
    disk: Path
    engine: SecondEngine
    minute: float
    stack: ExitStack
    _made: int = 0
    _on_disk: dict[bool, Scene] = field(default_factory=dict)

    def on_disk(self, *, whole: bool) -> Scene:
        """Return the scene on the small disk, whose image is there; the home is on it too, or elsewhere."""
        if whole not in self._on_disk:
            scene = self.stack.enter_context(self.scene(self.disk))
            if not whole:
                elsewhere = self.folder / "elsewhere"
                shutil.copytree(scene.home, elsewhere)
                scene.env |= {"HOME": str(elsewhere), "TMPDIR": str(elsewhere)}
            assert ran(scene, *CODE).status == ExitCode.OK
            self._on_disk[whole] = scene
        return self._on_disk[whole]

    @contextmanager
    def scene(self, on: Path | None = None) -> Iterator[Scene]:
        """Make a scene; its engine is running."""
        self._made += 1
        folder = (on or self.folder) / f"scene-{self._made}"
        if self.engine.process is None:
            self.engine.start()
        one = Scene(folder, self.engine.host, files=20)
        shutil.rmtree(folder / "states")
        try:
            yield one
        finally:
            shutil.rmtree(folder, ignore_errors=True)


Kind = tuple[str, str, Callable[[Place], Iterator[str]]]
"""A case: its row in the table, its name, and what does it and names all that is wrong afterwards."""


@dataclass(frozen=True)
class Session:
    """A session whose agent has committed, and waits.

    Attributes:
        scene: where.
        before: what the person had.
        command: which was started.
        script: what the agent of the next session runs.
    """

    scene: Scene
    before: Persons
    command: Command
    script: str

    def let_go(self) -> None:
        """Let the agent go on."""
        (worktree(self.scene) / "go").touch()

    def recovered(self) -> Iterator[str]:
        """Name what is wrong after its end, and after the next run."""
        agent(self.scene, self.script)
        for name in ("committed", "go"):
            (worktree(self.scene) / name).unlink(missing_ok=True)
        yield from recovered(self.scene, self.before, commits=1)


@contextmanager
def placed(folder: Path, minute: float) -> Iterator[Place]:
    """Start an engine of the group's own, and a small disk that the engine sees too.

    Args:
        folder: an empty one.
        minute: seconds that the engine is frozen.
    """
    for closed in (folder, *folder.parents):  # another user has to get through
        closed.chmod(closed.stat().st_mode | 0o011)
    for path in (folder / "work", folder / "engine"):
        path.mkdir()
    with (
        mounted_disk(folder / "disk", "48m") as disk,
        an_engine(folder / "engine", {}, bridge=True) as engine,
        ExitStack() as stack,
    ):
        give_base_image(engine.host, folder / "image")
        yield Place(folder / "work", disk, engine, minute, stack)


def agent(scene: Scene, script: str) -> None:
    """Let the scene's agent run a script."""
    scene.sample.write_env(MODEL, **{SCRIPT: f"'{script}'"})


def worktree(scene: Scene) -> Path:
    """Return the worktree of the scene's plan."""
    return scene.root / ".lw_coder/worktrees" / PLAN_ID


@contextmanager
def waiting(
    scene: Scene,
    variables: Mapping[str, str] = MappingProxyType({}),
    *,
    terminal: bool = False,
    ends: str = "",
) -> Iterator[Session]:
    """Start a session whose agent commits, and then waits.

    Args:
        scene: where.
        variables: of the command's environment, in addition to the scene's.
        terminal: whether the session has one.
        ends: what the agent does at last, in the next session too.
    """
    script = f"{COMMITS}; {ends}" if ends else COMMITS
    agent(scene, script)
    before = scene.persons()
    agent(scene, f"{COMMITS}; {_WAIT}; {ends}")
    with ExitStack() as stack:
        if terminal:
            command: Command = AtTerminal(stack.enter_context(at_terminal(scene, variables)))
        else:
            command = started(scene, *CODE, **variables)
        command.wait_until((worktree(scene) / "committed").exists, "the agent's commit")
        yield Session(scene, before, command, script)


@contextmanager
def replaced(scene: Scene, name: str, change: Callable[[str], str]) -> Iterator[None]:
    """Have a file of the scene changed during the block.

    Args:
        scene: where.
        name: the file's path in the repository.
        change: makes the text of it.
    """
    path = scene.root / name
    text = path.read_text(encoding="utf-8")
    path.write_text(change(text), encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(text, encoding="utf-8")


def recovered(scene: Scene, before: Persons, *, commits: int | None = None) -> Iterator[str]:
    """Name what is wrong after the weather, and after the next run, which has to work.

    Args:
        scene: where.
        before: what the person had.
        commits: how many sessions have committed before the next one.
    """
    yield from sick(scene)
    again = ran(scene, *CODE)
    yield from unusual(again, DONE)
    for wrong in (*sick(scene), *left(scene), *not_imported(scene)):
        yield f"after the next run: {wrong}\n{again.shown}"
    yield from changed(scene, before)
    made = scene.git("rev-list", "--count", f"main..{BRANCH}").stdout.strip()
    if commits is not None and made != str(commits + 1):
        yield f"{made} commits were imported, not {commits + 1}"
