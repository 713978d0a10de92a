"""The gateway between a client and a scripted provider: what passes, what is counted, what is refused."""

from __future__ import annotations

import json
import socket
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from http.client import HTTPException
from pathlib import Path

import pytest

from tests.support.gateway import KEY, MODEL, TOKEN, Answer, ForkedGateway, GatewayProcess, asks
from tests.support.patience import NEVER, PATIENCE, wait_until
from tests.support.scripted_model import (
    CHAT_PATH,
    MESSAGES_PATH,
    Conversation,
    HttpFailure,
    Json,
    Reply,
    ScriptedModel,
)

POST = b"POST /v1/chat/completions HTTP/1.1\r\n"
USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "cost": 0.004}
MUCH = {"prompt_tokens": 4000, "completion_tokens": 1000}


def _hello(_: Conversation) -> Reply:
    return Reply("Hello from the model.", usage=USAGE)


@pytest.fixture
def provider() -> Iterator[ScriptedModel]:
    with ScriptedModel(_hello, require_key=KEY) as model:
        yield model


def test_an_answer_passes_and_is_counted(tmp_path: Path, provider: ScriptedModel) -> None:
    with GatewayProcess(tmp_path, provider.base_url) as gateway:
        answer = gateway.ask(asks())
        [entry] = gateway.wait_for(1)
    assert answer.status == 200
    assert json.loads(answer.body)["choices"][0]["message"]["content"] == "Hello from the model."
    assert (entry["input_tokens"], entry["output_tokens"], entry["cost_usd"]) == (100, 20, 0.004)
    assert (entry["model"], entry["status"], entry["finish_reason"], entry["ended"]) == (
        MODEL,
        200,
        "stop",
        "whole",
    )


@pytest.mark.parametrize("path", [CHAT_PATH, MESSAGES_PATH])
def test_a_stream_passes_as_it_comes_and_is_counted(
    tmp_path: Path, provider: ScriptedModel, path: str
) -> None:
    with ForkedGateway(tmp_path, provider.base_url) as gateway:
        answer = gateway.ask(asks(stream=True, max_tokens=50), path)
        [entry] = gateway.wait_for(1)
    assert b"Hello from the model." in answer.body
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert entry["output_tokens"] == (20 if path == CHAT_PATH else 5)
    assert entry["input_tokens"] > 0
    assert entry["finish_reason"] in {"stop", "end_turn"}
    assert provider.requests[0].headers["Authorization"] == f"Bearer {KEY}"


def test_a_client_gets_the_beginning_before_the_provider_has_finished(tmp_path: Path) -> None:
    got = threading.Event()
    with (
        ScriptedModel(lambda _: Reply("Hello " * 40, stalls=600)) as provider,
        ForkedGateway(tmp_path, provider.base_url) as gateway,
    ):
        client = threading.Thread(target=_read_first_bytes, args=(gateway, got), daemon=True)
        client.start()
        wait_until(got.is_set, "the beginning of the answer")


def _read_first_bytes(gateway: GatewayProcess, got: threading.Event) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{gateway.port}{CHAT_PATH}",
        json.dumps(asks(stream=True)).encode(),
        {"Authorization": f"Bearer {TOKEN}"},
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - the gateway, on loopback
        assert b"Hello" in answer.read(1000)
        got.set()


REFUSED: list[tuple[Json | bytes, dict[str, str], int]] = [
    (asks(), {"Authorization": "Bearer another run's token"}, 401),
    (asks(), {"Authorization": ""}, 401),
    (asks(), {"Authorization": f"Basic {TOKEN}"}, 401),
    (asks(), {"Content-Encoding": "gzip"}, 415),
    (asks(model="dear/model"), {}, 403),
    (asks(model=[MODEL]), {}, 403),
    ({"model": MODEL}, {}, 400),
    (b"{", {}, 400),
    (b"[" * 100_000, {}, 400),
    (b"[]", {}, 400),
    (b" " * (9 << 20), {}, 413),
]


