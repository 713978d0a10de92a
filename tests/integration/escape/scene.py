"""The scene of a hostile agent's attempts, what one attempt is, and how it is judged.

Each attempt is shell text that is run as the agent. In it @TRAP@ stands for a command that leaves a proof on
the host, if the host is made to run it; @OUTSIDE@ for a folder of the host that is none of its business, with
a `decoy` for a git folder in it, and @STOLEN@ for the commit that this has; @ROOT@ for the repository's root
on the host; @PORT@ for a port that the host listens at on its loopback.
"""

from __future__ import annotations

import fnmatch
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.patience import PATIENCE
from tests.support.sample_repository import PLAN_ID
from tests.support.snapshot import Snapshot

SECRET = "what-is-none-of-the-agents-business"
IMPORT = ["runs", "import", PLAN_ID]
TASKS = ".lw_coder/tasks"
HOST_MARKER = "marker-of-the-host"
LOOPBACK_ANSWER = "loopback-of-the-host"
OTHER_RUN = "20990101T000000Z"  # too young to be pruned
MEMORY, PROCESSES = "1500m", 300
WORKTREE = f".lw_coder/worktrees/{PLAN_ID}"
DID_IT = "DID-IT"
CONFIG = "git config --file /repo-git/config"  # how an agent writes git's settings
WHO_AM_I = "grep -E '^(Uid|Gid|Groups|Cap...|NoNewPrivs|Seccomp):' /proc/self/status > /workspace/"
CONTROLS = ("\x1b]0;pwned", "\x9b2J", "\u202e")


@dataclass
class Scene:
    """A repository in which attempts were made, and all that came of them.

    Attributes:
        root: the repository's root.
        home: the person's.
        outside: a folder of the host with a secret and, in `proof`, what traps leave.
        before: the repository when the session had begun.
        after: the repository when it had ended, before the person ran git there.
        said: what each attempt printed, by its name.
        shown: what lw_coder printed after the session.
        git_output: what the person's git printed.
    """

    root: Path
    home: Path
    outside: Path
    before: Snapshot = field(default_factory=dict)
    after: Snapshot = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)
    shown: str = ""
    git_output: str = ""

    @property
    def worktree(self) -> Path:
        return self.root / WORKTREE

    @property
    def run(self) -> Path:
        return max((self.root / ".lw_coder/runs" / PLAN_ID).glob("2*"))

    def proof(self, name: str) -> Path:
        return self.outside / "proof" / name

    def filled_in(self, attempt: Attempt, port: int) -> str:
        values = {
            "@TRAP@": f"touch {self.proof(attempt.name)}",
            "@OUTSIDE@": str(self.outside),
            "@ROOT@": str(self.root),
            "@PORT@": str(port),
            "@STOLEN@": (self.outside / "stolen").read_text(),
        }
        text = attempt.command
        for key, value in values.items():
            text = text.replace(key, value)
        return text

    def git(self, *args: str, at: str = ".") -> str:
        """Run git as the person would, in a folder of the repository; a failure is no matter."""
        done = subprocess.run(
            ["git", "--no-pager", *args],
            cwd=self.root / at,
            env={"PATH": os.environ["PATH"], "HOME": str(self.home), "LANG": "C.UTF-8"},
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
        return (done.stdout + done.stderr).decode(errors="replace")

    def import_weakened(self, weakening: str) -> None:
        """Bring the newest run home once more, by an lw_coder that does without a protection."""
        program = f"{weakening}\nimport sys; from lw_coder.cli import main\nsys.argv[1:] = {IMPORT!r}\nmain()"
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.home), "LANG": "C.UTF-8"}
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=self.root, env=environment, check=False, timeout=PATIENCE
        )
        assert done.returncode == 0

    def look_with_git(self, *places: str) -> None:
        """Type what a person types first."""
        for place in places:
            for command in ("status", "diff", "diff HEAD", "log -p --stat --all", "show", "submodule status"):
                self.git_output += self.git(*command.split(), at=place)
        for command in ("branch --all", "tag", "worktree list", "stash list"):
            self.git_output += self.git(*command.split())


Check = Callable[[Scene, str], None]


@dataclass(frozen=True)
class Attempt:
    """One attempt.

    Attributes:
        name: what it is told apart by, and what its trap leaves.
        command: what the agent types.
        check: fails if the host was reached.
        control: what shows that it can succeed. Docker's options by which the protection is off: in each of
            these controls the host's `.git`, the worktree's pointer, the tasks and the runs can be written.
            Where the protection is in our code: what who does without it meets. Or, as text, why neither can
            be built.
        weakening: a statement by which lw_coder does without the protection.
        status: what the session's command ends with.
    """

    name: str
    command: str
    check: Check
    control: tuple[str, ...] | Check | str = ()
    weakening: str = ""
    status: int = 0

    def judge(self, scene: Scene) -> None:
        """Fail if the host was reached, or if nothing was there to be careful of."""
        if callable(self.control):
            self.control(scene, self.name)
        self.check(scene, self.name)


# What is seen on the host


def same(*patterns: str) -> Check:
    """No file of these names came, went or changed, and no trap went off."""

    def check(scene: Scene, name: str) -> None:
        for pattern in patterns:
            assert _matching(scene.before, pattern) == _matching(scene.after, pattern), pattern
        quiet(scene, name)

    return check


def kept(*patterns: str) -> Check:
    """What had these names is still there, and the same."""

    def check(scene: Scene, _: str) -> None:
        for pattern in patterns:
            before = _matching(scene.before, pattern)
            assert before
            assert before.items() <= _matching(scene.after, pattern).items(), pattern

    return check


def _matching(found: Snapshot, pattern: str) -> Mapping[str, tuple[str, str, str]]:
    """Find what has such a name, part by part, and all below it."""
    parts = pattern.split("/")
    return {name: state for name, state in found.items() if _begins_with(name.split("/"), parts)}


def _begins_with(name: list[str], parts: list[str]) -> bool:
    return len(name) >= len(parts) and all(map(fnmatch.fnmatch, name, parts))


def quiet(scene: Scene, name: str) -> None:
    """No trap went off."""
    assert not scene.proof(name).exists()


def not_said(text: str) -> Check:
    """The attempt did not get to print what it prints when it has worked."""

    def check(scene: Scene, name: str) -> None:
        assert name in scene.said
        assert text not in scene.said[name]

    return check


def refs_are(*prefixes: str) -> Check:
    """The person's refs are where they were; `said` cannot tell it, and packed or loose is no matter."""

    def check(scene: Scene, _: str) -> None:
        listed = scene.git("for-each-ref", "--format=%(refname) %(objectname)", *prefixes)
        task = f"refs/heads/lw/task/{PLAN_ID} "
        found = [line for line in listed.splitlines() if not line.startswith(task)]
        known = (scene.outside / "refs").read_text().splitlines()
        assert found == [line for line in known if line.startswith(prefixes) and not line.startswith(task)]

    return check


def told(*words: str) -> Check:
    """The person is told of it, and no trap went off."""

    def check(scene: Scene, name: str) -> None:
        for text in words:
            assert text in scene.shown
        assert SECRET not in scene.shown
        assert "Traceback" not in scene.shown
        quiet(scene, name)

    return check
