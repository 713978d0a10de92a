"""Where attempts are made: in a session of a real `lw_coder code`, and in a container without protection."""

from __future__ import annotations

import http.server
import os
import secrets
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lw_coder.foundation.errors import ExitCode
from lw_coder.sessions.container_paths import FACTORY
from lw_coder.sessions.spec import host_user
from tests.integration.conftest import LW_CODER, Person, a_person, sessions_in
from tests.integration.escape.scene import (
    HOST_MARKER,
    LOOPBACK_ANSWER,
    MEMORY,
    OTHER_RUN,
    PROCESSES,
    SECRET,
    WHO_AM_I,
    WORKTREE,
    Attempt,
    Scene,
)
from tests.integration.execution import Execution
from tests.integration.known_prompts import know_prompts
from tests.support.engine import bridge_address, docker
from tests.support.patience import PATIENCE
from tests.support.plan_script import SUMMARY_TITLE, scripted_planner
from tests.support.sample_repository import PLAN_ID, make_sample_repository, run_git
from tests.support.scripted_model import Conversation, Reply, Script, ScriptedModel
from tests.support.shell_agent import DONE, shell_agent
from tests.support.snapshot import Snapshot, snapshot

_CONFIG = f"""[code]
env_file = ".env"
forward_env = ["OPENROUTER_*"]
docker_run_args = ["--memory", "{MEMORY}", "--pids-limit", "{PROCESSES}"]
"""
_SOCKET = "/var/run/docker.sock"
_CODE = (LW_CODER, "code", PLAN_ID)
_AS_AGENT = f"{WHO_AM_I}as-agent"