def test_what_is_refused_does_not_reach_the_provider(tmp_path: Path, provider: ScriptedModel) -> None:
    with ForkedGateway(tmp_path, provider.base_url) as gateway:
        for body, changes, status in REFUSED:
            answer = gateway.ask(body, **changes)
            assert answer.status == status, (body[:80] if isinstance(body, bytes) else body, answer.body)
            assert answer.message.startswith("lw_coder's gateway: ")
        assert not provider.requests
        assert gateway.ask(asks()).status == 200, "it serves the next request"


ELSEWHERE = [
    *("/", "/v1/models", "/v1/completions", "/v1/generation", "/v1/chat/completions?a=b"),
    *("/v1/chat/completions/", "/v1/chat/../chat/completions", "//v1/chat/completions"),
    *("/v1/chat%2Fcompletions", "http://example.com/v1/chat/completions"),
]


def test_there_is_nothing_at_another_address_or_with_another_method(
    tmp_path: Path, provider: ScriptedModel
) -> None:
    with ForkedGateway(tmp_path, provider.base_url) as gateway:
        assert {path: gateway.ask(asks(), path).status for path in ELSEWHERE} == dict.fromkeys(ELSEWHERE, 404)
        for method in ("GET", "PUT", "DELETE", "OPTIONS", "HEAD"):
            assert gateway.ask(asks(), method=method).status == 405, method
    assert not provider.requests


def test_fields_that_would_cost_more_are_not_passed_on(tmp_path: Path, provider: ScriptedModel) -> None:
    with ForkedGateway(tmp_path, provider.base_url, max_output_tokens=64) as gateway:
        gateway.ask(asks(models=["dear/model"], plugins=[{"id": "web"}], max_tokens=100_000, n=50))
    body = provider.requests[0].body
    assert set(body) == {"model", "messages", "max_tokens"}
    assert body["max_tokens"] == 64


def test_the_key_is_removed_from_what_the_provider_says(tmp_path: Path) -> None:
    said = f"your key {KEY} is wrong, and so is {KEY}"
    failure = HttpFailure(401, json.dumps({"error": {"message": said}}))

    def answers(conversation: Conversation) -> Reply:
        return Reply(said) if "echo" in conversation.text else Reply(failure=failure)

    with ScriptedModel(answers) as provider, ForkedGateway(tmp_path, provider.base_url) as gateway:
        refused = gateway.ask(asks())
        echoed = gateway.ask(asks(messages=[{"role": "user", "content": "echo"}]))
        gateway.wait_for(2)
    assert refused.status == 401
    for answer in (refused, echoed):
        assert KEY.encode() not in answer.body
        assert b"your key [redacted] is wrong, and so is [redacted]" in answer.body
    for file in tmp_path.iterdir():
        assert KEY not in file.read_text()


def test_a_redirect_is_not_followed(tmp_path: Path, provider: ScriptedModel) -> None:
    away = HttpFailure(307, headers={"Location": provider.base_url + "/chat/completions"})
    with (
        ScriptedModel(lambda _: Reply(failure=away)) as redirecting,
        ForkedGateway(tmp_path, redirecting.base_url) as gateway,
    ):
        assert gateway.ask(asks()).status == 502
    assert not provider.requests


@pytest.mark.parametrize(
    ("limits", "served"),
    [
        ({"requests": 1}, 1),
        ({"requests": 3}, 3),
        ({"tokens": 1000}, 9),
        ({"tokens": 120}, 1),
        ({"cost_usd": 0.01}, 3),
    ],
)
def test_at_a_limit_no_request_is_passed_on(
    tmp_path: Path, provider: ScriptedModel, limits: dict[str, float], served: int
) -> None:
    [(name, limit)] = limits.items()
    with ForkedGateway(tmp_path, provider.base_url, limits=limits) as gateway:
        answers = [gateway.ask(asks()) for _ in range(served + 2)]
        assert [answer.status for answer in answers] == [200] * served + [402] * 2
        assert answers[-1].message == f"lw_coder: limit reached: limits.{name} = {limit}"
        assert gateway.state["limit"] == answers[-1].message
    assert len(provider.requests) == len(gateway.requests) == served


