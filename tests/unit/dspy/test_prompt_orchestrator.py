"""Prompts from a plan: real DSPy, a real cache folder, and a model played over real HTTP."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import dspy
import pytest
from msgspec.structs import replace

from lw_coder.dspy.code_prompt_signature import CodePromptProgram
from lw_coder.dspy.generated_prompts import GeneratedPrompts
from lw_coder.dspy.prompt_orchestrator import generate_prompts, load_program
from lw_coder.foundation.errors import PromptError
from lw_coder.plans.plan_file import PlanMetadata
from lw_coder.settings.model_access import ModelAccess
from tests.support.patience import PATIENCE, wait_until
from tests.support.scripted_model import Conversation, HttpFailure, Reply, ScriptedModel

KEY = "sk-or-secret-of-the-test"
PLAN = PlanMetadata(
    "sample-plan",
    "de528997b23028fdd0732ae6d17a8c11ad6c6348",
    "draft",
    ("The flag is documented.",),
    "# Add a flag\n\nKeep `{name}` and $HOME as they are.\n",
)
SECTION = {"heading": "Review", "findings": "All.", "actions_taken": "Each.", "left_open": "Why."}
OUTPUTS = {
    "main_prompt": "Read the parser first, then add the flag and its test.",
    "code_review_prompt": "Look for flags that are parsed and never used.",
    "plan_alignment_prompt": "Check that the flag is documented and tested.",
    "feedback_summary": {
        "title": "What the reviews said",
        "code_review": SECTION,
        "plan_alignment": SECTION,
        "closing": "Say what remains to be decided.",
    },
}
GOOD = Reply(json.dumps(OUTPUTS))


def always(reply: Reply) -> Callable[[Conversation], Reply]:
    return lambda _: reply


def in_turn(*replies: Reply) -> Callable[[Conversation], Reply]:
    """Give one reply after the other, whatever is asked, and then only the last."""
    left = list(replies)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


def access(model: ScriptedModel) -> ModelAccess:
    """Name the played model, with patience that suits a test."""
    return ModelAccess("scripted/model", model.base_url, KEY, deadline=PATIENCE, backoff=0.01)


def ask(reply: Callable[[Conversation], Reply], cache: Path) -> tuple[GeneratedPrompts, int]:
    """Generate prompts against a model that replies so; also give the number of requests it had."""
    with ScriptedModel(reply, require_key=KEY) as model:
        return generate_prompts(PLAN, access(model), cache), len(model.requests)


def failure(reply: Callable[[Conversation], Reply], cache: Path, deadline: float = PATIENCE) -> PromptError:
    """Give the error that the person sees when a model replies so."""
    with ScriptedModel(reply) as model, pytest.raises(PromptError) as caught:
        generate_prompts(PLAN, replace(access(model), deadline=deadline), cache)
    return caught.value


# What comes out


def test_a_plan_becomes_checked_prompts_and_the_record_of_how(tmp_path: Path) -> None:
    prompts, requests = ask(always(GOOD), tmp_path)

    assert prompts.outputs == OUTPUTS
    assert (prompts.model, prompts.dspy_version) == ("scripted/model", dspy.__version__)
    assert (prompts.cache_hit, prompts.attempts, requests) == (False, 1, 1)
    assert (
        prompts.usage["total_tokens"] == prompts.usage["prompt_tokens"] + prompts.usage["completion_tokens"]
    )
    assert prompts.inputs["plan"]["body"] == PLAN.body
    assert "generate" in prompts.program_state
    assert KEY not in repr(prompts) + json.dumps(prompts.program_state)
    json.dumps([prompts.outputs, prompts.inputs, prompts.program_state, prompts.usage])


def test_the_model_is_sent_the_plan_and_nothing_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a folder that the question names by itself, such as /workspace, is no leak
    with ScriptedModel(always(GOOD)) as model:
        generate_prompts(PLAN, access(model), tmp_path)
        sent = json.dumps(model.requests[0].body)
        assert model.requests[0].authorization == f"Bearer {KEY}"
    assert PLAN.git_sha in sent
    assert "Keep `{name}` and $HOME as they are." in sent
    assert not [word for word in (str(Path.home()), str(Path.cwd()), KEY) if word in sent]


def test_markdown_with_dspys_own_markers_survives(tmp_path: Path) -> None:
    text = "Keep the format:\n\n```\n[[ ## answer ## ]]\n```\n\nand go on after it."
    prompts, _ = ask(always(Reply(json.dumps({**OUTPUTS, "main_prompt": text}))), tmp_path)
    assert prompts.main_prompt == text


HAS_FENCE = 'Add this:\n```py\nf"{x}"\n```'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Here is {the answer} for f(x) = {x}:\n", ""),
        ("", "\nI hope that {this} helps."),
        ("", "\nIt fits " + json.dumps({name: {"type": "string"} for name in OUTPUTS})),
        ('For example {"main_prompt": "short"}, or:\n```json\n', "\n```\nThat is all."),
    ],
)
def test_prose_around_an_answer_does_not_hide_it(before: str, after: str, tmp_path: Path) -> None:
    prompts, requests = ask(always(Reply(f"{before}{GOOD.text}{after}")), tmp_path)
    assert (prompts.outputs, requests) == (OUTPUTS, 1)


def test_a_fence_may_hold_text_with_a_fence(tmp_path: Path) -> None:
    answer = json.dumps({**OUTPUTS, "main_prompt": HAS_FENCE}, indent=2)
    prompts, requests = ask(always(Reply(f"```json\n{answer}\n```")), tmp_path)
    assert prompts.main_prompt == HAS_FENCE
    assert requests == 1


def test_json_with_small_faults_is_repaired_among_prose(tmp_path: Path) -> None:
    faulty = f"{GOOD.text[:-1]},\n}}"
    prompts, requests = ask(always(Reply(f"See {{this}}:\n```json\n{faulty}\n```\nDone.")), tmp_path)
    assert (prompts.outputs, requests) == (OUTPUTS, 1)


def test_progress_says_what_is_waited_for(tmp_path: Path) -> None:
    seen: list[str] = []
    with ScriptedModel(in_turn(Reply(""), GOOD)) as model:
        generate_prompts(PLAN, access(model), tmp_path, on_progress=seen.append)
    assert seen == [
        "asking scripted/model for the prompts",
        "the answer was empty",
        "asking scripted/model for the prompts again",
    ]


def test_nobody_is_asked_for_what_is_in_the_cache(tmp_path: Path) -> None:
    seen: list[str] = []
    with ScriptedModel(in_turn(Reply(""), GOOD)) as model:
        generate_prompts(PLAN, access(model), tmp_path)
        generate_prompts(PLAN, access(model), tmp_path, on_progress=seen.append)
        assert len(model.requests) == 2
    assert seen == []


def test_a_request_that_is_sent_again_is_announced_once(tmp_path: Path) -> None:
    seen: list[str] = []
    with ScriptedModel(in_turn(Reply(failure=HttpFailure(503)), GOOD)) as model:
        generate_prompts(PLAN, access(model), tmp_path, on_progress=seen.append)
        assert len(model.requests) == 2
    assert [line.partition(" ")[0] for line in seen] == ["asking", "the"]


# The cache


def test_the_same_plan_again_needs_no_server(tmp_path: Path) -> None:
    first, _ = ask(always(GOOD), tmp_path)
    nowhere = ModelAccess("scripted/model", "http://127.0.0.1:1/v1", "another key")

    again = generate_prompts(PLAN, nowhere, tmp_path)

    assert (again.cache_hit, again.usage) == (True, {})
    assert again.outputs == first.outputs


def test_another_plan_is_asked_for(tmp_path: Path) -> None:
    ask(always(GOOD), tmp_path)
    with ScriptedModel(always(GOOD)) as model:
        generate_prompts(dataclasses.replace(PLAN, body="# Another"), access(model), tmp_path)
        assert len(model.requests) == 1


def test_a_server_that_counts_no_tokens_is_no_cache_hit(tmp_path: Path) -> None:
    body = {"choices": [{"index": 0, "finish_reason": "stop", "message": {"content": GOOD.text}}]}
    prompts, _ = ask(always(Reply(failure=HttpFailure(200, json.dumps(body)))), tmp_path)
    assert (prompts.cache_hit, prompts.usage) == (False, {})


def test_the_cache_folder_is_the_persons_alone(tmp_path: Path) -> None:
    cache = tmp_path / "state" / "dspy"
    ask(always(GOOD), cache)
    assert cache.stat().st_mode & 0o777 == 0o700
    assert (cache / dspy.__version__).stat().st_mode & 0o777 == 0o700


def no_databases(cache: Path) -> None:
    for database in cache.rglob("cache.db"):
        database.write_bytes(b"\xff" * 20_000)


def damaged_index(cache: Path) -> None:
    """Damage what is read for the first time when an answer is looked up."""
    for database in cache.rglob("cache.db"):
        with closing(sqlite3.connect(database)) as connection:
            found = "SELECT rootpage FROM sqlite_master WHERE name = 'Cache_key_raw'"
            (page,) = connection.execute(found).fetchone()
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            (size,) = connection.execute("PRAGMA page_size").fetchone()
        with database.open("r+b") as file:
            file.seek((page - 1) * size)
            file.write(b"\xff" * size)


@pytest.mark.parametrize("damage", [no_databases, damaged_index])
def test_a_damaged_cache_costs_a_warning_and_no_run(
    damage: Callable[[Path], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ask(always(GOOD), tmp_path)
    dspy.cache.disk_cache.close()
    damage(tmp_path)
    prompts, requests = ask(always(GOOD), tmp_path)
    assert (prompts.outputs, prompts.cache_hit, requests) == (OUTPUTS, False, 1)
    assert str(tmp_path) in caplog.text


def test_a_cache_folder_that_cannot_be_made_costs_a_warning_and_no_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").touch()
    prompts, requests = ask(always(GOOD), tmp_path / "cache")
    assert (prompts.outputs, requests) == (OUTPUTS, 1)
    assert str(tmp_path / "cache") in caplog.text


# The schema


@pytest.mark.parametrize(
    "name",
    ["llama3.2", "qwen2.5:7b", "openrouter/some/new-model", "SmolLM2-135M", "anthropic/claude-sonnet-4.5"],
)
def test_every_model_gets_the_schema(name: str, tmp_path: Path) -> None:
    with ScriptedModel(always(GOOD)) as model:
        prompts = generate_prompts(PLAN, replace(access(model), model=name), tmp_path)
        (request,) = model.requests
    assert (prompts.outputs, request.body["model"]) == (OUTPUTS, name)
    schema = request.body["response_format"]["json_schema"]["schema"]
    assert schema["required"] == list(OUTPUTS)
    assert set(schema["$defs"]) == {"FeedbackSection", "FeedbackSummary"}


REFUSALS = {
    "OpenAI": HttpFailure(
        400, '{"error": {"message": "Invalid parameter: \'response_format\'", "code": null}}'
    ),
    "DeepSeek": HttpFailure(400, '{"error": {"message": "This response_format type is unavailable now"}}'),
    "Groq": HttpFailure(400, '{"error": {"message": "Model does not support `json_schema`"}}'),
    "in words": HttpFailure(400, '{"error": {"message": "Structured outputs are not supported"}}'),
    "plain text": HttpFailure(400, "unknown field: response format", "text/plain"),
    "llama.cpp": HttpFailure(500, '{"error": {"message": "failed to parse grammar"}}'),
    "FastAPI": HttpFailure(422, '{"detail": [{"loc": ["body", "response_format"], "msg": "extra"}]}'),
    "OpenRouter": HttpFailure(400, '{"error": {"message": "Provider returned error", "code": 400}}'),
}


def refusing_schemas(refusal: HttpFailure, *replies: Reply) -> Callable[[Conversation], Reply]:
    without = in_turn(*replies)
    return lambda asked: Reply(failure=refusal) if asked.has_schema else without(asked)


@pytest.mark.parametrize("server", REFUSALS)
def test_a_server_that_refuses_the_schema_is_asked_without_it(server: str, tmp_path: Path) -> None:
    with ScriptedModel(refusing_schemas(REFUSALS[server], GOOD)) as model:
        prompts = generate_prompts(PLAN, access(model), tmp_path)
        asked = [request.conversation.has_schema for request in model.requests]
        first, second = ({**request.body, "response_format": None} for request in model.requests)
    assert (prompts.outputs, prompts.attempts, asked) == (OUTPUTS, 1, [True, False])
    assert first == second


def test_a_refused_schema_is_not_sent_again(tmp_path: Path) -> None:
    with ScriptedModel(refusing_schemas(REFUSALS["OpenAI"], Reply(""), GOOD)) as model:
        prompts = generate_prompts(PLAN, access(model), tmp_path)
        asked = [request.conversation.has_schema for request in model.requests]
    assert (prompts.outputs, prompts.attempts, asked) == (OUTPUTS, 2, [True, False, False])


def test_a_server_that_refuses_every_request_is_asked_twice(tmp_path: Path) -> None:
    with ScriptedModel(always(Reply(failure=REFUSALS["OpenAI"]))) as model:
        with pytest.raises(PromptError) as caught:
            generate_prompts(PLAN, access(model), tmp_path)
        assert len(model.requests) == 2
    assert_is_one_clean_line(caught.value, "rejected the request (HTTP 400)", "OPENROUTER_MODEL")


# Answers that cannot be used


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        (Reply(GOOD.text, finish_reason="length"), "was cut off at the token limit"),
        (Reply("", finish_reason="content_filter"), "was refused by the model's provider"),
        (Reply(""), "was empty"),
        (Reply("I'm sorry, I can't help with that."), "was a refusal"),
        (Reply(GOOD.text[:-30]), "was cut off, or is not the JSON that was asked for"),
        (Reply('{"main_prompt": "Only this one, alas."}'), "is not the JSON that was asked for"),
        (
            Reply(json.dumps({**OUTPUTS, "main_prompt": "Do this:\n\n{plan_text}"})),
            "has a placeholder in main_prompt",
        ),
        (
            Reply(json.dumps({**OUTPUTS, "code_review_prompt": "[[ ## code_review_prompt ## ]]"})),
            "has a placeholder in code_review_prompt",
        ),
        (
            Reply(json.dumps({**OUTPUTS, "plan_alignment_prompt": " "})),
            "lacks a usable plan_alignment_prompt",
        ),
        (
            Reply(json.dumps({**OUTPUTS, "code_review_prompt": OUTPUTS["main_prompt"]})),
            "has the same text in main_prompt and code_review_prompt",
        ),
        (Reply(json.dumps({**OUTPUTS, "feedback_summary": "all"})), "is not the JSON that was asked for"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_unusable_answer_is_asked_for_again(bad: Reply, fault: str, tmp_path: Path) -> None:
    prompts, requests = ask(in_turn(bad, GOOD), tmp_path / "healed")
    assert (prompts.outputs, prompts.attempts, requests) == (OUTPUTS, 2, 2)

    error = failure(always(bad), tmp_path / "never")
    assert error.message.endswith(f"3 answers, and the last {fault}")
    assert "OPENROUTER_MODEL" in error.remedy
    assert error.__context__ is None  # a traceback would show the answer


def test_a_second_asking_is_no_repetition_of_the_first(tmp_path: Path) -> None:
    with ScriptedModel(in_turn(Reply(""), GOOD)) as model:
        generate_prompts(PLAN, access(model), tmp_path)
        assert [request.body["temperature"] for request in model.requests] == [0.0, 1.0]
        assert "rollout_id" not in model.requests[1].body


def test_a_bad_answer_in_the_cache_does_not_fail_the_next_run(tmp_path: Path) -> None:
    failure(always(Reply("")), tmp_path)

    healed, requests = ask(always(GOOD), tmp_path)
    replayed, none = ask(always(GOOD), tmp_path)

    assert (healed.outputs, requests) == (OUTPUTS, 1)
    assert (replayed.cache_hit, none) == (True, 0)


# Model errors


WEATHER = {
    "401": (HttpFailure(401), 1, "refused the API key (HTTP 401)", "OPENROUTER_API_KEY"),
    "402": (HttpFailure(402), 1, "has no credit left for this key (HTTP 402)", "add credit"),
    "403": (HttpFailure(403), 1, "refused the API key (HTTP 403)", "OPENROUTER_API_KEY"),
    "404": (HttpFailure(404), 1, "does not know the model or the address (HTTP 404)", "OPENROUTER_MODEL"),
    "400, for its length": (
        HttpFailure(
            400, '{"error": {"message": "max_tokens is too large", "type": "invalid_request_error"}}'
        ),
        1,
        "rejected the request (HTTP 400)",
        "OPENROUTER_MODEL",
    ),
    "400": (HttpFailure(400), 1, "rejected the request (HTTP 400)", "OPENROUTER_MODEL"),
    "429": (HttpFailure(429), 3, "limits the rate of requests (HTTP 429)", "wait a minute"),
    "429, an hour": (
        HttpFailure(429, headers={"Retry-After": "3600"}),
        1,
        "limits the rate of requests (HTTP 429)",
        "a wait of 60 minutes",
    ),
    "500": (HttpFailure(500), 3, "failed on its side (HTTP 500)", "again in a few minutes"),
    "503, an hour": (HttpFailure(503, headers={"Retry-After": "3600"}), 1, "HTTP 503", "60 minutes"),
    "a page": (
        HttpFailure(200, f"<html>Sign in, {KEY}</html>", "text/html"),
        1,
        "answered with something other than a model's reply",
        "OPENROUTER_BASE_URL",
    ),
    "a list": (HttpFailure(200, "[]"), 1, "something other than a model's reply", "OPENROUTER_BASE_URL"),
    "an error in a 200": (
        HttpFailure(200, '{"error": {"code": 502, "message": "scripted failure"}}'),
        3,
        "failed on its side",
        "again in a few minutes",
    ),
}


@pytest.mark.parametrize("kind", WEATHER)
def test_each_http_failure_ends_in_one_line_and_a_remedy(kind: str, tmp_path: Path) -> None:
    reply, requests, message, remedy = WEATHER[kind]
    leaky = dataclasses.replace(reply, body=reply.body.replace("scripted failure", f"bad key {KEY}"))
    with ScriptedModel(always(Reply(failure=leaky))) as model:
        with pytest.raises(PromptError) as caught:
            generate_prompts(PLAN, access(model), tmp_path)
        assert len(model.requests) == requests
    assert_is_one_clean_line(caught.value, message, remedy)


def assert_is_one_clean_line(error: PromptError, message: str, remedy: str) -> None:
    assert message in error.message
    assert "scripted/model" in error.message
    assert remedy in error.remedy
    assert KEY not in error.message + error.remedy
    assert "\n" not in error.message + error.remedy
    assert error.__cause__ is None
    assert error.__context__ is None


def test_a_failure_that_passes_is_not_shown(tmp_path: Path) -> None:
    busy = Reply(failure=HttpFailure(503, headers={"Retry-After": "0"}))
    prompts, requests = ask(in_turn(busy, busy, GOOD), tmp_path)
    assert (prompts.outputs, prompts.attempts, requests) == (OUTPUTS, 1, 3)


def test_a_wait_longer_than_the_patience_is_passed_on_to_the_person(tmp_path: Path) -> None:
    busy = Reply(failure=HttpFailure(429, headers={"Retry-After": "2"}))
    with ScriptedModel(always(busy)) as model:
        with pytest.raises(PromptError) as caught:
            generate_prompts(PLAN, replace(access(model), longest_pause=1.0), tmp_path)
        assert len(model.requests) == 1
    assert "a wait of 2 s" in caught.value.remedy


def test_a_redirect_leads_to_the_base_url(tmp_path: Path) -> None:
    error = failure(always(Reply(failure=HttpFailure(301, "{}"))), tmp_path)
    assert "OPENROUTER_BASE_URL is not a redirect" in error.remedy


def test_a_reset_in_the_middle_of_an_answer(tmp_path: Path) -> None:
    error = failure(always(Reply(GOOD.text, reset=True)), tmp_path)
    assert_is_one_clean_line(error, "could not be reached, or dropped the connection", "check the network")


def test_nobody_listens(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        model = ModelAccess(
            "scripted/model", f"http://127.0.0.1:{unused.getsockname()[1]}/v1", KEY, backoff=0.01
        )
        with pytest.raises(PromptError) as caught:
            generate_prompts(PLAN, model, tmp_path)
    assert_is_one_clean_line(caught.value, "could not be reached", "OPENROUTER_BASE_URL")


def test_silence_ends_with_the_deadline(tmp_path: Path) -> None:
    """Nothing else ends it: the model is silent for as long as it is asked."""
    error = failure(always(Reply(silent=True)), tmp_path, deadline=1.0)
    assert_is_one_clean_line(error, "did not answer in time (1 s)", "a longer [code] model_timeout")


def test_a_retry_that_could_not_end_in_time_is_not_sent(tmp_path: Path) -> None:
    """It fails after more than half of the deadline: a second request would take as long."""
    late = Reply(failure=HttpFailure(503, headers={"Retry-After": "0"}), delay=2.0)
    with ScriptedModel(always(late)) as model:
        with pytest.raises(PromptError) as caught:
            generate_prompts(PLAN, replace(access(model), deadline=3.9), tmp_path)
        assert len(model.requests) == 1
    assert_is_one_clean_line(caught.value, "failed on its side (HTTP 503)", "again in a few minutes")


def test_no_retry_is_sent_in_the_last_moments(tmp_path: Path) -> None:
    """Nobody writes prompts in what a wait of 37 s leaves of 40 s."""
    busy = Reply(failure=HttpFailure(503, headers={"Retry-After": "37"}))
    with ScriptedModel(always(busy)) as model:
        with pytest.raises(PromptError) as caught:
            generate_prompts(PLAN, replace(access(model), deadline=40.0, longest_pause=38.0), tmp_path)
        assert len(model.requests) == 1
    assert_is_one_clean_line(caught.value, "failed on its side (HTTP 503)", "a wait of 37 s")


def test_another_deadline_does_not_cost_the_answers_again(tmp_path: Path) -> None:
    ask(always(GOOD), tmp_path)
    nowhere = ModelAccess("scripted/model", "http://127.0.0.1:1/v1", KEY, deadline=7.0)
    assert generate_prompts(PLAN, nowhere, tmp_path).cache_hit


def test_bytes_that_trickle_in_do_not_outlast_the_deadline(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=trickle, args=(server,), daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        with pytest.raises(PromptError) as caught:
            generate_prompts(PLAN, ModelAccess("scripted/model", url, KEY, deadline=1.0), tmp_path)
    assert_is_one_clean_line(caught.value, "did not answer in time", "run the command again")


def trickle(server: socket.socket) -> None:
    """Answer with headers and then blanks without an end, as some gateways do while they wait."""
    connection, _ = server.accept()
    with connection:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        with suppress(OSError):
            while True:
                time.sleep(0.1)
                connection.sendall(b" ")


def test_the_deadlines_that_people_get_end_within_two_minutes() -> None:
    access_of_today = ModelAccess("m", "u", "k")
    assert access_of_today.deadline < 120
    assert access_of_today.timeout < access_of_today.deadline
    assert access_of_today.longest_pause < access_of_today.deadline
    assert "'k'" not in repr(access_of_today)


# The program's saved state


def test_a_saved_state_steers_what_is_asked(tmp_path: Path) -> None:
    program = CodePromptProgram()
    program.generate.signature = program.generate.signature.with_instructions("Answer like a captain.")
    program.generate.lm = dspy.LM("openrouter/evil/model", engine="lm15", api_base="http://127.0.0.1:1/v1")
    program.save(str(tmp_path / "captain.json"))

    with ScriptedModel(always(GOOD)) as model:
        prompts = generate_prompts(PLAN, access(model), tmp_path / "cache", tmp_path / "captain.json")
        assert "Answer like a captain." in model.requests[0].conversation.system
        assert model.requests[0].body["model"] == "scripted/model"
    assert "Answer like a captain." in json.dumps(prompts.program_state)


@pytest.mark.parametrize("content", [None, "", "{", "[]", "{}", '{"metadata": {"dependency_versions": {}}}'])
def test_a_state_that_cannot_be_loaded_is_named(content: str | None, tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    if content is not None:
        state.write_text(content)
    with pytest.raises(PromptError) as caught:
        generate_prompts(PLAN, ModelAccess("m/m", "http://127.0.0.1:1/v1", KEY), tmp_path / "cache", state)
    assert str(state) in caught.value.message
    assert caught.value.__context__ is None


@pytest.mark.parametrize("demos", [5, [5], [[]], [[1]], ["demo"]])
def test_demos_that_are_none_are_found_before_the_model_is_asked(demos: object, tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    CodePromptProgram().save(str(state))
    saved = json.loads(state.read_text())
    saved["generate"]["demos"] = demos
    state.write_text(json.dumps(saved))
    with pytest.raises(PromptError, match="not a saved state of this program") as caught:
        load_program(state)
    assert str(state) in caught.value.message


# A process of its own

SCRIPT = """
import sys
from pathlib import Path
from lw_coder.dspy.prompt_orchestrator import generate_prompts
from lw_coder.settings.model_access import ModelAccess
from lw_coder.plans.plan_file import PlanMetadata

