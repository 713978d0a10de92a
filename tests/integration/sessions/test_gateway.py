"""Sessions with a model gateway: the key stays outside, requests are counted, limits of spending hold."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.batch_run import wait_for_go
from tests.integration.conftest import Person
from tests.integration.headless_session import (
    Headless,
    gateway_answers,
    gateways_of,
    headless,
    let_go,
    with_gateway,
)
from tests.integration.known_prompts import offer
from tests.support.agent_script import execute, prompt_answer
from tests.support.engine import bridge_address, docker
from tests.support.patience import PATIENCE, wait_until
from tests.support.reviewing_agent import reviewing_agent
from tests.support.sample_repository import KEY, PLAN_ID, SampleRepository
from tests.support.scripted_model import Conversation, Reply, Script, ScriptedModel
from tests.support.shell_agent import shell_agent

BRANCH = f"lw/task/{PLAN_ID}"
COMMIT = "echo done > done.txt && git add done.txt && git commit -q -m 'Do some of it'"
PRICES = 'prices = { "anthropic/claude-sonnet-4.5" = { input = 3, output = 15 } }\n'
USAGE = {"prompt_tokens": 400, "completion_tokens": 100, "cost": 0.002}
LOOK_AROUND = """\
env; cat /proc/*/environ 2>/dev/null | tr '\\0' '\\n'
cat ~/.factory/settings.json /droid-overrides.json
cat /etc/gateway.json /evidence/* 2>&1
curl -sS -i http://gateway:8080/v1/models; curl -sS -i http://gateway:8080/ -H 'Host: example.com'
"""


def working(command: str = COMMIT, usage: dict[str, Any] | None = None) -> Script:
    """Make an agent that runs a command, and then others for ever; each answer reports what it cost."""
    used = USAGE if usage is None else usage

    def play(conversation: Conversation) -> Reply:
        if conversation.kind != "agent":
            return (
                prompt_answer(conversation) if conversation.kind == "dspy" else Reply("A title", usage=used)
            )
        step = f"echo {conversation.rounds}" if conversation.rounds else command
        return Reply(tool_calls=(execute(conversation, "Go on", step),), usage=used)

    return play


def _asked(model: ScriptedModel) -> str:
    return "\n".join(json.dumps(request.body) for request in model.requests)


def _texts(folder: Path) -> str:
    return "\n".join(path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file())


def test_the_agent_never_sees_the_key_and_all_of_its_requests_are_counted(
    sample: SampleRepository, person: Person
) -> None:
    """With reviewers, prices and allow_hosts; and in a replay by hand."""
    with_gateway(sample, f"allow_hosts = []\n{PRICES}")
    script = reviewing_agent([LOOK_AROUND, COMMIT])
    ended = headless(person, sample, script, "--json", "--cost-usd", "10")
    assert (ended.status, ended.ended["limit"]) == (0, None), ended.stderr
    _never_saw_the_key(ended)
    _is_counted(ended)
    assert sample.git("log", "-1", "--format=%s", BRANCH) == "Do some of it"
    assert "gateway" not in (ended.run / "allow_hosts.filter").read_text()
    _is_replayed_by_hand(sample, person, ended)


def _never_saw_the_key(ended: Headless) -> None:
    assert "Gateway: OPENROUTER_API_KEY stays outside of the session\n" in ended.stderr
    asked = _asked(ended.model)
    assert "OPENROUTER_BASE_URL" in asked, "the agent looked at its variables"
    assert "there is nothing at this address" in asked, "the agent reached the gateway"
    assert KEY not in asked
    assert {request.headers["Authorization"] for request in ended.model.requests} == {f"Bearer {KEY}"}
    assert KEY not in _texts(ended.run)


def _is_counted(ended: Headless) -> None:
    sent = len(ended.model.requests) - ended.model.count("dspy")
    spent = ended.ended["spent"]
    assert spent["total"]["requests"] == sent > 0
    assert sum(one["requests"] for one in spent["models"].values()) == sent
    assert sum(one["requests"] for one in spent["conversations"]) == sent
    assert len(spent["conversations"]) >= 3, "the agent and both reviewers"
    assert spent["total"]["input_tokens"] > 0
    assert f"Model:    {sent} requests, " in ended.stderr
    cost = (3 * spent["total"]["input_tokens"] + 15 * spent["total"]["output_tokens"]) / 1e6
    assert spent["total"]["cost_usd"] == pytest.approx(cost)


def test_a_limit_of_tokens_ends_a_session(sample: SampleRepository, person: Person) -> None:
    with_gateway(sample)
    # An answer that droid does not wait for to its end counts by an estimate, of some 5,000 tokens.
    many = {"prompt_tokens": 8000, "completion_tokens": 2000}
    ended = headless(person, sample, working(usage=many), "--json", "--tokens", "48000")
    result = json.loads(ended.stdout)
    assert (ended.status, result["outcome"]) == (5, "limit"), ended.stderr
    assert result["ended"]["limit"] == {"name": "tokens", "value": 48000}
    assert ended.ended["spent"]["total"]["requests"] == len(ended.model.requests) - ended.model.count("dspy")
    assert sample.git("log", "-1", "--format=%s", BRANCH) == "Do some of it", ended.stderr


def test_a_limit_of_the_cost_ends_a_session_at_a_terminal(sample: SampleRepository, person: Person) -> None:
    with_gateway(sample, "limits = { cost_usd = 0.01 }\n")
    with ScriptedModel(working(), host=bridge_address()) as model:
        offer(person, sample, model, OPENROUTER_MODEL="some/model")
        status, text = person.runs_to_the_end("code", PLAN_ID)
    assert status == 5, text
    assert "a limit ended the session: cost_usd = 0.01" in text
    assert "0.0100 USD" in text
    assert sample.git("log", "-1", "--format=%s", BRANCH) == "Do some of it"


def test_a_cost_that_nobody_knows_cannot_be_limited(sample: SampleRepository, person: Person) -> None:
    with_gateway(sample)
    ended = headless(person, sample, shell_agent([COMMIT]), "--json", "--cost-usd", "1")
    assert json.loads(ended.stdout)["outcome"] == "limit", ended.stderr
    assert "cost_usd cannot be kept: the provider reports no cost, and [code] prices has none" in ended.stderr
    assert ended.ended["spent"]["total"]["requests"] == 1


def test_a_gateway_that_crashes_is_started_again_and_has_lost_no_count(
    sample: SampleRepository, person: Person
) -> None:
    patient = shell_agent([COMMIT, wait_for_go(), LOOK_AROUND])

    def crash(_: subprocess.Popen[str], model: ScriptedModel) -> None:
        wait_until(lambda: model.count("agent") > 1, "the second request")
        (run,) = (sample.root / ".lw_coder/runs" / PLAN_ID).glob("2*")
        (gateway,) = gateways_of(run)
        docker("exec", gateway, "pkill", "-KILL", "python3")
        wait_until(lambda: gateway_answers(sample.root), "the gateway's second start")
        let_go(sample.root)

    with_gateway(sample)
    ended = headless(person, sample, patient, "--json", meanwhile=crash)
    assert ended.status == 0, ended.stderr
    sent = len(ended.model.requests) - ended.model.count("dspy")
    assert ended.ended["spent"]["total"]["requests"] == sent
    _never_saw_the_key(ended)


def _is_replayed_by_hand(sample: SampleRepository, person: Person, ended: Headless) -> None:
    with ScriptedModel(shell_agent([COMMIT]), host=bridge_address()) as model:
        sample.write_env(model.base_url)
        (ended.run / "gateway.json").write_text(
            (ended.run / "gateway.json").read_text().replace(ended.model.base_url, model.base_url)
        )
        replay = ("docker", "compose", "-f", str(ended.run / "compose.yml"), "run", "--rm", "-T", "droid")
        done = subprocess.run(
            (*replay, "start-session", "--headless"),
            cwd=sample.root,
            env=person.env,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert model.count("agent") > 0
        count = len((ended.run / "gateway/requests.jsonl").read_text().splitlines())
        assert count == len(model.requests) + len(ended.model.requests) - ended.model.count("dspy")
    _remove_what_the_replay_left(ended.run)


def _remove_what_the_replay_left(run: Path) -> None:
    # By its project: a run of another repository can have begun in the same second.
    project = yaml.safe_load((run / "compose.yml").read_text())["name"]
    for kind in ("container", "network"):
        left = docker(
            kind, "ls", "--quiet", "--filter", f"label=com.docker.compose.project={project}"
        ).split()
        if left:
            docker(kind, "rm", *(["--force"] if kind == "container" else []), *left)
