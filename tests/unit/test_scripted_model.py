"""The scripted model and the demo's script, over real HTTP."""

from __future__ import annotations

import importlib
import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request as HttpRequest
from urllib.request import urlopen

import pydantic
import pytest

from tests.support import agent_script
from tests.support.patience import NEVER, PATIENCE, wait_until
from tests.support.scripted_model import (
    Conversation,
    HttpFailure,
    Json,
    Reply,
    ScriptedModel,
    Tool,
    ToolCall,
    ToolResult,
)

LOOK = ToolCall("Look", {"path": "/somewhere/with a \u00fcmlaut", "deep": {"down": [1, 2]}})
LONG_TEXT = "All is well, and has been for longer than one piece of a stream can hold. \u2713"


@dataclass(frozen=True)
class Wire:
    """A wire format as its client writes it."""

    path: str
    tool: Callable[[str, tuple[str, ...]], Json]
    said: Callable[[list[ToolCall]], Json]
    answered: Callable[[list[ToolResult]], list[Json]]
    read: Callable[[Json], Reply]
    read_stream: Callable[[str], Reply]


def _schema(parameters: tuple[str, ...]) -> Json:
    return {"type": "object", "properties": {name: {"type": "string"} for name in parameters}}


# OpenAI's chat completions


def _chat_tool(name: str, parameters: tuple[str, ...]) -> Json:
    return {"type": "function", "function": {"name": name, "parameters": _schema(parameters)}}


def _chat_call(call: ToolCall) -> Json:
    function = {"name": call.name, "arguments": json.dumps(call.arguments)}
    return {"id": call.call_id, "type": "function", "function": function}


def _chat_said(calls: list[ToolCall]) -> Json:
    return {"role": "assistant", "content": None, "tool_calls": [_chat_call(call) for call in calls]}


def _chat_answered(results: list[ToolResult]) -> list[Json]:
    return [{"role": "tool", "tool_call_id": r.call_id, "content": r.text} for r in results]


def _chat_read(body: Json) -> Reply:
    choice = body["choices"][0]
    calls = (
        ToolCall(c["function"]["name"], json.loads(c["function"]["arguments"]), c["id"])
        for c in choice["message"].get("tool_calls", [])
    )
    assert body["usage"]["prompt_tokens"] > 0
    return Reply(choice["message"]["content"] or "", tuple(calls), choice["finish_reason"])


def _chat_read_stream(text: str) -> Reply:
    *events, done = [line.removeprefix("data: ") for line in text.splitlines() if line]
    assert done == "[DONE]"
    *chunks, usage = [json.loads(event) for event in events]
    assert usage["choices"] == []
    assert usage["usage"]["total_tokens"] > 0
    choices = [chunk["choices"][0] for chunk in chunks]
    parts = [part for c in choices for part in c["delta"].get("tool_calls", [])]
    openings = [part for part in parts if "id" in part]
    arguments = [
        "".join(p["function"]["arguments"] for p in parts if p["index"] == o["index"]) for o in openings
    ]
    calls = (
        ToolCall(o["function"]["name"], json.loads(a), o["id"])
        for o, a in zip(openings, arguments, strict=True)
    )
    said = "".join(c["delta"].get("content") or "" for c in choices)
    return Reply(said, tuple(calls), choices[-1]["finish_reason"])


# Anthropic's messages


def _messages_tool(name: str, parameters: tuple[str, ...]) -> Json:
    return {"name": name, "input_schema": _schema(parameters)}


def _messages_said(calls: list[ToolCall]) -> Json:
    uses = [{"type": "tool_use", "id": c.call_id, "name": c.name, "input": c.arguments} for c in calls]
    return {"role": "assistant", "content": uses}


def _messages_answered(results: list[ToolResult]) -> list[Json]:
    blocks = [{"type": "tool_result", "tool_use_id": r.call_id, "content": r.text} for r in results]
    return [{"role": "user", "content": blocks}]


