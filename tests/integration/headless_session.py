"""`lw_coder code --headless` on the sample repository, as a timer or a script would run it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from tests.integration.batch_run import GO
from tests.integration.conftest import Person, sessions_in
from tests.integration.execution import run_folders
from tests.integration.known_prompts import offer
from tests.support.engine import SOURCES, bridge_address, described, docker
from tests.support.patience import PATIENCE, wait_until
from tests.support.sample_repository import PLAN_ID, SampleRepository
from tests.support.scripted_model import Conversation, Reply, Script, ScriptedModel
from tests.support.shell_agent import shell_agent


@dataclass(frozen=True)
class Headless:
    """A headless session that has ended.

    Attributes:
        status: lw_coder's exit status.
        stdout: what it printed as a result.
        stderr: its progress.
        run: its run's folder.
        model: what its agent asked.
    """

    status: int
    stdout: str
    stderr: str
    run: Path
    model: ScriptedModel

    @property
    def record(self) -> dict[str, Any]:
        """run.json."""
        found: dict[str, Any] = json.loads((self.run / "run.json").read_text())
        return found

    @property
    def ended(self) -> dict[str, Any]:
        """How it ended, as run.json has it."""
        found: dict[str, Any] = self.record["ended"]
        return found

    @property
    def results(self) -> list[str]:
        """What the agent's steps gave back, in their order."""
        asked = [request.conversation for request in self.model.requests if request.kind == "agent"]
        longest = max(asked, key=lambda conversation: len(conversation.steps))
        return [step.result for step in longest.steps]

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events that were kept."""
        return [json.loads(line) for line in (self.run / "events.jsonl").read_text().splitlines()]


def gateways_of(run: Path) -> list[str]:
    """Return the running container of a run's gateway, if there is one."""
    found = docker("ps", "--quiet", "--filter", f"name=gateway-{run.name.lower()}").split()
    # A run of another repository can have begun in the same second.
    return [one for one in found if str(run) in described(one, SOURCES)]


def gateway_answers(root: Path) -> bool:
    """Return whether the gateway accepts connections from the only session of a repository."""
    (session,) = sessions_in(root)
    connect = ("docker", "exec", session, "bash", "-c", "</dev/tcp/gateway/8080")
    return subprocess.run(connect, capture_output=True, timeout=PATIENCE, check=False).returncode == 0


def let_go(root: Path) -> None:
    """Let an agent whose step is `wait_for_go` go on."""
    (root / ".lw_coder/worktrees" / PLAN_ID / GO).touch()


def with_gateway(sample: SampleRepository, more: str = "") -> None:
    """Configure the model gateway, and what else `more` says below [code]."""
    text = f"[code]\ngateway = true\n{more}"
    (sample.root / ".lw_coder/config.toml").write_text(text, encoding="ascii")


Meanwhile = Callable[["subprocess.Popen[str]", ScriptedModel], object]


def held(step: str = "true") -> tuple[Script, Event]:
    """Make an agent that takes a step and then waits until it may end."""
    allowed, steps = Event(), shell_agent([step])

    def play(conversation: Conversation) -> Reply:
        if conversation.kind == "agent" and conversation.rounds:
            assert allowed.wait(PATIENCE)
        return steps(conversation)

    return play, allowed


def beside(look: Callable[[], object], step: str = "true") -> tuple[Script, Meanwhile]:
    """Make an agent that takes a step and then waits until something was looked at beside it."""
    script, allowed = held(step)

    def meanwhile(process: subprocess.Popen[str], model: ScriptedModel) -> None:
        wait_until(lambda: model.count("agent") > 1 or process.poll() is not None, "the second request")
        try:
            look()
        finally:
            allowed.set()

    return script, meanwhile


def headless(
    person: Person,
    sample: SampleRepository,
    script: Script,
    *options: str,
    plan: Sequence[str] = (PLAN_ID,),
    meanwhile: Meanwhile | None = None,
    under: Sequence[str] = (),
) -> Headless:
    """Run a plan, whose prompts are known, without a terminal to its end; fail if a container is left.

    Args:
        person: whose environment it is.
        sample: where; its env file is written anew.
        script: what the model says.
        options: of the command.
        plan: the command's arguments.
        meanwhile: does something while it runs.
        under: a command that lw_coder is started by.
    """
    with ScriptedModel(script, host=bridge_address()) as model:
        offer(person, sample, model)
        with person.starts("code", *plan, "--headless", *options, under=under) as process:
            if meanwhile:
                meanwhile(process, model)
            stdout, stderr = process.communicate(timeout=PATIENCE)
        assert sessions_in(sample.root) == [], stderr
        run = run_folders(sample.root, PLAN_ID)[-1]
        return Headless(process.returncode, stdout, stderr, run, model)


def replayed_by_hand(
    person: Person, ended: Headless, script: Script, meanwhile: Meanwhile | None = None
) -> tuple[str, ScriptedModel]:
    """Type what lw_coder said that replays a session; return what it printed, and its model.

    Fails unless the command ends with status 0.
    """
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("Replay:")]
    # The run's settings name the model's address.
    with (
        ScriptedModel(script, host=bridge_address(), port=ended.model.port) as model,
        subprocess.Popen(
            ["sh", "-c", line.removeprefix("Replay:")],
            cwd=person.cwd,
            env=person.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        if meanwhile:
            meanwhile(process, model)
        stdout, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, stderr
    return stdout, model