def test_parallel_requests_do_not_exceed_a_limit_together(tmp_path: Path, provider: ScriptedModel) -> None:
    with ForkedGateway(tmp_path, provider.base_url, limits={"cost_usd": 0.01}) as gateway:
        answers = _at_once(gateway, 12)
    spent = sum(entry["cost_usd"] for entry in gateway.requests)
    assert sorted(answer.status for answer in answers) == [200] * 3 + [402] * 9
    assert 0.01 <= spent < 0.01 + USAGE["cost"]


def _at_once(gateway: GatewayProcess, count: int) -> list[Answer]:
    answers: list[Answer] = []
    clients = [threading.Thread(target=lambda: answers.append(gateway.ask(asks()))) for _ in range(count)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    return answers


def test_a_limit_ends_the_answers_that_are_under_way(tmp_path: Path) -> None:
    def answers(conversation: Conversation) -> Reply:
        is_slow = "endless" in conversation.text
        return Reply("endless " * 50, stalls=600) if is_slow else Reply("Hello.", usage=MUCH)

    slow = asks(stream=True, messages=[{"role": "user", "content": "endless"}])
    got: list[Answer] = []
    limits = {"tokens": 10_000}
    with (
        ScriptedModel(answers) as provider,
        ForkedGateway(tmp_path, provider.base_url, limits=limits, max_output_tokens=100) as gateway,
    ):
        client = threading.Thread(target=lambda: got.append(gateway.ask(slow)))
        client.start()
        wait_until(lambda: len(provider.requests) == 1, "the slow request")
        assert [gateway.ask(asks()).status for _ in range(3)] == [200, 200, 402]
        client.join()
        [cut] = [entry for entry in gateway.wait_for(3) if entry["ended"] == "cut"]
    assert b"lw_coder: limit reached: limits.tokens = 10000" in got[0].body
    assert cut["is_estimated"]


def test_a_provider_that_reports_no_cost_cannot_be_held_to_a_cost(tmp_path: Path) -> None:
    with (
        ScriptedModel(lambda _: Reply("Hello.")) as provider,
        ForkedGateway(tmp_path, provider.base_url, limits={"cost_usd": 1.0}) as gateway,
    ):
        assert gateway.ask(asks()).status == 200
        refused = gateway.ask(asks())
    assert refused.status == 402
    assert "limits.cost_usd cannot be kept" in refused.message
    assert "prices" in refused.message


def test_prices_make_the_cost_where_none_is_reported(tmp_path: Path) -> None:
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "prompt_tokens_details": {"cached_tokens": 400}}
    prices = {MODEL: {"input": 2.0, "output": 10.0, "cached": 0.5}}
    with (
        ScriptedModel(lambda _: Reply("Hello.", usage=usage)) as provider,
        ForkedGateway(tmp_path, provider.base_url, prices=prices) as gateway,
    ):
        gateway.ask(asks())
        [entry] = gateway.wait_for(1)
    assert entry["cost_usd"] == pytest.approx((600 * 2.0 + 400 * 0.5 + 100 * 10.0) / 1e6)
    assert entry["cached_tokens"] == 400


def test_what_a_provider_does_not_report_is_asked_for_afterwards(tmp_path: Path) -> None:
    with ScriptedModel(lambda _: Reply("Hello.", usage={})) as provider:
        provider.tell_afterwards(
            {"native_tokens_prompt": 7, "native_tokens_completion": 3, "total_cost": 0.25}
        )
        generation = provider.base_url + "/generation"
        with ForkedGateway(tmp_path, provider.base_url, generation_url=generation) as gateway:
            gateway.ask(asks(stream=True))
            [entry] = gateway.wait_for(1)
    assert (entry["input_tokens"], entry["output_tokens"], entry["cost_usd"]) == (7, 3, 0.25)
    assert not entry["is_estimated"]