def _messages_read(body: Json) -> Reply:
    texts = [block["text"] for block in body["content"] if block["type"] == "text"]
    uses = [block for block in body["content"] if block["type"] == "tool_use"]
    calls = (ToolCall(use["name"], use["input"], use["id"]) for use in uses)
    return Reply("".join(texts), tuple(calls), body["stop_reason"])


def _messages_read_stream(text: str) -> Reply:
    events = [event.split("\ndata: ") for event in text.split("\n\n") if event]
    data = [json.loads(payload) for _, payload in events]
    assert [name for name, _ in events] == [f"event: {event['type']}" for event in data]
    assert (data[0]["type"], data[-1]["type"]) == ("message_start", "message_stop")
    assert data[-2]["usage"]["output_tokens"] > 0
    starts = [event for event in data if event["type"] == "content_block_start"]
    assert sum(event["type"] == "content_block_stop" for event in data) == len(starts)
    blocks = [_messages_block(start, data) for start in starts]
    return _messages_read({"content": blocks, "stop_reason": data[-2]["delta"]["stop_reason"]})


def _messages_block(start: Json, data: list[Json]) -> Json:
    deltas = [e["delta"] for e in data if e["type"] == "content_block_delta" and e["index"] == start["index"]]
    if start["content_block"]["type"] == "text":
        return {"type": "text", "text": "".join(delta["text"] for delta in deltas)}
    whole = "".join(delta["partial_json"] for delta in deltas)
    return {**start["content_block"], "input": json.loads(whole)}


CHAT = Wire("/chat/completions", _chat_tool, _chat_said, _chat_answered, _chat_read, _chat_read_stream)
MESSAGES = Wire(
    "/messages", _messages_tool, _messages_said, _messages_answered, _messages_read, _messages_read_stream
)
both_wires = pytest.mark.parametrize("wire", [CHAT, MESSAGES], ids=["chat", "messages"])
both_ways = pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])


@contextmanager
def _post(model: ScriptedModel, path: str, body: Json, timeout: float = PATIENCE) -> Iterator[HTTPResponse]:
    headers = {"Content-Type": "application/json", "Authorization": "Bearer sk-test"}
    request = HttpRequest(f"{model.base_url}{path}", json.dumps(body).encode(), headers)  # noqa: S310
    with urlopen(request, timeout=timeout) as response:  # noqa: S310
        yield response


def _ask(model: ScriptedModel, wire: Wire, *, stream: bool = False, **body: object) -> Reply:
    whole = {
        "model": "scripted",
        "messages": [{"role": "user", "content": "Hello"}],
        "stream": stream,
        **body,
    }
    with _post(model, wire.path, whole) as response:
        text = response.read().decode()
    return wire.read_stream(text) if stream else wire.read(json.loads(text))


def _always(reply: Reply) -> Callable[[Conversation], Reply]:
    return lambda _: reply


# The wire


@both_ways
@both_wires
def test_text_arrives(wire: Wire, *, stream: bool) -> None:
    with ScriptedModel(_always(Reply(LONG_TEXT))) as model:
        reply = _ask(model, wire, stream=stream)
    assert reply.text == LONG_TEXT
    assert reply.finish_reason == {CHAT: "stop", MESSAGES: "end_turn"}[wire]


@both_ways
@both_wires
def test_tool_calls_arrive_with_ids_of_their_own(wire: Wire, *, stream: bool) -> None:
    with ScriptedModel(_always(Reply("A look.", (LOOK, LOOK)))) as model:
        reply = _ask(model, wire, stream=stream)
    assert [(call.name, call.arguments) for call in reply.tool_calls] == [(LOOK.name, LOOK.arguments)] * 2
    assert len({call.call_id for call in reply.tool_calls}) == 2
    assert reply.text == "A look."
    assert reply.finish_reason == {CHAT: "tool_calls", MESSAGES: "tool_use"}[wire]


@both_ways
@both_wires
def test_an_answer_can_be_cut_off(wire: Wire, *, stream: bool) -> None:
    with ScriptedModel(_always(Reply("All is", finish_reason="length"))) as model:
        reply = _ask(model, wire, stream=stream)
    assert reply.finish_reason == {CHAT: "length", MESSAGES: "max_tokens"}[wire]


