"""`lw_coder code --headless`: the real droid, a scripted model, and nobody at a terminal."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import Person, sessions_in
from tests.integration.execution import command_lines, docker_clients, run_folders
from tests.integration.headless_session import Headless, headless, replayed_by_hand
from tests.integration.known_prompts import offer
from tests.support.agent_script import COMMIT_MESSAGE, FINDINGS, execute, prompt_answer, scripted_demo
from tests.support.engine import bridge_address, docker
from tests.support.patience import NEVER, PATIENCE, wait_until
from tests.support.result_schema import result_of
from tests.support.sample_repository import PLAN_ID, SampleRepository
from tests.support.scripted_model import Conversation, HttpFailure, Reply, Script, ScriptedModel
from tests.support.shell_agent import DONE, shell_agent

BRANCH = f"lw/task/{PLAN_ID}"
COMMIT = "echo done > done.txt && git add done.txt && git commit -q -m 'Do some of it'"
CUT_OFF = Reply("This answer is", finish_reason="length")


def failing(reply: Reply | None, after: str = COMMIT) -> Script:
    """Make an agent that commits, and whose model then does only this; None: it calls a tool for ever."""

    def play(conversation: Conversation) -> Reply:
        if conversation.kind != "agent":
            return prompt_answer(conversation) if conversation.kind == "dspy" else Reply("A title")
        if conversation.rounds and reply:
            return reply
        command = f": {conversation.rounds}" if conversation.rounds else after
        return Reply(tool_calls=(execute(conversation, "Go on", command),))

    return play


def restless(conversation: Conversation) -> Reply:
    """Commit, and then take one step after the other, without an end."""
    if conversation.kind != "agent":
        return failing(CUT_OFF)(conversation)
    command = f"echo {conversation.rounds}" if conversation.rounds else COMMIT
    return Reply(tool_calls=(execute(conversation, "Go on", command),))


def test_a_plan_is_carried_out_with_both_subagents_and_ends_by_itself(
    sample: SampleRepository, person: Person
) -> None:
    ended = headless(person, sample, scripted_demo)
    assert ended.status == 0, ended.stderr
    assert sample.git("log", "--format=%s", f"{sample.sha}..{BRANCH}") == COMMIT_MESSAGE
    summary = (ended.run / "summary.md").read_text()
    assert all(finding in summary for finding in FINDINGS.values())
    assert ended.stdout == summary
    assert "Agent:    subagent code-review-auditor\n" in ended.stderr
    assert COMMIT_MESSAGE in next(line for line in ended.stderr.splitlines() if "Agent:    commit " in line)
    assert [event["type"] for event in ended.events][-1] == "completion"
    assert {(ended.run / name).stat().st_mode & 0o777 for name in ("summary.md", "events.jsonl")} == {0o600}
    assert ended.ended["outcome"] == "completed"
    assert "## Nobody is there" in (ended.run / "prompts/main.md").read_text()
    replayed, _ = replayed_by_hand(person, ended, shell_agent([]))
    assert f'"finalText":"{DONE}"' in replayed
    _leaves_no_client_if_the_prompts_fail(sample, person)


def _leaves_no_client_if_the_prompts_fail(sample: SampleRepository, person: Person) -> None:
    """The image is current by now: so Compose has been started before the prompts are there."""
    sample.write_env("http://127.0.0.1:9/v1", OPENROUTER_MODEL="un/known")
    runs = run_folders(sample.root, PLAN_ID)
    with person.starts("code", PLAN_ID, "--headless") as process:
        _, told = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1, told
    assert "Image: " in told
    assert run_folders(sample.root, PLAN_ID) == runs
    clients = [line for line in command_lines() if str(sample.root).encode() in b"".join(line)]
    assert clients == []


def test_nothing_is_committed(sample: SampleRepository, person: Person) -> None:
    ended = headless(person, sample, shell_agent(["echo left > left.txt"]), "--json")
    result = result_of(ended.stdout)
    assert (ended.status, result["exit_code"], result["outcome"]) == (0, 0, "completed")
    assert (result["commits"]["count"], result["uncommitted"]["first"]) == (0, ["left.txt"])
    assert "warning: nothing was committed, and there are no checks" in ended.stderr
    assert result["run"] == f"{PLAN_ID}/{ended.run.name}"
    assert Path(result["paths"]["summary"]).read_text() == f"{DONE}\n"
    assert result["usage"]["input_tokens"] > 0
    assert result["limits"]["minutes"] == 120


CUT_OFF_AGAIN = "3 answers of its model in a row were cut off at the token limit"
# Its last error, as it is told; each after a commit, which has to be there.
FAILURES = {
    "unauthorised": (Reply(failure=HttpFailure(401, '{"error": {"message": "no such key"}}')), 1, "401 "),
    "no-money": (Reply(failure=HttpFailure(402, '{"error": {"message": "no money"}}')), 1, "no money"),
    "empty-answer": (Reply(""), 0, "without a final message"),
    "cut-off-answers": (CUT_OFF, 137, CUT_OFF_AGAIN),
}


@pytest.mark.parametrize("name", FAILURES)
def test_an_agent_that_fails_is_told_and_its_commit_is_kept(
    sample: SampleRepository, person: Person, name: str
) -> None:
    reply, status, told = FAILURES[name]
    ended = headless(person, sample, failing(reply), "--json")
    result = _failed(ended, sample)
    assert result["ended"]["status"] == status
    assert told in result["ended"]["reason"]
    assert ("raise max_output_tokens in .lw_coder/config.toml" in ended.stderr) == (told == CUT_OFF_AGAIN)


def test_a_model_that_vanishes(sample: SampleRepository, person: Person) -> None:
    def vanish(_: subprocess.Popen[str], model: ScriptedModel) -> None:
        wait_until(lambda: model.count("agent") > 1, "the second request")
        model.stop()

    ended = headless(person, sample, failing(Reply(silent=True)), "--json", meanwhile=vanish)
    assert "onnection" in _failed(ended, sample)["ended"]["reason"]


def test_a_container_that_is_killed(sample: SampleRepository, person: Person) -> None:
    def kill(_: subprocess.Popen[str], model: ScriptedModel) -> None:
        wait_until(lambda: model.count("agent") > 1, "the second request")
        docker("kill", *sessions_in(sample.root))

    ended = headless(person, sample, failing(Reply(silent=True)), "--json", meanwhile=kill)
    assert _failed(ended, sample)["ended"]["status"] == 137


def test_a_session_outlives_its_client(sample: SampleRepository, person: Person) -> None:
    def kill(_: subprocess.Popen[str], model: ScriptedModel) -> None:
        wait_until(lambda: model.count("agent") > 1, "the second request")
        for client in docker_clients(run_folders(sample.root, PLAN_ID)[-1]):
            with suppress(ProcessLookupError):  # one ends with the other
                os.kill(client, signal.SIGKILL)

    ended = headless(person, sample, shell_agent([COMMIT, "sleep 10", "echo 3"]), meanwhile=kill)
    assert ended.status == 0, ended.stderr
    assert "still running; reconnecting to it" in ended.stderr
    assert ended.stdout == f"{DONE}\n"
    _has_the_commit(ended, sample)


def _failed(ended: Headless, sample: SampleRepository) -> dict[str, Any]:
    result = result_of(ended.stdout)
    assert (ended.status, result["exit_code"], result["outcome"]) == (4, 4, "failed"), ended.stderr
    _has_the_commit(ended, sample)
    assert str(result["ended"]["reason"]) in ended.stderr
    return result


def _has_the_commit(ended: Headless, sample: SampleRepository) -> None:
    assert sample.git("log", "-1", "--format=%s", BRANCH) == "Do some of it", ended.stderr
    assert ended.ended["commits"] == 1
    assert ended.events


# Each with its value, and what the agent does for ever. Idle time begins when droid has started.
LIMITS = {
    "minutes": ("0.5", failing(Reply(silent=True))),
    "idle_minutes": ("1", failing(Reply(silent=True))),
    "turns": ("12", failing(None)),
    "hanging-tool": ("1", failing(Reply(DONE), after=f"{COMMIT}; trap '' TERM; sleep {NEVER:.0f} & wait")),
}


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_ends_a_session(sample: SampleRepository, person: Person, name: str) -> None:
    value, script = LIMITS[name]
    limit = "idle_minutes" if name == "hanging-tool" else name
    ended = headless(person, sample, script, "--json", f"--{limit.replace('_', '-')}", value)
    result = result_of(ended.stdout)
    assert (ended.status, result["exit_code"], result["outcome"]) == (5, 5, "limit"), ended.stderr
    assert result["ended"]["limit"] == ended.ended["limit"] == {"name": limit, "value": float(value)}
    assert f"Limit:    {limit} = {value} is reached" in ended.stderr
    if name != "minutes":  # that can be over before droid has started
        _has_the_commit(ended, sample)


def test_a_configured_limit_ends_a_session_at_a_terminal(sample: SampleRepository, person: Person) -> None:
    (sample.root / ".lw_coder/config.toml").write_text("[code]\nlimits = { turns = 12 }\n")
    with ScriptedModel(failing(None), host=bridge_address()) as other:
        offer(person, sample, other)
        status, text = person.runs_to_the_end("code", PLAN_ID)
    assert status == 5, text
    assert "a limit ended the session: turns = 12" in text
    assert sample.git("log", "-1", "--format=%s", BRANCH) == "Do some of it"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_session_and_its_commit_is_kept(
    sample: SampleRepository, person: Person, number: signal.Signals
) -> None:
    def end(process: subprocess.Popen[str], model: ScriptedModel) -> None:
        wait_until(lambda: model.count("agent") > 1, "the second request")
        process.send_signal(number)

    ended = headless(person, sample, failing(Reply(silent=True)), "--json", meanwhile=end)
    result = result_of(ended.stdout)
    assert (ended.status, result["exit_code"], result["outcome"]) == (128 + number, 128 + number, "signal")
    _has_the_commit(ended, sample)


def test_an_error_before_the_session_is_a_document_too(person: Person) -> None:
    refused = person.runs_alone("code", PLAN_ID, "--headless", "--json", "--tokens", "9")
    result = result_of(refused.stdout)
    assert (refused.returncode, result["exit_code"], result["outcome"]) == (1, 1, "error")
    assert "gateway" in result["error"]["message"]