plan = PlanMetadata("sample-plan", "a" * 40, "draft", (), "# Do it")
access = ModelAccess("anthropic/claude-sonnet-4.5", sys.argv[1], "k", deadline=36000)
try:
    show = lambda line: print(line, flush=True)
    prompts = generate_prompts(plan, access, Path(sys.argv[2]), on_progress=show)
except KeyboardInterrupt:
    sys.exit(130)
print(prompts.attempts, "litellm" in sys.modules)
"""


def start(model: ScriptedModel, folder: Path) -> subprocess.Popen[str]:
    home = folder / "home"
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "PYTHONPATH"}}
    source = str(Path(__file__).parents[3] / "src")
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, model.base_url, str(folder / "cache")],
        env={**kept, "PYTHONPATH": source, "HOME": str(home), "OPENROUTER_BASE_URL": "http://127.0.0.1:1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_litellm_is_never_loaded_and_the_home_is_left_alone(tmp_path: Path) -> None:
    with ScriptedModel(in_turn(Reply(GOOD.text, finish_reason="length"), GOOD)) as model:
        output, complaints = start(model, tmp_path).communicate(timeout=PATIENCE)
        assert len(model.requests) == 2
    assert output.splitlines()[-1] == "2 False"
    assert complaints == ""
    assert list((tmp_path / "home").iterdir()) == []


def test_ctrl_c_ends_the_waiting_at_once(tmp_path: Path) -> None:
    with ScriptedModel(always(Reply(silent=True))) as model:
        process = start(model, tmp_path)
        assert process.stdout is not None
        assert process.stdout.readline().startswith("asking")
        wait_until(lambda: model.requests, "the request")
        process.send_signal(signal.SIGINT)
        _, complaints = process.communicate(timeout=PATIENCE)
    assert (process.returncode, complaints) == (130, "")


def test_the_values_and_files_of_prompts_need_no_dspy() -> None:
    code = (
        "import sys, lw_coder.prompts.prompt_files; print(*({'dspy', 'pydantic', 'yaml'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
