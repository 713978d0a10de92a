"""The agent's side: two paths, one token, and nothing else."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from aiohttp import (
    ClientConnectionResetError,
    ClientError,
    ClientResponse,
    ClientSession,
    TCPConnector,
    web,
)

from .budget import LIMIT_REACHED, Budget, Reserve, price_of
from .ledger import Entry, Ledger, now
from .orders import Order, RefusedError, read_order
from .provider import PausedError, Provider
from .redaction import Redactor
from .settings import Settings
from .usage import AnswerReader, Usage

_LARGEST_BODY = 8 << 20  # bytes
_BODY_SECONDS = 60.0  # for the whole body of a request
_AT_ONCE = 16  # requests; more wait, before their bodies are read
_LARGEST_ANSWER = 64 << 20  # bytes
_LARGEST_RECORD = 4 << 20  # bytes of one body that are kept
_PASSED_ON = ("anthropic-version", "anthropic-beta", "accept")
_OK = 200


@dataclass
class Call:
    """One request on its way: what is known of it so far."""

    order: Order
    entry: Entry
    reserve: Reserve
    answer: ClientResponse | None = None
    reader: AnswerReader = field(default_factory=lambda: AnswerReader(is_stream=False))
    begun: float = field(default_factory=time.monotonic)
    waits_since: float = 0.0
    waited: float = 0.0
    status: int = 0
    ended: str = "cut"
    kept: bytearray = field(default_factory=bytearray)


class Gateway:
    """Serves a run.

    Args:
        settings: the run's.
        ledger: its evidence.
        environment: has the key, and the other values that are never passed on.
        session: for the provider.
    """

    def __init__(
        self, settings: Settings, ledger: Ledger, environment: Mapping[str, str], session: ClientSession
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._budget = Budget(settings, ledger.spent)
        self._provider = Provider(session, settings, environment.get(settings.key_variable, "").strip())
        names = {settings.key_variable, *settings.secret_variables}
        self._secrets = [environment[name] for name in names if environment.get(name)]
        self._number = ledger.last_number
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        self._answers: set[ClientResponse] = set()
        self._settling: set[asyncio.Task[None]] = set()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer any request."""
        try:
            self._check(request)
            async with self._at_once:
                order = read_order(request.path, await _body(request), self._settings)
                return await self._carry_out(request, order)
        except RefusedError as refusal:
            self._note_refusal(refusal)
            return _error(refusal)

    async def end_at_limit(self) -> None:
        """Wait until a limit is reached, then end the answers that are under way."""
        await self._budget.over.wait()
        self._ledger.state.limit = self._budget.reached()
        self._ledger.save()
        for answer in list(self._answers):
            answer.content.set_exception(ClientError("a limit is reached"))

    async def settle_all(self) -> None:
        """Wait until each request that has ended is counted."""
        await asyncio.gather(*self._settling)

    def _check(self, request: web.Request) -> None:
        # The target as it came in: an absolute address or a path with dots is not one of the routes.
        if request.raw_path not in self._settings.routes:
            raise RefusedError(404, "lw_coder's gateway: there is nothing at this address")
        if request.method != "POST":
            raise RefusedError(405, "lw_coder's gateway: only POST is allowed")
        if not self._is_known(_token(request.headers)):
            raise RefusedError(401, "lw_coder's gateway: the token is not this run's")
        if request.headers.get("Content-Encoding", "identity") != "identity":
            raise RefusedError(415, "lw_coder's gateway: compressed requests are not accepted")

    def _is_known(self, token: str) -> bool:
        digest = hashlib.sha256(token.encode(errors="replace")).hexdigest()
        return hmac.compare_digest(digest, self._settings.token_sha256)

    def _note_refusal(self, refusal: RefusedError) -> None:
        state = self._ledger.state
        state.refused[refusal.status] += 1
        if isinstance(refusal, PausedError):
            state.paused = {"until": refusal.until.isoformat(timespec="seconds"), "why": refusal.why}
            self._ledger.save()

    async def _carry_out(self, request: web.Request, order: Order) -> web.StreamResponse:
        self._number += 1
        entry = Entry(self._number, now(), order.model, order.conversation)
        call = Call(order, entry, await self._budget.admit(entry.number, order))
        self._ledger.state.open[entry.number] = (entry, call.reserve)
        self._ledger.save()
        try:
            return await self._relay(request, call)
        except asyncio.CancelledError:  # the agent has gone, while it was waited for
            call.ended = "left"
            raise
        finally:
            # A task: the agent that goes away does not stop it.
            task = asyncio.create_task(self._end(call))
            self._settling.add(task)
            task.add_done_callback(self._settling.discard)

    async def _relay(self, request: web.Request, call: Call) -> web.StreamResponse:
        passed_on = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
        asking = asyncio.create_task(
            self._provider.ask(call.order, passed_on, lambda until: self._note_wait(call, until))
        )
        call.answer = answer = await self._unless_over(asking)
        self._answers.add(answer)
        return await self._pass_back(request, answer, call)

    async def _unless_over(self, asking: asyncio.Task[ClientResponse]) -> ClientResponse:
        over = asyncio.create_task(self._budget.over.wait())
        try:
            await asyncio.wait({asking, over}, return_when=asyncio.FIRST_COMPLETED)
            if asking.done():
                return asking.result()
            raise RefusedError(LIMIT_REACHED, self._budget.reached() or "")
        finally:
            over.cancel()
            asking.cancel()

    def _note_wait(self, call: Call, until: datetime | None) -> None:
        waits, number = self._ledger.state.waits, call.entry.number
        if until is not None:
            call.waits_since = time.monotonic()
            waits[number] = until.isoformat(timespec="seconds")
        elif waits.pop(number, None):
            call.waited += time.monotonic() - call.waits_since
        self._ledger.save()

    async def _pass_back(
        self, request: web.Request, answer: ClientResponse, call: Call
    ) -> web.StreamResponse:
        call.status = answer.status
        call.reader = AnswerReader(is_stream=answer.content_type == "text/event-stream")
        out = web.StreamResponse(status=answer.status)
        out.content_type = answer.content_type
        await out.prepare(request)
        try:
            async for piece in self._pieces(answer, call):
                await out.write(piece)
            call.ended = "whole"
        except ClientConnectionResetError:  # what writing raises: the agent has gone
            call.ended = "left"
            return out
        except (ClientError, TimeoutError, OSError):
            await self._break_off(request, out)
            return out
        await out.write_eof()
        return out

    async def _end(self, call: Call) -> None:
        try:
            if call.answer is not None:
                async with call.answer:
                    if call.ended == "left":
                        await self._read_rest(call.answer, call)
        finally:
            self._answers.discard(call.answer)
            await self._settle(call)

    async def _read_rest(self, answer: ClientResponse, call: Call) -> None:
        """Read on for a moment: an agent can go once it has what it wants, and the usage comes last."""
        self._ledger.state.open[call.entry.number] = (call.entry, self._used_until_now(call))
        self._ledger.save()  # the gateway can be killed meanwhile
        with suppress(ClientError, TimeoutError, OSError):
            async with asyncio.timeout(self._settings.rest_seconds):
                async for _ in self._pieces(answer, call):
                    pass

    async def _pieces(self, answer: ClientResponse, call: Call) -> AsyncIterator[bytes]:
        redactor = Redactor(self._secrets)
        async for piece in answer.content.iter_any():
            call.reader.feed(piece)
            if self._settings.record_requests and len(call.kept) < _LARGEST_RECORD:
                call.kept += piece
            if call.reader.size > _LARGEST_ANSWER:
                raise ClientError("the answer does not end")
            if cleaned := redactor.feed(piece):
                yield cleaned
        if rest := redactor.end():
            yield rest

    async def _break_off(self, request: web.Request, out: web.StreamResponse) -> None:
        """End an answer so that it does not look whole."""
        if self._budget.over.is_set() and out.content_type == "text/event-stream":
            refusal = RefusedError(LIMIT_REACHED, self._budget.reached() or "")
            await out.write(b"data: " + _error_text(refusal).encode() + b"\n\n")
        if request.transport is not None:
            request.transport.close()

    async def _settle(self, call: Call) -> None:
        entry = await self._finished(call)
        await self._budget.settle(entry.number, entry.tokens, entry.cost_usd)
        self._ledger.write(entry)
        if call.status == _OK:
            self._ledger.state.paused = None
        self._ledger.save()
        if self._settings.record_requests:
            texts = [Redactor(self._secrets).all(text).decode(errors="replace") for text in _bodies(call)]
            self._ledger.write_bodies(entry.number, texts[0], texts[1])

    async def _finished(self, call: Call) -> Entry:
        reported, entry = call.reader.usage(), _timed(call)
        price = self._settings.prices.get(call.order.model)
        lacks_cost = reported is None or price_of(reported, price) is None
        if lacks_cost and call.status == _OK:
            reported = await self._provider.usage_of(call.reader.answer_id) or reported
        if reported is None and call.status == _OK:
            most = self._used_until_now(call)
            return _with_usage(replace(entry, is_estimated=True), _most_read(call), most.cost_usd)
        usage = reported or Usage(cost_usd=0.0)
        return _with_usage(entry, usage, price_of(usage, price))

    def _used_until_now(self, call: Call) -> Reserve:
        """Return the most that an answer can have used which reported nothing."""
        usage = _most_read(call)
        cost = price_of(usage, self._settings.prices.get(call.order.model))
        return Reserve(usage.tokens, call.reserve.cost_usd if cost is None else cost)


