"""A language model that follows a script, over real HTTP, in both wire formats that the program meets.

DSPy and droid's generic provider speak OpenAI's chat completions; droid's anthropic provider speaks
Anthropic's messages. Only the standard library is used, so that a bare container can run this file:

    python -m tests.support.scripted_model --host 0.0.0.0 --port 8080 --script agent
"""

from __future__ import annotations

import argparse
import json
import os
import pkgutil
import signal
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import urlsplit

Json = dict[str, Any]
Kind = Literal["dspy", "agent", "other"]

CHAT_PATH = "/v1/chat/completions"
MESSAGES_PATH = "/v1/messages"
MODELS_PATH = "/v1/models"
GENERATION_PATH = "/v1/generation"
DSPY_MARKER = "[[ ## "
SCRIPTS = {"agent": "tests.support.agent_script:scripted_demo"}


# What a script sees and says


@dataclass(frozen=True)
class Tool:
    """A tool that the client offers, with the parameters that its schema has."""

    name: str
    parameters: frozenset[str] = frozenset()


@dataclass(frozen=True)
class ToolCall:
    """A call of one of the client's tools."""

    name: str
    arguments: Json
    call_id: str = ""


@dataclass(frozen=True)
class ToolResult:
    """What the client's tool gave back."""

    call_id: str
    text: str


@dataclass(frozen=True)
class Message:
    """A message of either wire format, flattened."""

    role: str
    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_results: tuple[ToolResult, ...] = ()


@dataclass(frozen=True)
class Step:
    """A tool call that has its result."""

    call: ToolCall
    result: str


@dataclass(frozen=True)
class Conversation:
    """What a request says, whichever format it came in."""

    model: str
    system: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    streaming: bool = False
    has_schema: bool = False  # whether the answer has to match a JSON schema
    attempt: int = 0  # how often this very request came before: lets a script fail once and stay stateless

    @property
    def kind(self) -> Kind:
        """Only the system's words tell DSPy: a prompt that droid wants a title for may quote its markers."""
        if self.tools:
            return "agent"
        return "dspy" if DSPY_MARKER in self.system else "other"

    @property
    def tool_names(self) -> tuple[str, ...]:
        return tuple(tool.name for tool in self.tools)

    @property
    def text(self) -> str:
        """The system's and the user's words, without what tools gave back."""
        return "\n".join([self.system, *(message.text for message in self.messages)])

    @property
    def rounds(self) -> int:
        """How many replies with tool calls the model has given: where in its script it stands."""
        return sum(bool(message.tool_calls) for message in self.messages)

    @property
    def steps(self) -> tuple[Step, ...]:
        """The tool calls that were answered, in order."""
        results = {
            result.call_id: result.text for message in self.messages for result in message.tool_results
        }
        calls = [call for message in self.messages for call in message.tool_calls]
        return tuple(Step(call, results[call.call_id]) for call in calls if call.call_id in results)


@dataclass(frozen=True)
class HttpFailure:
    """An answer that is no model's: an overloaded server, or a proxy's page."""

    status: int
    body: str = '{"error": {"message": "scripted failure", "type": "scripted"}}'
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """What the model says, or what goes wrong instead."""

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str = ""  # "length" for an answer that was cut off
    delay: float = 0.0  # seconds before the first byte
    failure: HttpFailure | None = None
    reset: bool = False  # half of the answer, then a TCP reset
    silent: bool = False  # accepted, and never answered
    usage: Json | None = None  # what is reported instead of an estimate; nothing, if it is empty
    stalls: float = 0.0  # seconds in the middle of the answer
    resumes: threading.Event | None = None  # what the middle of the answer waits for
    pace: float = 0.0  # seconds between two of its pieces


Script = Callable[[Conversation], Reply]


@dataclass(frozen=True)
class Request:
    """A request as it came in."""

    path: str
    body: Json
    authorization: str
    headers: Mapping[str, str]

    @property
    def conversation(self) -> Conversation:
        return read_conversation(self.path, self.body)

    @property
    def kind(self) -> Kind:
        return self.conversation.kind


# Reading either format


def read_conversation(path: str, body: Json, attempt: int = 0) -> Conversation:
    """Flatten a request's body."""
    messages = [_read_message(raw) for raw in body.get("messages", [])]
    said_by_system = [message.text for message in messages if message.role in {"system", "developer"}]
    return Conversation(
        model=str(body.get("model", "")),
        system="\n".join([*_texts(body.get("system")), *said_by_system]),
        messages=tuple(message for message in messages if message.role not in {"system", "developer"}),
        tools=tuple(_read_tool(tool, path) for tool in body.get("tools") or []),
        streaming=bool(body.get("stream")),
        has_schema=(body.get("response_format") or {}).get("type") == "json_schema",
        attempt=attempt,
    )