class Stage:
    """A person's repository, and whoever else is on their machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.repository = make_sample_repository(folder / "sample")
        self.scene = Scene(self.repository.root, folder / "home", folder / "outside")
        self.scene.home.mkdir()
        self.template = folder / "template"
        self.image = ""
        self._furnish()

    def _furnish(self) -> None:
        root, git = self.repository.root, self.repository.git
        (root / ".lw_coder/config.toml").write_text(_CONFIG)
        git("commit", "--quiet", "--all", "--message", "Limit sessions")
        for name in ("keep", "other"):
            git("branch", name)
        for name in ("release", "old-release"):
            git("tag", name)
        git("worktree", "add", "--quiet", str(self.folder / "other"), "other")
        (self.folder / "other/unreachable").write_text("unreachable")
        git("hash-object", "-w", str(self.folder / "other/unreachable"))
        prompts = root / ".lw_coder/runs/other-plan" / OTHER_RUN / "prompts"
        prompts.mkdir(parents=True)
        (prompts / "main.md").write_text(SECRET)
        (self.scene.outside / "proof").mkdir(parents=True)
        (self.scene.outside / "secret").write_text(SECRET)
        self._put_decoy(self.scene.outside / "decoy")

    def _put_decoy(self, decoy: Path) -> None:
        """Lay out what a link can lead to: refs that the repository has not, and objects of another one."""
        run_git(decoy.parent, "init", "--quiet", "--bare", "--template=", str(decoy))
        tree = run_git(decoy, "hash-object", "-t", "tree", "-w", "/dev/null")
        stolen = run_git(decoy, "commit-tree", "-m", "stolen", tree)
        (decoy / "refs/heads/stolen").write_text(f"{self.repository.sha}\n")
        (decoy / "packed-refs").write_text(f"{self.repository.sha} refs/heads/stolen\n")
        (self.scene.outside / "stolen").write_text(stolen)

    def play(
        self, attempts: Sequence[Attempt], port: int, *, status: int = 0, is_stopped: bool = False
    ) -> None:
        """Make the attempts in one session at a terminal, which ends with this status; see what is left."""
        with self._model(shell_agent([_AS_AGENT])) as person, person.types(*_CODE) as terminal:
            execution = Execution(terminal, self.scene.root, PLAN_ID)
            execution.wait_for(DONE)
            self._act(attempts, execution, port)
            told = len(terminal.transcript)
            ended = terminal.wait() if is_stopped else terminal.leave()
            # After what was done to its container, droid itself may end badly.
            assert ended == status or (ended == ExitCode.SESSION and not is_stopped), terminal.text
            self._close(person, terminal.transcript[told:])

    def play_headless(self, attempts: Sequence[Attempt], *, status: int = 0) -> None:
        """Make the attempts in one headless session, whose agent says its last words when they are made."""
        asked, allowed = threading.Event(), threading.Event()
        script = _speaks_last(shell_agent([_AS_AGENT]), asked, allowed)
        with self._model(script) as person, person.types(*_CODE, "--headless") as terminal:
            execution = Execution(terminal, self.scene.root, PLAN_ID)
            terminal.wait_until(asked.is_set, "the agent's last question")
            self._act(attempts, execution, 0)
            told = len(terminal.transcript)
            allowed.set()
            ended = terminal.wait()
            assert ended in {status, ExitCode.SESSION}, terminal.text
            self._close(person, terminal.transcript[told:])

    @contextmanager
    def _model(self, script: Script) -> Iterator[Person]:
        """Yield the person, whose prompts are known, with a model that keeps to the script."""
        with ScriptedModel(script, host=bridge_address()) as model:
            self.repository.write_env(model.base_url)
            know_prompts(self.scene.home, self.repository, model.base_url)
            with a_person(self.scene.home, self.scene.root) as person:
                person.extra["UNFORWARDED"] = HOST_MARKER
                yield person

    def _act(self, attempts: Sequence[Attempt], execution: Execution, port: int) -> None:
        assert execution.status is None, execution.terminal.text
        _inside(execution.container, f"{WHO_AM_I}as-exec")
        self._remember()
        self._make(attempts, execution.container, port)

    def _close(self, person: Person, shown: bytes) -> None:
        self.scene.shown = shown.decode(errors="replace")
        self.scene.after = _look(self.scene.root)
        self._ask(person)

    def plan(self, attempts: Sequence[Attempt]) -> None:
        """Make the attempts in one session of `lw_coder plan`."""
        scene = self.scene
        with ScriptedModel(scripted_planner, host=bridge_address()) as model:
            self.repository.write_env(model.base_url)
            with (
                a_person(scene.home, scene.root) as person,
                person.types(LW_CODER, "plan", "--text", "Let the greeting be shouted.") as terminal,
            ):
                terminal.wait_for(SUMMARY_TITLE.removeprefix("# "))
                (container,) = sessions_in(scene.root)
                self._make(attempts, container, 0)
                told = len(terminal.transcript)
                assert terminal.leave() in {ExitCode.OK, ExitCode.SESSION}, terminal.text
                scene.shown = terminal.transcript[told:].decode(errors="replace")

    def _make(self, attempts: Sequence[Attempt], container: str, port: int) -> None:
        for attempt in attempts:
            self.scene.said[attempt.name] = _inside(container, self.scene.filled_in(attempt, port))

    def _remember(self) -> None:
        scene = self.scene
        scene.before = _look(scene.root)
        (scene.outside / "refs").write_text(scene.git("for-each-ref", "--format=%(refname) %(objectname)"))
        live = shutil.ignore_patterns("-workspace")  # transcripts, which droid writes just now
        shutil.copytree(scene.root, self.template, symlinks=True, ignore=live)
        running = docker("ps", "--format", "{{.Image}}", "--filter", f"volume={scene.worktree}")
        self.image = (
            f"lw_coder_escape:{secrets.token_hex(4)}"  # the repository's own name for it goes at the end
        )
        docker("tag", running, self.image)

    def _ask(self, person: Person) -> None:
        for command in (("list",), ("show", PLAN_ID), ("import", PLAN_ID)):
            self.scene.shown += person.runs_to_the_end("runs", *command)[1]

    def control(self, attempt: Attempt, port: int) -> Scene:
        """Make an attempt on a copy of the repository, in a container that may write all of it."""
        folder = self.folder / f"control-{attempt.name}"
        scene = Scene(folder / "sample", folder / "home", folder / "outside")
        shutil.copytree(self.template, scene.root, symlinks=True)
        shutil.copytree(self.scene.outside, scene.outside)
        scene.home.mkdir()
        _repair(scene)
        (scene.root / WORKTREE).parent.chmod(0o755)
        scene.before = _look(scene.root)
        assert isinstance(attempt.control, tuple)
        options = _options(scene, attempt.control)
        command = ("sh", "-c", scene.filled_in(attempt, port))
        done = subprocess.run(
            ["docker", "run", "--rm", "--init", *options, self.image, *command],
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
        scene.said[attempt.name] = (done.stdout + done.stderr).decode(errors="replace")
        scene.after = _look(scene.root)
        scene.look_with_git(".", WORKTREE)
        return scene


def _speaks_last(script: Script, asked: threading.Event, allowed: threading.Event) -> Script:
    """Have the agent's last words wait until they are allowed; tell when they are asked for."""

    def play(conversation: Conversation) -> Reply:
        reply = script(conversation)
        if conversation.kind == "agent" and not reply.tool_calls:
            asked.set()
            assert allowed.wait(PATIENCE)
        return reply

    return play