@both_wires
def test_a_script_sees_the_same_conversation_in_either_format(wire: Wire) -> None:
    call, result = ToolCall("Look", {"path": "/"}, "call_0_0"), ToolResult("call_0_0", "nothing there")
    user = {"role": "user", "content": [{"type": "text", "text": "Look around"}]}
    history = [user, wire.said([call]), *wire.answered([result])]
    system: Json = {"system": "Be brief"} if wire is MESSAGES else {}
    opening = [] if wire is MESSAGES else [{"role": "system", "content": "Be brief"}]
    with ScriptedModel(_always(Reply("Done"))) as model:
        tools = [wire.tool("Look", ("path",))]
        _ask(model, wire, stream=True, messages=[*opening, *history], tools=tools, **system)
    seen = model.requests[0].conversation
    assert (seen.system, seen.messages[0].text, seen.rounds) == ("Be brief", "Look around", 1)
    assert [(step.call, step.result) for step in seen.steps] == [(call, "nothing there")]
    assert seen.tools == (Tool("Look", frozenset({"path"})),)
    assert (seen.streaming, seen.kind) == (True, "agent")


def test_every_request_is_on_record_and_counted_by_kind() -> None:
    with ScriptedModel(_always(Reply("Yes"))) as model, ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(_ask, model, CHAT) for _ in range(20)]
        assert [future.result().text for future in asked] == ["Yes"] * 20
        _ask(model, CHAT, messages=[{"role": "system", "content": "[[ ## plan ## ]]"}])
    assert [model.count(kind) for kind in ("other", "dspy", "agent")] == [20, 1, 0]
    last = model.requests[-1]
    assert (last.path, last.authorization) == ("/v1/chat/completions", "Bearer sk-test")
    assert (last.body["model"], last.headers["Content-Type"]) == ("scripted", "application/json")


def test_only_the_system_tells_dspy_for_any_prompt_may_quote_its_markers() -> None:
    with ScriptedModel(_always(Reply("A title"))) as model:
        _ask(model, CHAT, messages=[{"role": "user", "content": "Explain [[ ## plan ## ]]"}])
    assert model.requests[0].kind == "other"


def test_models_are_listed() -> None:
    with ScriptedModel(_always(Reply())) as model, urlopen(f"{model.base_url}/models") as response:  # noqa: S310
        assert json.load(response)["data"][0]["object"] == "model"


# Weather


def _refusal(model: ScriptedModel, path: str = CHAT.path) -> HTTPError:
    with pytest.raises(HTTPError) as caught, _post(model, path, {"messages": []}):
        pass
    return caught.value


def test_an_unknown_path_is_answered_in_json() -> None:
    with ScriptedModel(_always(Reply())) as model, _refusal(model, "/responses") as refusal:
        assert refusal.status == 404
        assert "/v1/responses" in json.load(refusal)["error"]["message"]


@pytest.mark.parametrize(("key", "status"), [("sk-test", 200), ("sk-other", 401)])
def test_a_key_can_be_required(key: str, status: int) -> None:
    with ScriptedModel(_always(Reply("In")), require_key=key) as model:
        if status == 200:
            assert _ask(model, CHAT).text == "In"
        else:
            with _refusal(model) as refusal:
                assert refusal.status == status
        assert len(model.requests) == 1


def test_a_failure_brings_its_status_headers_and_body() -> None:
    failure = HttpFailure(429, "<html>slow down</html>", "text/html", {"Retry-After": "7"})
    with ScriptedModel(_always(Reply(failure=failure))) as model, _refusal(model) as refusal:
        assert (refusal.status, refusal.headers["Retry-After"]) == (429, "7")
        assert refusal.headers["Content-Type"] == "text/html"
        assert refusal.read() == b"<html>slow down</html>"


def test_a_script_can_fail_once_without_keeping_state() -> None:
    def once(conversation: Conversation) -> Reply:
        return Reply("Now") if conversation.attempt else Reply(failure=HttpFailure(503))

    with ScriptedModel(once) as model:
        with pytest.raises(HTTPError), _post(model, CHAT.path, {"messages": []}):
            pass
        with _post(model, CHAT.path, {"messages": []}) as response:
            assert CHAT.read(json.load(response)).text == "Now"


