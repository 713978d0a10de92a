"""A batch of twelve plans that is killed twice: what becomes of each, and what the model was asked."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lw_coder.batches.state_file import list_batches
from lw_coder.containers.labels import CHECK_LABEL, PLAN_LABEL, PROXY_LABEL
from lw_coder.plans.plan_file import TASKS_FOLDER, read_plan
from tests.integration.conftest import LW_CODER, Person, sessions_in
from tests.integration.known_prompts import know_plan_prompts
from tests.support.agent_script import execute, prompt_answer
from tests.support.engine import containers, described
from tests.support.json_schemas import validated
from tests.support.patience import PATIENCE, wait_until
from tests.support.plan_files import text
from tests.support.sample_repository import PLAN, SampleRepository
from tests.support.scripted_model import Conversation, Reply, Script, ScriptedModel

TURNS = 6  # at most, of a session; all plans but one take two
AT_ONCE = 2


def commit(name: str, file: str = "") -> str:
    file = file or f"{name}.txt"
    return f"echo {name} > {file} && git add {file} && git commit --quiet --message 'Do {name}'"


@dataclass(frozen=True)
class Planned:
    """A plan: the plans that it depends on, and what its agent types."""

    on: tuple[str, ...]
    command: str


# In the order in which they are to start: those at the end are carried out anew if a batch ends before them.
PLANS: Mapping[str, Planned] = {
    "a-top": Planned((), commit("a-top")),
    "b-rival": Planned((), commit("b-rival", "shared.txt")),
    "c-rival": Planned((), commit("c-rival", "shared.txt")),
    "d-left": Planned(("a-top",), commit("d-left")),
    "e-right": Planned(("a-top",), commit("e-right")),
    "f-under": Planned(("d-left", "e-right"), "cat d-left.txt e-right.txt && " + commit("f-under")),
    "g-alone": Planned((), commit("g-alone")),
    "h-joined": Planned(("b-rival", "c-rival"), commit("h-joined")),
    "i-above": Planned(("g-alone",), commit("i-above")),
    "w-wrong": Planned((), commit("w-wrong", "wrong.txt")),
    "x-needs-wrong": Planned(("w-wrong",), commit("x-needs-wrong")),
    "z-long": Planned((), "true"),
}
PASS = ("a-top", "b-rival", "c-rival", "d-left", "e-right", "f-under", "g-alone", "i-above")
FIRST = ("a-top", "b-rival")  # that run when the batch is killed


@dataclass
class Model:
    """What the model is asked, and when it answers.

    Attributes:
        asked: how often each plan's agent came to each of its turns, and DSPy asked for each plan's prompts.
        killed: set when the batch was killed for the first time, and the second.
    """

    asked: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    killed: tuple[threading.Event, threading.Event] = field(
        default_factory=lambda: (threading.Event(), threading.Event())
    )
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, conversation: Conversation) -> Reply:
        """Answer as the plan's agent, or as the writer of its prompts."""
        if conversation.kind == "other":
            return Reply("A title")
        plan_id = self._plan(conversation)
        with self.lock:
            self.asked[plan_id, conversation.kind, conversation.rounds] += 1
        if conversation.kind == "dspy":
            return prompt_answer(conversation)
        assert self.killed[plan_id not in FIRST].wait(PATIENCE)
        if plan_id != "z-long" and conversation.rounds:
            return Reply("All of it is done now.")
        # droid ends a turn by itself, without a text, after six calls that are the same.
        command = f"{PLANS[plan_id].command} # {conversation.rounds}"
        return Reply(tool_calls=(execute(conversation, "The next step", command),))

    def _plan(self, conversation: Conversation) -> str:
        found = re.search(r"(?:Carry out the plan `|plan_id\W+)([a-z]-[a-z-]+)", conversation.text)
        assert found, conversation.text[:2000]
        return found[1]

    def of_agents(self) -> set[str]:
        """Return the plans whose agents have asked."""
        with self.lock:
            return {plan_id for plan_id, kind, _ in self.asked if kind == "agent"}


@pytest.fixture
def asked() -> Model:
    return Model()


@pytest.fixture
def script(asked: Model) -> Script:
    return asked.answer


