"""The model gateway: how much later an answer begins, how fast answers pass, and what a start takes.

The first two compare requests through the gateway with the same requests straight to the scripted
provider, which sends an answer piece by piece, as a model does.
"""

from __future__ import annotations

import http.client
import json
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.figures import Figure, in_turns
from benchmarks.workplace import Timed, Workplace, workplace
from tests.support.gateway import TOKEN, GatewayProcess, asks
from tests.support.scripted_model import CHAT_PATH, Reply, ScriptedModel

FIRST = "first piece of an answer through the gateway"
AT_ONCE = "8 answers at once through the gateway"
START = "warm code with the gateway, first instruction"
WRITTEN = "code with the gateway, prompts written, first instruction"

_WORDS = "word " * 200
_PACE = 0.005  # seconds between two pieces of an answer: 200 words a second
_STREAMS = 8
_THINKING = 3.0  # seconds after which the model answers; few models are as fast


def measure(times: int) -> Iterator[Figure]:
    """Measure requests first, then whole starts."""
    with _gateway() as (direct, through):
        ours, other = in_turns(times * 10, partial(_first_piece, through), partial(_first_piece, direct))
        later = [1000 * each for each in ours], [1000 * each for each in other]
        yield Figure(FIRST, "difference", *later, "asked directly", "ms")
        ours, other = in_turns(times, partial(_all_at_once, through), partial(_all_at_once, direct))
        yield Figure(AT_ONCE, "ratio", ours, other, "asked directly")
    yield from _starts(times)
    yield from _starts_with_prompts(times)


@contextmanager
def _gateway() -> Iterator[tuple[str, str]]:
    """Run a provider and a gateway; yield the addresses of both."""
    with (
        tempfile.TemporaryDirectory(prefix="lw_coder-bench-") as folder,
        ScriptedModel(lambda _: Reply(_WORDS, pace=_PACE)) as provider,
        GatewayProcess(Path(folder), provider.base_url) as gateway,
    ):
        yield provider.origin, f"http://127.0.0.1:{gateway.port}"


def _first_piece(origin: str) -> float:
    began = time.perf_counter()
    connection, answer = _ask(origin)
    answer.read(1)
    took = time.perf_counter() - began
    answer.read()
    connection.close()
    return took


def _all_at_once(origin: str) -> float:
    def read_all(_: int) -> int:
        connection, answer = _ask(origin)
        size = len(answer.read())
        connection.close()
        return size

    began = time.perf_counter()
    with ThreadPoolExecutor(_STREAMS) as pool:
        sizes = set(pool.map(read_all, range(_STREAMS)))
    if min(sizes) < len(_WORDS):
        raise RuntimeError(f"an answer is not whole: {sizes}")
    return time.perf_counter() - began


def _ask(origin: str) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    connection = http.client.HTTPConnection(urlsplit(origin).netloc, timeout=60)
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    connection.request("POST", CHAT_PATH, json.dumps(asks(stream=True)), headers)
    return connection, connection.getresponse()


def _starts(times: int) -> Iterator[Figure]:
    with workplace() as guarded, workplace() as plain:
        _use_gateway(guarded)
        for place in (guarded, plain):
            place.code()
        ours, other = in_turns(times, guarded.code, plain.code)
        yield _first_instructions(START, ours, other)


def _starts_with_prompts(times: int) -> Iterator[Figure]:
    """Measure starts of plans that are new to lw_coder, as most plans are: a model writes their prompts."""
    with workplace(_THINKING) as guarded, workplace(_THINKING) as plain:
        _use_gateway(guarded)
        for place in (guarded, plain):
            place.code()
        numbers = {place.root: count() for place in (guarded, plain)}

        def new_plan(place: Workplace) -> Timed:
            name = f"plan-{next(numbers[place.root])}"
            place.add_plan(name)
            return place.code(name)

        ours, other = in_turns(times, partial(new_plan, guarded), partial(new_plan, plain))
        yield _first_instructions(WRITTEN, ours, other)


def _use_gateway(place: Workplace) -> None:
    config = place.root / ".lw_coder/config.toml"
    config.write_text(f"{config.read_text(encoding='utf-8')}\ngateway = true\n", encoding="utf-8")


def _first_instructions(name: str, ours: list[Timed], other: list[Timed]) -> Figure:
    return Figure(name, "ratio", [each.first for each in ours], [each.first for each in other], "without it")