@both_ways
def test_a_reset_breaks_the_answer_off(*, stream: bool) -> None:
    with ScriptedModel(_always(Reply(LONG_TEXT, reset=True))) as model:
        body = {"messages": [], "stream": stream}
        with pytest.raises(ConnectionResetError), _post(model, CHAT.path, body) as response:
            response.read()


def test_silence_lasts_until_the_server_closes() -> None:
    body: Json = {"messages": []}
    with ThreadPoolExecutor(1) as pool:
        with ScriptedModel(_always(Reply(silent=True))) as model:
            with pytest.raises(TimeoutError), _post(model, CHAT.path, body, timeout=0.2):
                pass
            waiting = pool.submit(_ask, model, CHAT)
            wait_until(lambda: len(model.requests) == 2, "the second request")
        assert isinstance(waiting.exception(timeout=PATIENCE), ConnectionResetError)


def test_an_answer_can_take_its_time() -> None:
    with ScriptedModel(_always(Reply("At last", delay=0.1))) as model:
        assert _ask(model, CHAT).text == "At last"
    never = ScriptedModel(_always(Reply(delay=NEVER)))
    with never, pytest.raises(TimeoutError), _post(never, CHAT.path, {"messages": []}, timeout=0.2):
        pass


def test_nothing_listens_once_the_block_is_left() -> None:
    with ScriptedModel(_always(Reply())) as model:
        port = model.port
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
        pass


def test_it_runs_as_a_program() -> None:
    command = [sys.executable, "-m", "tests.support.scripted_model", "--script", "agent"]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        url = program.stdout.readline().strip()
        body = json.dumps({"messages": [{"role": "user", "content": "A title, please"}]}).encode()
        with urlopen(HttpRequest(f"{url}{CHAT.path}", body), timeout=PATIENCE) as response:  # noqa: S310
            assert CHAT.read(json.load(response)).text == agent_script.SIDE_ANSWER
        program.terminate()
    assert program.returncode == 0


# The coding agent

MAIN_TOOLS = {"Read": ("file_path",), "Edit": ("file_path",), "Execute": ("command", "summary"), "Task": ()}
SUB_TOOLS = {"Read": ("file_path",), "Execute": ("command", "summary", "riskLevel", "riskLevelReason")}
ENVIRONMENT = "<system-reminder>\n% pwd\n/workspace/here\n\n</system-reminder>"
RESULTS = {
    agent_script.TEST_COMMAND: "Ran 2 tests in 0.000s\n\nOK\n",
    agent_script.COMMIT_COMMAND: f"1234567 {agent_script.COMMIT_MESSAGE}\n",
    agent_script.INSPECT_COMMAND: f"commit 1234567\n\n    {agent_script.COMMIT_MESSAGE}\n",
}


def _tool_result(call: ToolCall) -> str:
    """Answer a call as droid does."""
    if call.name == "Task":
        return f"session_id: 1\nFINDING {call.arguments['subagent_type']}: a thing that only this run found."
    return RESULTS.get(call.arguments.get("command", ""), "ok")


def _session(
    model: ScriptedModel, wire: Wire, tools: dict[str, tuple[str, ...]], prompt: str
) -> tuple[list[list[ToolCall]], str]:
    """Be droid: carry out what the model asks for, until it asks for nothing."""
    messages: list[Json] = [{"role": "user", "content": prompt}]
    rounds: list[list[ToolCall]] = []
    offered = [wire.tool(*item) for item in tools.items()]
    while (reply := _ask(model, wire, stream=True, messages=messages, tools=offered)).tool_calls:
        calls = list(reply.tool_calls)
        rounds.append(calls)
        results = [ToolResult(call.call_id, _tool_result(call)) for call in calls]
        messages += [wire.said(calls), *wire.answered(results)]
    return rounds, reply.text


