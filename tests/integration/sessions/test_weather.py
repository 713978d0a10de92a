"""A provider that is busy, breaks off or goes away, and a killed gateway: headless and at a terminal."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Container
from itertools import count
from typing import Any

from tests.integration.batch_run import wait_for_go
from tests.integration.conftest import LW_CODER, Person, sessions_in
from tests.integration.execution import run_folders
from tests.integration.headless_session import (
    gateway_answers,
    gateways_of,
    headless,
    let_go,
    with_gateway,
)
from tests.integration.known_prompts import offer
from tests.support.engine import bridge_address, docker
from tests.support.patience import read_until, wait_until
from tests.support.result_schema import result_of
from tests.support.sample_repository import PLAN_ID, SampleRepository
from tests.support.scripted_model import Conversation, HttpFailure, Reply, Script, ScriptedModel
from tests.support.shell_agent import DONE, shell_agent

BRANCH = f"lw/task/{PLAN_ID}"
COMMIT = "git commit -q --allow-empty -m 'Do some of it'"
BROKEN = "onnection"  # in "Connection error" and in "Your internet connection may be offline"
SHORT_HOLD = "provider_wait = 1\n"  # seconds instead of four minutes
# What happens to the first attempt of each of the agent's requests.
WEATHER = (
    Reply(failure=HttpFailure(429, headers={"Retry-After": "5"})),
    Reply(failure=HttpFailure(429)),
    Reply(failure=HttpFailure(503)),
    Reply("This will break off. " * 50, reset=True),
)


def changeable(conversation: Conversation) -> Reply:
    """Go through all kinds of weather, a command in each, and then say the last words."""
    played = shell_agent([COMMIT, "echo 2", "echo 3", "echo 4"])(conversation)
    is_first = conversation.kind == "agent" and conversation.attempt == 0
    return WEATHER[conversation.rounds] if is_first and conversation.rounds < len(WEATHER) else played


def busy(at: Container[int], wish: str = "") -> Script:
    """Make a provider that refuses the agent's requests with these numbers, counted from 0."""
    numbers = count()
    headers = {"Retry-After": wish} if wish else {}

    def play(conversation: Conversation) -> Reply:
        if conversation.kind == "agent" and next(numbers) in at:
            return Reply(failure=HttpFailure(429, headers=headers))
        return shell_agent([COMMIT])(conversation)

    return play


def _requests(run: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "gateway/requests.jsonl").read_text().splitlines()]


def _gateways(sample: SampleRepository) -> list[str]:
    """Return the container of the only run's gateway."""
    (run,) = run_folders(sample.root, PLAN_ID)
    return gateways_of(run)


def _has_the_commit(sample: SampleRepository) -> bool:
    return sample.git("log", "-1", "--format=%s", BRANCH) == "Do some of it"


def test_short_trouble_ends_nothing(sample: SampleRepository, person: Person) -> None:
    with_gateway(sample)
    ended = headless(person, sample, changeable, "--json", "--idle-minutes", "10")
    assert ended.status == 0, ended.stderr
    assert "Model:    waiting for the provider until " in ended.stderr
    requests = _requests(ended.run)
    assert max(request["waited_seconds"] for request in requests) >= 5
    assert sum(request["waited_seconds"] > 0 for request in requests) >= 3
    assert [request["ended"] for request in requests].count("cut") == 1, "the answer that broke off"
    assert ended.ended["spent"]["total"]["waited_seconds"] >= 5
    assert _has_the_commit(sample)


def test_short_trouble_ends_nothing_at_a_terminal(sample: SampleRepository, person: Person) -> None:
    with_gateway(sample)
    with ScriptedModel(changeable, host=bridge_address()) as model:
        offer(person, sample, model)
        with person.types(LW_CODER, "code", PLAN_ID) as terminal:
            terminal.wait_until(lambda: model.count("agent") > 2, "the end of the first wait")
            docker("exec", *_gateways(sample), "pkill", "-KILL", "python3")  # Docker starts it again
            terminal.wait_until(
                lambda: any(end in terminal.screen for end in (BROKEN, DONE)), "the end of droid's turn"
            )
            if DONE not in terminal.screen:
                wait_until(lambda: gateway_answers(sample.root), "the gateway's second start")
                terminal.type("Go on, please.")
                terminal.wait_for("Go on, please.")
                terminal.type("\r")
            terminal.wait_for(DONE)
            assert terminal.leave() == 0, terminal.text
    assert " s for the provider" in terminal.text
    assert _has_the_commit(sample)


def test_a_long_wait_ends_the_session_and_it_goes_on_later(sample: SampleRepository, person: Person) -> None:
    with_gateway(sample)
    away = busy(range(1, 99), wish="3600")
    ended = headless(person, sample, away, "--json", "--max-wait", "1")
    result = result_of(ended.stdout)
    assert (ended.status, result["exit_code"], result["outcome"]) == (8, 8, "paused"), ended.stderr
    assert "paused: the provider answers 429; it is to be asked again at " in result["ended"]["reason"]
    assert result["spent"]["paused_until"]
    assert "warning: the session was paused: the provider answers 429; " in ended.stderr
    assert f"Go on:    lw_coder code {PLAN_ID} --headless --continue\n" in ended.stderr
    assert ended.ended["outcome"] == "paused"
    assert _has_the_commit(sample)
    assert ended.events
    ended = headless(person, sample, shell_agent([COMMIT]), "--json", "--continue")
    assert (ended.status, ended.record["continues"]) == (0, result["run"]), ended.stderr


