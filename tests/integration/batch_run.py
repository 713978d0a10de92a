"""`lw_coder batch` in the sample repository: a droid for each plan, and one scripted model for all."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lw_coder.batches.state_file import list_batches
from lw_coder.plans.plan_file import TASKS_FOLDER, read_plan
from tests.integration.conftest import LW_CODER, Person
from tests.integration.known_prompts import know_plan_prompts
from tests.support.agent_script import prompt_answer
from tests.support.engine import bridge_address
from tests.support.json_schemas import validated
from tests.support.patience import PATIENCE, wait_until
from tests.support.plan_files import text
from tests.support.sample_repository import SampleRepository
from tests.support.scripted_model import Conversation, Reply, Script, ScriptedModel
from tests.support.shell_agent import shell_agent

_PLAN = re.compile(r"# Carry out the plan `([^`]+)`")
GO = "go"  # a file in a plan's worktree


def commit(name: str, content: str = "x") -> str:
    """Return the command of an agent that commits a file."""
    return f"echo {content} > {name} && git add {name} && git commit -q -m 'Add {name}'"


def wait_for_go() -> str:
    """Return the command of an agent that waits until the test lets it go on."""
    return f"while [ ! -e {GO} ]; do sleep 0.2; done"


def crew(steps: Mapping[str, Sequence[str]]) -> Script:
    """Make the script of the agents of several plans: what each does, by the plan's id."""

    def play(conversation: Conversation) -> Reply:
        if conversation.kind == "dspy":
            return prompt_answer(conversation)
        plan_id = plan_of(conversation)
        return shell_agent(steps[plan_id])(conversation) if plan_id else Reply("A title")

    return play


def plan_of(conversation: Conversation) -> str:
    """Return the plan that an agent's request is about; empty for other requests."""
    found = _PLAN.search(conversation.text)
    return found[1] if found and conversation.kind == "agent" else ""


@dataclass(frozen=True)
class BatchScene:
    """A repository with plans, a model, and somebody who types.

    Attributes:
        person: whose environment it is.
        sample: the repository.
        model: plays the agents.
    """

    person: Person
    sample: SampleRepository
    model: ScriptedModel

    def plan(self, plan_id: str, *depends_on: str, known: bool = True) -> None:
        """Write a plan; its prompts are known if it starts from its git_sha."""
        keys = {"plan_id": plan_id, "git_sha": self.sample.sha, "depends_on": f"[{', '.join(depends_on)}]"}
        path = self.sample.root / TASKS_FOLDER / f"{plan_id}.md"
        path.write_text(text(f"# Do {plan_id}\n", **keys), encoding="utf-8")
        if known and not depends_on:
            know_plan_prompts(self.person.home, read_plan(path).metadata, self.model.base_url)

    def starts(self, *words: str) -> subprocess.Popen[str]:
        """Start a batch, without a terminal."""
        return subprocess.Popen(
            [LW_CODER, "batch", *words],
            cwd=self.sample.root,
            env=self.person.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._progress.open("w"),
            text=True,
        )

    @property
    def _progress(self) -> Path:
        return self.person.home / "progress.txt"

    def told(self) -> str:
        """Return what the newest batch has printed on standard error."""
        return self._progress.read_text()

    def run_of(self, process: subprocess.Popen[str]) -> int:
        """Return the process of the only plan that a batch is carrying out."""
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        (pid,) = (pid for pid in children if "--headless" in Path(f"/proc/{pid}/cmdline").read_text())
        return int(pid)

    def ends(self, process: subprocess.Popen[str], code: int) -> dict[str, Any]:
        """Wait for a batch with --json; return its plans by their ids."""
        with process:
            stdout, _ = process.communicate(timeout=PATIENCE * 3)
        told = "\n".join(log.read_text() for log in self.root.glob(".lw_coder/batches/*/plans/*/log.txt"))
        assert process.returncode == code, f"{stdout}\n{self.told()}\n{told}"
        document = validated("batch", stdout)
        assert document["exit_code"] == code
        kept = json.loads(list_batches(self.root)[-1].state_file.read_text())
        assert kept == document, "the state file says the same"
        return {plan["plan_id"]: plan for plan in document["plans"]}

    @property
    def root(self) -> Path:
        return self.sample.root

    def worktree(self, plan_id: str) -> Path:
        return self.root / ".lw_coder/worktrees" / plan_id

    def waits_for(self, plan_id: str, commit_of: str) -> None:
        """Wait until a plan's agent has committed a file in its worktree."""
        branch = f".lw_coder/runs/{plan_id}/2*/git/refs/heads/lw/task/{plan_id}"
        has_file = (self.worktree(plan_id) / commit_of).exists
        wait_until(lambda: has_file() and any(self.root.glob(branch)), f"{plan_id}: {commit_of}")

    def let_go(self, plan_id: str) -> None:
        """Let a plan's agent go on."""
        (self.worktree(plan_id) / GO).touch()

    def files(self, plan_id: str) -> set[str]:
        """Return the files of a plan's branch, without those of the sample."""
        names = self.sample.git("ls-tree", "--name-only", f"lw/task/{plan_id}").split()
        return {name for name in names if name not in _SAMPLE}

    def answers(self) -> list[tuple[str, int]]:
        """Return each answer that an agent got: its plan, and how far its conversation was."""
        asked = [request.conversation for request in self.model.requests]
        return [(plan, conversation.rounds) for conversation in asked if (plan := plan_of(conversation))]


_SAMPLE = {".gitignore", ".lw_coder", "README.md", "greeting.py", "test_greeting.py"}


@contextmanager
def batch_scene(
    person: Person, sample: SampleRepository, steps: Mapping[str, Sequence[str]], more: str = ""
) -> Iterator[BatchScene]:
    """Yield the repository without its own plan, and with a check that fails if there is a file `broken`."""
    sample.plan.unlink()
    config = sample.root / ".lw_coder/config.toml"
    config.write_text(f'{config.read_text()}checks = ["! test -e broken"]\n{more}')
    with ScriptedModel(crew(steps), host=bridge_address()) as model:
        sample.write_env(model.base_url)
        yield BatchScene(person, sample, model)