@both_wires
def test_the_main_agent_edits_tests_commits_and_asks_both_subagents(wire: Wire) -> None:
    with ScriptedModel(agent_script.scripted_demo) as model:
        rounds, _ = _session(model, wire, MAIN_TOOLS, f"{ENVIRONMENT}\nFollow the plan")
    read, edit, test, commit, first, second = [call for calls in rounds for call in calls]
    assert read.arguments == {"file_path": "/workspace/here/greeting.py"}
    assert (edit.name, edit.arguments["new_str"]) == ("Edit", agent_script.NEW_LINE)
    assert [test.arguments["command"], commit.arguments["command"]] == list(RESULTS)[:2]
    assert "riskLevel" not in test.arguments
    assert (first.arguments["subagent_type"], second.arguments["subagent_type"]) == agent_script.SUBAGENTS
    assert first.arguments["await"] is True


@both_wires
def test_the_summary_quotes_what_came_back_and_tells_the_outcome(wire: Wire) -> None:
    with ScriptedModel(agent_script.scripted_demo) as model:
        _, summary = _session(model, wire, MAIN_TOOLS, f"{ENVIRONMENT}\nFollow the plan")
    for role in agent_script.SUBAGENTS:
        assert f"## {role}\n\n> FINDING {role}: a thing that only this run found.\n\nAction: " in summary
    assert "greeting.py is committed; the tests pass." in summary


@pytest.mark.parametrize("role", agent_script.SUBAGENTS)
@both_wires
def test_a_subagent_looks_at_the_commit_and_reports(wire: Wire, role: str) -> None:
    prompt = f"# Task Tool Invocation\n\nSubagent type: {role}\nTask description: Inspect"
    with ScriptedModel(agent_script.scripted_demo) as model:
        rounds, report = _session(model, wire, SUB_TOOLS, prompt)
    [[call]] = rounds
    assert (call.arguments["command"], call.arguments["riskLevel"]) == (agent_script.INSPECT_COMMAND, "low")
    assert report.startswith(f"{role} saw the commit.\n\nFINDING {role}: ")


def test_sessions_side_by_side_go_the_same_way() -> None:
    with ScriptedModel(agent_script.scripted_demo) as model, ThreadPoolExecutor(4) as pool:
        sessions = [pool.submit(_session, model, CHAT, MAIN_TOOLS, ENVIRONMENT) for _ in range(4)]
        first, *others = [session.result() for session in sessions]
    assert others == [first] * 3


# The prompt writer


class Layout(pydantic.BaseModel):
    heading: str
    sections: list[str]
    style: str | None = None


@pytest.mark.parametrize("adapter", ["ChatAdapter", "JSONAdapter"])
def test_dspy_can_read_the_answer_whatever_its_fields(adapter: str) -> None:
    dspy = importlib.import_module("dspy")  # here, for it takes a second; by name, for it has no types
    fields = "plan -> main_prompt, anything, feedback_summary: Layout, tags: list[str]"
    writer = dspy.Predict(dspy.Signature(fields, "Write the prompts.", custom_types={"Layout": Layout}))
    with ScriptedModel(agent_script.scripted_demo) as model:
        options = {"engine": "lm15", "api_base": model.base_url, "api_key": "sk-test", "cache": False}
        with dspy.context(lm=dspy.LM("openrouter/any/model", **options), adapter=getattr(dspy, adapter)()):
            answer = writer(plan="Quote [[ ## anything ## ]] and `x`")
    assert answer.main_prompt == agent_script.PROMPT_ANSWERS["main_prompt"]
    assert answer.anything == "Scripted text for anything."
    assert answer.feedback_summary.sections == ["Scripted text for sections."]
    assert answer.tags == ["Scripted text for tags."]
    assert (model.count("dspy"), len(model.requests)) == (1, 1)


def test_answers_can_be_given_by_field() -> None:
    conversation = Conversation("any", "Your output fields are:\n1. `mood` (str): \nAll interactions", ())
    reply = agent_script.prompt_answer(conversation, {"mood": "fine"})
    assert reply.text == "[[ ## mood ## ]]\nfine\n\n[[ ## completed ## ]]"