def test_lw_coder_waits_and_goes_on_by_itself(sample: SampleRepository, person: Person) -> None:
    with_gateway(sample, f"{SHORT_HOLD}limits = {{ turns = 50 }}\n")
    ended = headless(person, sample, busy({0, 2}), "--json", "--max-wait", "20")
    result = result_of(ended.stdout)
    assert (ended.status, result["outcome"]) == (0, "completed"), ended.stderr
    assert len(result["earlier_runs"]) == 2
    assert ended.record["continues"] == result["earlier_runs"][-1]
    assert ended.stderr.count("warning: the session was paused: the provider answers 429; ") == 2
    assert ended.stderr.count("Model:    waiting for the provider until ") == 2
    assert result["limits"]["turns"] < 50
    assert 19 < result["limits"]["max_wait"] < 20
    assert _has_the_commit(sample)
    assert len(ended.model.requests[-1].conversation.messages) > 3, "the agent remembers its work"


def test_a_signal_ends_the_wait(sample: SampleRepository, person: Person) -> None:
    def end(process: subprocess.Popen[str], _: ScriptedModel) -> None:
        read_until(process, "of max_wait are left")
        process.send_signal(signal.SIGTERM)

    with_gateway(sample)
    away = busy(range(1, 99), wish="3600")
    ended = headless(person, sample, away, "--json", "--max-wait", "100", meanwhile=end)
    result = result_of(ended.stdout)
    assert (ended.status, result["exit_code"], result["outcome"]) == (143, 143, "signal"), ended.stderr
    assert ended.ended["outcome"] == "paused"
    assert _has_the_commit(sample)


def test_a_long_wait_ends_a_session_at_a_terminal(sample: SampleRepository, person: Person) -> None:
    with_gateway(sample, SHORT_HOLD)
    with ScriptedModel(busy(range(1, 99)), host=bridge_address()) as model:
        offer(person, sample, model)
        status, text = person.runs_to_the_end("code", PLAN_ID)
    assert status == 8, text
    assert "the session was paused: the provider answers 429; it is to be asked again at " in text
    assert f"Go on:    lw_coder code {PLAN_ID} --continue" in text
    assert _has_the_commit(sample)


def test_a_provider_that_goes_away(sample: SampleRepository, person: Person) -> None:
    def vanish(_: subprocess.Popen[str], model: ScriptedModel) -> None:
        wait_until(lambda: model.count("agent") > 1, "the second request")
        model.stop()
        let_go(sample.root)

    with_gateway(sample, SHORT_HOLD)
    ended = headless(
        person, sample, shell_agent([COMMIT, wait_for_go(), "echo 3"]), "--json", meanwhile=vanish
    )
    result = result_of(ended.stdout)
    assert (ended.status, result["outcome"]) == (8, "paused"), ended.stderr
    assert "paused: the provider cannot be reached; " in result["ended"]["reason"]
    assert _has_the_commit(sample)


def test_a_provider_that_goes_away_at_a_terminal(sample: SampleRepository, person: Person) -> None:
    with_gateway(sample, SHORT_HOLD)
    with ScriptedModel(shell_agent([COMMIT, wait_for_go(), "echo 3"]), host=bridge_address()) as model:
        offer(person, sample, model)
        with person.types(LW_CODER, "code", PLAN_ID) as terminal:
            terminal.wait_until(lambda: model.count("agent") > 1, "the second request")
            model.stop()
            let_go(sample.root)
            status = terminal.wait()
    assert status == 8, terminal.text
    assert "the session was paused: the provider cannot be reached; " in terminal.text
    assert _has_the_commit(sample)


def test_a_gateway_that_is_killed(sample: SampleRepository, person: Person) -> None:
    def kill(_: subprocess.Popen[str], model: ScriptedModel) -> None:
        wait_until(lambda: model.count("agent") > 1, "the second request")
        docker("kill", *_gateways(sample))  # after that Docker does not start it again
        let_go(sample.root)

    with_gateway(sample)
    ended = headless(person, sample, shell_agent([COMMIT, wait_for_go(), "echo 3"]), "--json", meanwhile=kill)
    result = result_of(ended.stdout)
    assert (ended.status, result["outcome"]) == (4, "failed"), ended.stderr
    assert "onnection" in result["ended"]["reason"]
    assert _has_the_commit(sample)


def test_a_gateway_that_is_killed_at_a_terminal(sample: SampleRepository, person: Person) -> None:
    with_gateway(sample)
    with ScriptedModel(shell_agent([COMMIT, wait_for_go(), "echo 3"]), host=bridge_address()) as model:
        offer(person, sample, model)
        with person.types(LW_CODER, "code", PLAN_ID) as terminal:
            terminal.wait_until(lambda: model.count("agent") > 1, "the second request")
            docker("kill", *_gateways(sample))  # after that Docker does not start it again
            let_go(sample.root)
            terminal.wait_for(BROKEN)
            assert terminal.leave() == 0, terminal.text
    assert sessions_in(sample.root) == []
    assert _has_the_commit(sample)