def _read_tool(raw: Json, path: str) -> Tool:
    described = raw if path == MESSAGES_PATH else raw["function"]
    schema = described.get("input_schema") or described.get("parameters") or {}
    return Tool(described["name"], frozenset(schema.get("properties", {})))


def _read_message(raw: Json) -> Message:
    content = raw.get("content")
    text = "\n".join(_texts(content))
    if raw["role"] == "tool":
        return Message("tool", tool_results=(ToolResult(raw["tool_call_id"], text),))
    calls = (*_chat_calls(raw), *_messages_calls(_blocks(content, "tool_use")))
    results = _blocks(content, "tool_result")
    return Message(
        role=raw["role"],
        text=text,
        tool_calls=calls,
        tool_results=tuple(
            ToolResult(r["tool_use_id"], "\n".join(_texts(r.get("content")))) for r in results
        ),
    )


def _chat_calls(raw: Json) -> Iterator[ToolCall]:
    for call in raw.get("tool_calls") or []:
        function = call["function"]
        yield ToolCall(function["name"], json.loads(function["arguments"] or "{}"), call["id"])


def _messages_calls(blocks: Iterable[Json]) -> Iterator[ToolCall]:
    for block in blocks:
        yield ToolCall(block["name"], block["input"], block["id"])


def _blocks(content: object, kind: str) -> list[Json]:
    return [block for block in content if block.get("type") == kind] if isinstance(content, list) else []


def _texts(content: object) -> list[str]:
    if isinstance(content, str):
        return [content]
    return [block["text"] for block in _blocks(content, "text")]


# Writing either format. A call's id is made of its place in the conversation, so replies repeat exactly.


def _with_ids(conversation: Conversation, reply: Reply) -> list[ToolCall]:
    place = conversation.rounds
    return [ToolCall(c.name, c.arguments, f"call_{place}_{n}") for n, c in enumerate(reply.tool_calls)]