@pytest.fixture
def twelve(person: Person, sample: SampleRepository, model: Any) -> SampleRepository:
    """The sample repository with the twelve plans, and no other; the prompts of some are known."""
    (sample.root / PLAN).unlink()
    config = f'[code]\nchecks = ["test ! -e wrong.txt"]\nlimits = {{ turns = {TURNS} }}\n'
    (sample.root / ".lw_coder/config.toml").write_text(config, encoding="ascii")
    for plan_id, planned in PLANS.items():
        on = f"[{', '.join(planned.on)}]"
        body = f"# Do {plan_id}\n\nChange `{'shared.txt' if 'rival' in plan_id else plan_id + '.txt'}`.\n"
        path = sample.root / TASKS_FOLDER / f"{plan_id}.md"
        path.write_text(text(body, plan_id=plan_id, git_sha=sample.sha, depends_on=on), encoding="ascii")
        if not planned.on:
            know_plan_prompts(person.home, read_plan(path).metadata, model.base_url)
    return sample


@contextmanager
def batch(person: Person, *options: str) -> Iterator[subprocess.Popen[str]]:
    command = [LW_CODER, "batch", "--json", "--jobs", str(AT_ONCE), *options]
    with subprocess.Popen(
        command,
        cwd=person.cwd,
        env=person.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        yield process


def killed(person: Person, is_time: Any, what: str) -> None:
    """Start a batch, and kill it, and nothing else, when it is time."""
    with batch(person) as process:
        wait_until(lambda: is_time() or process.poll() is not None, what)
        assert process.poll() is None, process.communicate()
        process.kill()
        process.communicate(timeout=PATIENCE)


def test_twelve_plans_and_two_kills(
    person: Person, twelve: SampleRepository, model: ScriptedModel, asked: Model
) -> None:
    root = twelve.root
    killed(person, lambda: asked.of_agents() == set(FIRST), "the first two sessions")
    assert sessions_in(root), "a batch that is killed leaves its runs at work"
    asked.killed[0].set()

    killed(person, lambda: len(asked.of_agents()) == len(FIRST) + AT_ONCE, "two more sessions")
    asked.killed[1].set()

    with batch(person) as process:
        out, messages = process.communicate(timeout=PATIENCE * 3)
    assert "Traceback" not in messages
    assert process.returncode == 6, messages
    document = validated("batch", out)
    plans = {plan["plan_id"]: plan for plan in document["plans"]}
    assert document["exit_code"] == 6
    kept = json.loads(list_batches(root)[-1].state_file.read_text())
    assert kept == document, "the state file says the same"

    states = {plan_id: plan["state"] for plan_id, plan in plans.items()}
    assert {plan_id: plans[plan_id] for plan_id in PASS if states[plan_id] not in {"passed", "kept"}} == {}
    late = ("e-right", "f-under", "g-alone", "i-above")  # the last batch began them
    assert {plan_id: states[plan_id] for plan_id in late} == dict.fromkeys(late, "passed")
    assert {states[plan_id] for plan_id in FIRST} == {"kept"}, "they had passed before the last batch began"
    rest = {plan_id: state for plan_id, state in states.items() if plan_id not in PASS}
    assert rest == {
        "h-joined": "blocked",
        "w-wrong": "failed",
        "x-needs-wrong": "blocked",
        "z-long": "limit",
    }, (
        plans,
        messages,
    )
    assert "shared.txt" in plans["h-joined"]["reason"]
    assert "w-wrong" in plans["x-needs-wrong"]["reason"]
    assert "test ! -e wrong.txt" in plans["w-wrong"]["reason"]
    assert f"turns = {TURNS}" in plans["z-long"]["reason"]
    assert plans["x-needs-wrong"]["reason"] == "depends on w-wrong, which is failed"
    assert "b-rival and c-rival conflict: shared.txt" in plans["h-joined"]["reason"]
    assert plans["w-wrong"]["reason"].endswith(": test ! -e wrong.txt")
    assert plans["z-long"]["reason"] == f"ended by the limit turns = {TURNS}"
    codes = {plan_id: plan["exit_code"] for plan_id, plan in plans.items()}
    assert (codes["w-wrong"], codes["z-long"], codes["h-joined"]) == (6, 5, None)

    repeated = {call: count for call, count in asked.asked.items() if count != 1}
    assert repeated == {}, "each call of the model is made once"
    started = set(PLANS) - {"h-joined", "x-needs-wrong"}
    assert asked.of_agents() == started
    turns = {plan_id: rounds for plan_id, kind, rounds in sorted(asked.asked) if kind == "agent"}
    assert {plan_id: rounds for plan_id, rounds in turns.items() if plan_id != "z-long"} == dict.fromkeys(
        started - {"z-long"}, 1
    )

    tops = [twelve.git("log", "--format=%s", f"{twelve.sha}..lw/task/f-under").split("\n")]
    assert {"Do a-top", "Do d-left", "Do e-right", "Do f-under"} <= set(tops[0])

    assert_shown_beside_each_other(root, document, started)
    assert_joined(twelve, plans)
    assert_kept_without_a_question(person, twelve, model)
    require_nothing_left(twelve)
    assert_taken_together(person, twelve)


def assert_shown_beside_each_other(root: Path, document: dict[str, Any], started: Collection[str]) -> None:
    """The rivals are found to conflict, and the batch's page has a page for each run."""
    pairs = {(pair["first"], pair["second"]): pair for pair in document["pairs"]}
    conflicts = {names: pair["files"] for names, pair in pairs.items() if not pair["merges"]}
    assert conflicts == {("b-rival", "c-rival"): ["shared.txt"]}
    assert [each["files"] for each in document["overlaps"]] == [["shared.txt"]]

    folder = root / ".lw_coder/batches" / document["batch"]
    page = (folder / "index.html").read_text(encoding="utf-8")
    plans = {plan["plan_id"]: plan for plan in document["plans"]}
    for plan_id in started:
        name = plans[plan_id]["run"].replace("/", "-") + ".html"
        assert (folder / name).is_file()
        assert f'href="{name}"' in page


def assert_joined(sample: SampleRepository, plans: Mapping[str, dict[str, Any]]) -> None:
    """The plan below the diamond started from what both sides had committed, and is compared with that."""
    under = plans["f-under"]
    before, after = (
        set(sample.git("ls-tree", "--name-only", tip).split()) for tip in (sample.sha, "lw/task/f-under")
    )
    assert after - before == {f"{plan_id}.txt" for plan_id in ("a-top", "d-left", "e-right", "f-under")}
    assert (under["state"], under["commits"], under["exit_code"]) == ("passed", 1, 0)
    record = json.loads((sample.root / ".lw_coder/runs" / under["run"] / "run.json").read_text())
    assert record["verdict"]["base"] == record["plan"]["git_sha"] == under["base"]
    assert record["verdict"]["commits"] == 1
    tips = {plan_id: plans[plan_id]["tip"] for plan_id in ("d-left", "e-right")}
    assert sample.git("log", "-1", "--format=%P", under["base"]).split() == list(tips.values())
    assert record["starts_from"] == tips


def assert_kept_without_a_question(person: Person, sample: SampleRepository, model: ScriptedModel) -> None:
    """What has passed is not carried out again, and asks no model."""
    before = len(model.requests)
    with batch(person, "f-under", "d-left", "e-right", "a-top") as process:
        out, messages = process.communicate(timeout=PATIENCE)
    document = validated("batch", out)
    assert (process.returncode, document["exit_code"]) == (0, 0), messages
    assert {plan["state"] for plan in document["plans"]} == {"kept"}
    assert len(model.requests) == before
    kept = json.loads(list_batches(sample.root)[-1].state_file.read_text())
    assert kept == document, "the state file says the same"
    sample.git("fsck", "--strict", "--no-dangling")


def require_nothing_left(sample: SampleRepository) -> None:
    sample.git("fsck", "--strict", "--no-dangling")
    root = str(sample.root)
    for label in (PLAN_LABEL, CHECK_LABEL, PROXY_LABEL):
        for one in containers(label):
            assert root not in described(one), one
    assert not list((sample.root / ".lw_coder/temp-worktrees").glob("*/"))
    assert not list((sample.root / ".lw_coder/runs").glob("*/.partial-*"))


def assert_taken_together(person: Person, sample: SampleRepository) -> None:
    """Take the diamond; together with the rivals it is refused, and nothing is changed."""
    before = sample.git("rev-parse", "HEAD")
    diamond = ("f-under", "e-right", "d-left", "a-top")

    def take(*names: str) -> tuple[int, dict[str, Any]]:
        done = subprocess.run(
            [LW_CODER, "take", "--yes", "--json", *names],
            cwd=person.cwd,
            env=person.env,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        return done.returncode, json.loads(done.stdout)

    code, document = take(*diamond, "b-rival", "c-rival")
    assert (code, sample.git("rev-parse", "HEAD")) == (1, before)
    assert "lw/task/c-rival conflicts with lw/task/b-rival: shared.txt" in document["error"]["message"]
    code, document = take(*diamond)
    assert (code, document["verdict"]["passed"]) == (0, True)
    order = [plan["plan_id"] for plan in document["plans"]]
    assert order[0] == "a-top"
    assert order[-1] == "f-under"
    assert (sample.root / "f-under.txt").is_file()
    sample.git("fsck", "--strict", "--no-dangling")