def _look(root: Path) -> Snapshot:
    """Take down what an attempt could change; not the sessions, which it can make as deep as it likes."""
    parts = [root / ".git", root / WORKTREE / ".git", root / ".lw_coder/tasks"]
    parts += [path for path in root.glob(".lw_coder/runs/*/*/*") if path.name != "sessions"]
    return {
        os.path.normpath(f"{part.relative_to(root)}/{name}"): state
        for part in parts
        if os.path.lexists(part)
        for name, state in snapshot(part).items()
    }


def _repair(scene: Scene) -> None:
    """Lead a copy's worktree and its git folder to each other; `git worktree repair` finds the original."""
    folder = scene.root / ".git/worktrees" / PLAN_ID
    (folder / "gitdir").write_text(f"{scene.worktree}/.git\n")
    (scene.worktree / ".git").write_text(f"gitdir: {folder}\n")


def _inside(container: str, command: str) -> str:
    done = subprocess.run(
        ["docker", "exec", container, "timeout", "300", "sh", "-c", command],
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    return (done.stdout + done.stderr).decode(errors="replace")


def _options(scene: Scene, control: Sequence[str]) -> list[str]:
    git, run = scene.root / ".git", scene.run
    binds = {
        str(git): git,  # the worktree's own pointer names it
        "/repo-git": git,
        "/repo-objects": git / "objects",
        "/workspace": scene.worktree,
        "/output": scene.root / ".lw_coder/tasks",
        "/tmp/lw_coder/main_prompt.md": run / "prompts/main.md",  # noqa: S108 - in the container
        f"{FACTORY}/droids": run / "droids",
        f"{FACTORY}/settings.json": run / "settings.json",
        f"{FACTORY}/sessions": run / "sessions",
        "/host-runs": scene.root / ".lw_coder/runs",
    }
    words = {
        "HOME-MOUNTED": f"--volume={scene.home}:/home/droiduser",
        "SOCKET-MOUNTED": f"--volume={_SOCKET}:{_SOCKET}",
    }
    options = [f"--volume={source}:{target}" for target, source in binds.items()]
    return [*options, "--user", host_user(), *(words.get(option, option) for option in control)]


@contextmanager
def staged(folder: Path) -> Iterator[Stage]:
    """Yield a stage that nothing is made on yet; leave no image of its own behind."""
    made = Stage(folder)
    try:
        yield made
    finally:
        if made.image:
            docker("image", "rm", made.image)


class _Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(LOOPBACK_ANSWER.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing: the test says what it got."""


@contextmanager
def loopback() -> Iterator[int]:
    """Answer at a port of this machine's loopback, as a person's own services do."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@contextmanager
def host_process() -> Iterator[None]:
    """Let a process run on the host whose environment is none of the agent's business."""
    sleeping = subprocess.Popen(
        ["sleep", "infinity"], env={"UNFORWARDED": HOST_MARKER, "PATH": os.environ["PATH"]}
    )
    yield
    sleeping.kill()
    sleeping.wait()