@pytest.mark.parametrize(
    "usage", [{}, {"prompt_tokens": -5, "completion_tokens": "many"}, {"prompt_tokens": 10**30}]
)
def test_a_usage_that_cannot_be_is_estimated(tmp_path: Path, usage: dict[str, object]) -> None:
    with (
        ScriptedModel(lambda _: Reply("Hello.", usage=usage)) as provider,
        ForkedGateway(tmp_path, provider.base_url) as gateway,
    ):
        gateway.ask(asks())
        [entry] = gateway.wait_for(1)
    assert entry["is_estimated"]
    assert 0 < entry["output_tokens"] <= 8192


def test_a_busy_provider_is_waited_for(tmp_path: Path) -> None:
    def answers(conversation: Conversation) -> Reply:
        status, _, wish = conversation.messages[0].text.partition(" ")
        headers = {"Retry-After": wish} if wish else {}
        busy = Reply(failure=HttpFailure(int(status), headers=headers))
        return busy if conversation.attempt < 2 else _hello(conversation)

    kinds = [f"{status} {wish}" for status in (429, 503, 529) for wish in ("", "0", "nonsense")]
    with (
        ScriptedModel(answers) as provider,
        ForkedGateway(tmp_path, provider.base_url, first_pause=0.01) as gateway,
    ):
        for kind in kinds:
            assert gateway.ask(asks(messages=[{"role": "user", "content": kind}])).status == 200, kind
        gateway.wait_for(len(kinds))
        assert gateway.state["waiting_until"] is None
    assert len(provider.requests) == 3 * len(kinds)