def _most_read(call: Call) -> Usage:
    return Usage(call.order.input_estimate, min(call.order.max_tokens, call.reader.size))


def _timed(call: Call) -> Entry:
    return replace(
        call.entry,
        status=call.status,
        seconds=round(time.monotonic() - call.begun, 3),
        waited_seconds=round(call.waited, 3),
        finish_reason=call.reader.finish_reason,
        ended=call.ended,
    )


def _with_usage(entry: Entry, usage: Usage, cost: float | None) -> Entry:
    return replace(
        entry,
        input_tokens=usage.input,
        output_tokens=usage.output,
        cached_tokens=usage.cached,
        cost_usd=cost,
    )


def _bodies(call: Call) -> tuple[bytes, bytes]:
    return call.order.body[:_LARGEST_RECORD], bytes(call.kept)


def _token(headers: Mapping[str, str]) -> str:
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else headers.get("x-api-key", "")


async def _body(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            return await request.read()
    except TimeoutError:
        raise RefusedError(408, "lw_coder's gateway: the request did not arrive in time") from None
    except web.HTTPRequestEntityTooLarge:
        raise RefusedError(413, "lw_coder's gateway: the request is too large") from None


def _error(refusal: RefusedError) -> web.Response:
    return web.Response(status=refusal.status, text=_error_text(refusal), content_type="application/json")


def _error_text(refusal: RefusedError) -> str:
    # The form that both OpenAI's and Anthropic's clients read.
    detail = {"message": refusal.reason, "type": "lw_coder_gateway", "code": refusal.status}
    return json.dumps({"type": "error", "error": detail})


def make_app(settings: Settings, folder: Path, environment: Mapping[str, str]) -> web.Application:
    """Make the server.

    Args:
        settings: the run's.
        folder: for the evidence.
        environment: has the key.
    """

    async def run(app: web.Application) -> AsyncIterator[None]:
        connector = TCPConnector(limit=0, ttl_dns_cache=60)
        async with ClientSession(connector=connector, trust_env=True, auto_decompress=True) as session:
            gateway = Gateway(settings, Ledger(folder), environment, session)
            app[_GATEWAY] = gateway
            watch = asyncio.create_task(gateway.end_at_limit())
            yield
            watch.cancel()
            await gateway.settle_all()

    async def serve(request: web.Request) -> web.StreamResponse:
        return await app[_GATEWAY].serve(request)

    app = web.Application(client_max_size=_LARGEST_BODY)
    app.cleanup_ctx.append(run)
    app.router.add_route("*", "/{anything:.*}", serve)
    return app


_GATEWAY: web.AppKey[Gateway] = web.AppKey("gateway", Gateway)