def _tokens(text: str) -> int:
    return max(1, len(text) // 4)


def _chat_finish(reply: Reply) -> str:
    return reply.finish_reason or ("tool_calls" if reply.tool_calls else "stop")


def _chat_usage(conversation: Conversation, reply: Reply) -> Json:
    asked, said = _tokens(conversation.text), _tokens(reply.text)
    known = {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}
    return known if reply.usage is None else reply.usage


def _chat_tool_call(call: ToolCall) -> Json:
    function = {"name": call.name, "arguments": json.dumps(call.arguments)}
    return {"id": call.call_id, "type": "function", "function": function}


def _chat_envelope(conversation: Conversation, kind: str) -> Json:
    return {"id": "chatcmpl-scripted", "object": kind, "created": 0, "model": conversation.model}


def chat_body(conversation: Conversation, reply: Reply) -> Json:
    """Give an OpenAI chat completion."""
    message: Json = {"role": "assistant", "content": reply.text or None}
    if reply.tool_calls:
        message["tool_calls"] = [_chat_tool_call(call) for call in _with_ids(conversation, reply)]
    return {
        **_chat_envelope(conversation, "chat.completion"),
        "choices": [{"index": 0, "message": message, "finish_reason": _chat_finish(reply)}],
        "usage": _chat_usage(conversation, reply),
    }


def chat_events(conversation: Conversation, reply: Reply) -> Iterator[str]:
    """Give the same as a stream: deltas, the reason, the usage, [DONE]."""
    envelope = _chat_envelope(conversation, "chat.completion.chunk")
    for delta in _chat_deltas(conversation, reply):
        yield _event({**envelope, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    yield _event({**envelope, "choices": [{"index": 0, "delta": {}, "finish_reason": _chat_finish(reply)}]})
    if usage := _chat_usage(conversation, reply):
        yield _event({**envelope, "choices": [], "usage": usage})
    yield "data: [DONE]\n\n"


def _chat_deltas(conversation: Conversation, reply: Reply) -> Iterator[Json]:
    yield {"role": "assistant", "content": ""}
    yield from ({"content": part} for part in _pieces(reply.text))
    for index, call in enumerate(_with_ids(conversation, reply)):
        opening = {"name": call.name, "arguments": ""}
        yield {"tool_calls": [{"index": index, "id": call.call_id, "type": "function", "function": opening}]}
        for part in _pieces(json.dumps(call.arguments)):
            yield {"tool_calls": [{"index": index, "function": {"arguments": part}}]}


def _messages_stop(reply: Reply) -> str:
    if reply.finish_reason:
        return {"length": "max_tokens"}.get(reply.finish_reason, reply.finish_reason)
    return "tool_use" if reply.tool_calls else "end_turn"


def _messages_envelope(conversation: Conversation) -> Json:
    usage = {"input_tokens": _tokens(conversation.text), "output_tokens": 1}
    envelope = {"id": "msg_scripted", "type": "message", "role": "assistant", "model": conversation.model}
    return {**envelope, "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}


def _messages_content(conversation: Conversation, reply: Reply) -> list[Json]:
    text = [{"type": "text", "text": reply.text}] if reply.text else []
    calls = _with_ids(conversation, reply)
    return [
        *text,
        *({"type": "tool_use", "id": c.call_id, "name": c.name, "input": c.arguments} for c in calls),
    ]


def messages_body(conversation: Conversation, reply: Reply) -> Json:
    """Give an Anthropic message."""
    body = _messages_envelope(conversation)
    body["usage"]["output_tokens"] = _tokens(reply.text)
    return {**body, "content": _messages_content(conversation, reply), "stop_reason": _messages_stop(reply)}


def messages_events(conversation: Conversation, reply: Reply) -> Iterator[str]:
    """Give the same as a stream of named events."""
    yield _named("message_start", message=_messages_envelope(conversation))
    for index, block in enumerate(_messages_content(conversation, reply)):
        yield from _block_events(index, block)
    delta = {"stop_reason": _messages_stop(reply), "stop_sequence": None}
    yield _named("message_delta", delta=delta, usage={"output_tokens": _tokens(reply.text)})
    yield _named("message_stop")


def _block_events(index: int, block: Json) -> Iterator[str]:
    is_text = block["type"] == "text"
    opening = {**block, "text": ""} if is_text else {**block, "input": {}}
    yield _named("content_block_start", index=index, content_block=opening)
    for part in _pieces(block["text"] if is_text else json.dumps(block["input"])):
        delta = {"type": "text_delta", "text": part} if is_text else _json_delta(part)
        yield _named("content_block_delta", index=index, delta=delta)
    yield _named("content_block_stop", index=index)


def _json_delta(part: str) -> Json:
    return {"type": "input_json_delta", "partial_json": part}


def _pieces(text: str, size: int = 40) -> Iterator[str]:
    return (text[start : start + size] for start in range(0, len(text), size))


def _event(data: Json) -> str:
    return f"data: {json.dumps(data)}\n\n"


def _named(name: str, **data: object) -> str:
    return f"event: {name}\n{_event({'type': name, **data})}"


# The server


class _Server(ThreadingHTTPServer):
    """Keeps the script and the record; its handlers live on threads of their own."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], script: Script, require_key: str | None) -> None:
        super().__init__(address, _Handler)
        self.script = script
        self.require_key = require_key
        self.generation: Json = {}  # what OpenRouter would tell of an answer afterwards
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._requests: list[Request] = []

    def record(self, request: Request) -> int:
        """Keep a request; say how often the same one came before."""
        with self._lock:
            attempt = sum((r.path, r.body) == (request.path, request.body) for r in self._requests)
            self._requests.append(request)
        return attempt

    def recorded(self) -> list[Request]:
        with self._lock:
            return list(self._requests)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing when a client went away: agents cancel requests as they please."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """One request per connection, so that none is served after the server has closed."""

    server: _Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing: the record tells it."""

    def do_GET(self) -> None:
        if self._path() == MODELS_PATH:
            self._send_json({"object": "list", "data": [{"id": "scripted", "object": "model"}]})
        elif self._path() == GENERATION_PATH and self.server.generation:
            self._send_json({"data": self.server.generation})
        else:
            self._send_json(_error(f"no such path: {self._path()}"), HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self._path() not in {CHAT_PATH, MESSAGES_PATH}:
            self._send_json(_error(f"no such path: {self._path()}"), HTTPStatus.NOT_FOUND)
            return
        try:
            body = json.loads(raw)
        except ValueError:
            self._send_json(_error("the body is not JSON"), HTTPStatus.BAD_REQUEST)
            return
        self._answer(body)

    def _answer(self, body: Json) -> None:
        path = self._path()
        key = self.headers.get("Authorization") or self.headers.get("x-api-key") or ""
        attempt = self.server.record(Request(path, body, key, dict(self.headers.items())))
        if self.server.require_key not in {None, key.removeprefix("Bearer ")}:
            self._send_json(_error("wrong key"), HTTPStatus.UNAUTHORIZED)
            return
        conversation = read_conversation(path, body, attempt)
        self._play(conversation, self.server.script(conversation))

    def _play(self, conversation: Conversation, reply: Reply) -> None:
        self.server.closing.wait(None if reply.silent else reply.delay)
        if reply.silent:
            self._reset()
        elif reply.failure:
            self._send_failure(reply.failure)
        else:
            self._send_reply(conversation, reply)

    def _send_reply(self, conversation: Conversation, reply: Reply) -> None:
        is_chat = self._path() == CHAT_PATH
        if conversation.streaming:
            kind, events = "text/event-stream", chat_events if is_chat else messages_events
            parts = list(events(conversation, reply))
        else:
            kind, body = "application/json", chat_body if is_chat else messages_body
            parts = list(_pieces(json.dumps(body(conversation, reply))))
        self._open(HTTPStatus.OK, kind)
        if reply.reset:
            self._write(parts[: len(parts) // 2])
            self._reset()
        else:
            half = len(parts) // 2
            self._write(parts[:half], reply.pace)
            self.server.closing.wait(reply.stalls)
            if reply.resumes:
                reply.resumes.wait(600)  # seconds
            self._write([*parts[half:], ""], reply.pace)

    def _send_json(self, body: Json, status: int = HTTPStatus.OK) -> None:
        self._open(status, "application/json")
        self._write([json.dumps(body), ""])

    def _send_failure(self, failure: HttpFailure) -> None:
        self._open(failure.status, failure.content_type, failure.headers)
        self._write([failure.body, ""] if failure.body else [""])

    def _open(self, status: int, content_type: str, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        fixed = {"Content-Type": content_type, "Transfer-Encoding": "chunked", "Connection": "close"}
        for name, value in {**fixed, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()

    def _write(self, parts: Iterable[str], pace: float = 0.0) -> None:
        """Write HTTP chunks; an empty one ends the answer."""
        for part in parts:
            if pace:
                self.server.closing.wait(pace)
            data = part.encode()
            self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

    def _reset(self) -> None:
        """Close with a TCP reset (no lingering): a plain close would read as a proper end."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())

    def _path(self) -> str:
        return urlsplit(self.path).path


def _error(message: str) -> Json:
    return {"type": "error", "error": {"type": "scripted", "message": message}}


class ScriptedModel:
    """The server, running while its `with` block does."""

    def __init__(
        self, script: Script, host: str = "127.0.0.1", port: int = 0, *, require_key: str | None = None
    ) -> None:
        self._server = _Server((host, port), script, require_key)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Answer nothing more, as a model that has vanished; a second time it has no effect."""
        self._server.closing.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def origin(self) -> str:
        """Give what the anthropic provider wants: it appends /v1/messages itself."""
        return f"http://{self._server.server_address[0]!s}:{self.port}"

    @property
    def base_url(self) -> str:
        return f"{self.origin}/v1"

    @property
    def requests(self) -> list[Request]:
        """Give a copy of the record, safe to look at while the server runs."""
        return self._server.recorded()

    @property
    def agent(self) -> Conversation:
        """The agent's conversation, with all of its steps."""
        asked = [request.conversation for request in self.requests if request.kind == "agent"]
        return max(asked, key=lambda conversation: len(conversation.steps))

    def tell_afterwards(self, generation: Json) -> None:
        """Set what an answer used, for whoever asks after it."""
        self._server.generation = generation

    def count(self, kind: Kind) -> int:
        return sum(request.kind == kind for request in self.requests)


# The program


def main() -> None:
    """Serve until a signal; process 1 of a container has to ask for its signals."""
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    parser = argparse.ArgumentParser(description="Serve a scripted language model.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--script", default="agent", help="a name, or module:callable")
    options = parser.parse_args()
    script: Script = pkgutil.resolve_name(SCRIPTS.get(options.script, options.script))
    with ScriptedModel(script, options.host, options.port) as model:
        sys.stdout.write(f"{model.base_url}\n")
        sys.stdout.flush()
        stopped.wait()


if __name__ == "__main__":
    # Scripts import this module by its name: run that one, so that there is one set of classes.
    pkgutil.resolve_name("tests.support.scripted_model:main")()