@pytest.mark.parametrize("wish", ["3600", "1e300", "inf", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_long_wait_is_told_and_then_given_up(tmp_path: Path, wish: str) -> None:
    def answers(conversation: Conversation) -> Reply:
        busy = Reply(failure=HttpFailure(429, headers={"Retry-After": wish}))
        return busy if "busy" in conversation.text else _hello(conversation)

    with ScriptedModel(answers) as provider, ForkedGateway(tmp_path, provider.base_url) as gateway:
        answer = gateway.ask(asks(messages=[{"role": "user", "content": "busy"}]))
        wait_until(lambda: gateway.state["paused"], "the pause in the state")
        paused = gateway.state["paused"]
        assert gateway.ask(asks()).status == 200
        wait_until(lambda: not gateway.state["paused"], "the end of the pause")
    assert answer.status == 402
    assert answer.message.startswith("lw_coder: paused: the provider answers 429; ask it again at ")
    assert paused["why"] == "the provider answers 429"
    until = datetime.fromisoformat(paused["until"]) - datetime.now(UTC)
    assert timedelta(minutes=50) < until < timedelta(days=367)
    assert len(provider.requests) == 2


def test_a_wait_is_told_while_it_lasts(tmp_path: Path) -> None:
    def answers(conversation: Conversation) -> Reply:
        wish = "200" if "long" in conversation.text else "0.5"
        busy = Reply(failure=HttpFailure(429, headers={"Retry-After": wish}))
        is_busy = wish == "200" or conversation.attempt == 0
        return busy if is_busy else _hello(conversation)

    with ScriptedModel(answers) as provider, ForkedGateway(tmp_path, provider.base_url) as gateway:
        long = asks(messages=[{"role": "user", "content": "long"}])
        threading.Thread(target=_ask_in_vain, args=(gateway, long), daemon=True).start()
        wait_until(lambda: gateway.state["waiting_until"], "the wait in the state")
        told = gateway.state["waiting_until"]
        assert gateway.ask(asks()).status == 200
        assert gateway.state["waiting_until"] == told, "the other request still waits"


def test_a_provider_that_says_nothing_is_not_waited_for_in_vain(tmp_path: Path) -> None:
    with (
        ScriptedModel(lambda _: Reply(silent=True)) as provider,
        ForkedGateway(tmp_path, provider.base_url, silence_seconds=0.2) as gateway,
    ):
        answer = gateway.ask(asks())
        assert not gateway.state["paused"]
    assert answer.status == 504
    assert "does not answer" in answer.message


def test_a_provider_that_is_away_is_told(tmp_path: Path) -> None:
    with ScriptedModel(_hello) as provider:
        gone = provider.base_url
    with ForkedGateway(tmp_path, gone, first_pause=0.01, hold_seconds=0.05) as gateway:
        answer = gateway.ask(asks())
        gateway.wait_for(1)
        assert gateway.state["paused"]["why"] == "the provider cannot be reached"
    assert answer.status == 402
    assert "cannot be reached" in answer.message


def test_an_answer_that_breaks_off_does_not_look_whole(tmp_path: Path) -> None:
    with (
        ScriptedModel(lambda _: Reply("Hello " * 100, reset=True)) as provider,
        ForkedGateway(tmp_path, provider.base_url) as gateway,
    ):
        answer = gateway.ask(asks(stream=True))
        [entry] = gateway.wait_for(1)
    assert b"[DONE]" not in answer.body
    assert entry["ended"] == "cut"


def test_what_an_agent_no_longer_reads_is_counted(tmp_path: Path) -> None:
    has_gone = threading.Event()
    with (
        ScriptedModel(lambda _: Reply("Hello " * 40, usage=USAGE, resumes=has_gone)) as provider,
        ForkedGateway(tmp_path, provider.base_url, rest_seconds=PATIENCE) as gateway,
    ):
        _read_first_bytes(gateway, threading.Event())
        has_gone.set()
        [entry] = gateway.wait_for(1)
    assert (entry["input_tokens"], entry["output_tokens"], entry["cost_usd"]) == (100, 20, 0.004)
    assert (entry["ended"], entry["is_estimated"]) == ("left", False)


def test_an_answer_that_goes_on_without_its_agent_is_ended(tmp_path: Path) -> None:
    with (
        ScriptedModel(lambda _: Reply("Hello " * 40, usage=USAGE, stalls=600)) as provider,
        ForkedGateway(tmp_path, provider.base_url, rest_seconds=0.1, silence_seconds=NEVER) as gateway,
    ):
        _read_first_bytes(gateway, threading.Event())
        [entry] = gateway.wait_for(1)
    assert (entry["ended"], entry["is_estimated"]) == ("left", True)


def test_a_killed_gateway_has_told_what_an_agent_had_read_at_most(tmp_path: Path) -> None:
    with (
        ScriptedModel(lambda _: Reply("Hello " * 40, usage=USAGE, stalls=600)) as provider,
        ForkedGateway(tmp_path, provider.base_url, rest_seconds=PATIENCE) as gateway,
    ):
        _read_first_bytes(gateway, threading.Event())
        wait_until(lambda: gateway.state["open"][0]["tokens"] < 8192, "what has been used until now")
        gateway.process.kill()


def test_requests_of_a_minute_are_bounded(tmp_path: Path, provider: ScriptedModel) -> None:
    with ForkedGateway(tmp_path, provider.base_url, limits={"requests_per_minute": 2}, minute=0.5) as gateway:
        answers = _at_once(gateway, 5)
    assert [answer.status for answer in answers] == [200] * 5


def test_the_count_survives_the_gateway(tmp_path: Path) -> None:
    def answers(conversation: Conversation) -> Reply:
        return Reply(silent=True) if "never" in conversation.text else _hello(conversation)

    limits = {"tokens": 100_000}
    with ScriptedModel(answers) as provider:
        with GatewayProcess(tmp_path, provider.base_url, limits=limits) as gateway:
            gateway.ask(asks())
            gateway.wait_for(1)
            never = asks(messages=[{"role": "user", "content": "never"}])
            threading.Thread(target=_ask_in_vain, args=(gateway, never), daemon=True).start()
            wait_until(lambda: len(gateway.state["open"]) == 1, "the request in the state")
            gateway.process.kill()
        with GatewayProcess(tmp_path, provider.base_url, limits=limits) as gateway:
            gateway.ask(asks())
            entries = gateway.wait_for(3)
    assert [entry["number"] for entry in entries] == [1, 2, 3]
    assert [entry["ended"] for entry in entries] == ["whole", "killed", "whole"]
    assert entries[1]["is_estimated"]


def _ask_in_vain(gateway: GatewayProcess, body: Json) -> None:
    with suppress(OSError, HTTPException):
        gateway.ask(body)


def test_recorded_bodies_have_no_secret(tmp_path: Path) -> None:
    with (
        ScriptedModel(lambda _: Reply(f"it is {KEY}")) as provider,
        ForkedGateway(tmp_path, provider.base_url, record_requests=True) as gateway,
    ):
        gateway.ask(asks(messages=[{"role": "user", "content": f"is it {KEY}?"}]))
        wait_until((tmp_path / "bodies.jsonl").exists, "the bodies")
        wait_until(lambda: (tmp_path / "bodies.jsonl").read_text().endswith("\n"), "the bodies")
    [kept] = [json.loads(line) for line in (tmp_path / "bodies.jsonl").read_text().splitlines()]
    assert "is it [redacted]?" in kept["request"]
    assert "it is [redacted]" in kept["answer"]


def test_conversations_are_told_apart(tmp_path: Path, provider: ScriptedModel) -> None:
    main = [
        {"role": "system", "content": "You are droid."},
        {"role": "user", "content": "Carry out the plan."},
    ]
    sub = [{"role": "system", "content": "You review."}, {"role": "user", "content": "Review it."}]
    with ForkedGateway(tmp_path, provider.base_url) as gateway:
        for messages in (main, sub, [*main, {"role": "assistant", "content": "Done."}]):
            gateway.ask(asks(messages=messages))
        first, second, third = (entry["conversation"] for entry in gateway.wait_for(3))
    assert first == third != second


HOSTILE = [
    b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX-Large: " + b"x" * 100_000 + b"\r\n\r\n",
    POST + b"Host: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    POST + b"Host: x\r\nContent-Length: -1\r\n\r\n",
    b"\x00\x01\x02\r\n\r\n",
    b"POST http://example.com" + POST[5:] + b"Host: example.com\r\nContent-Length: 2\r\n\r\n{}",
]


def test_hostile_bytes_reach_nobody(tmp_path: Path, provider: ScriptedModel) -> None:
    with ForkedGateway(tmp_path, provider.base_url) as gateway:
        for data in HOSTILE:
            answer = gateway.send(data)
            assert b" 200 " not in answer.split(b"\r\n")[0], data[:80]
            assert KEY.encode() not in answer
        assert not provider.requests
        assert gateway.ask(asks()).status == 200


def test_many_idle_connections_do_not_stop_it(tmp_path: Path, provider: ScriptedModel) -> None:
    with ForkedGateway(tmp_path, provider.base_url) as gateway, ExitStack() as stack:
        for _ in range(400):
            idle = stack.enter_context(socket.create_connection(("127.0.0.1", gateway.port)))
            idle.sendall(POST + b"Host: ")
        assert gateway.ask(asks()).status == 200


def test_a_request_that_is_no_http_leaves_nothing_in_the_log(
    tmp_path: Path, provider: ScriptedModel, capfd: pytest.CaptureFixture[str]
) -> None:
    with GatewayProcess(tmp_path, provider.base_url) as gateway:
        gateway.send(POST + b"a\xff b: 1\r\n\r\n")
        gateway.ask(asks(), **{"Content-Encoding": "gzip"})
        assert gateway.ask(asks()).status == 200
    assert capfd.readouterr() == ("", "")
