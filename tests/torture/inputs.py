"""Bad input at volume: everything that is read is read, or refused with one line; nothing is written."""

from __future__ import annotations

import os
import random
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from hypothesis import strategies as st

from tests.support.compose_values import ALPHABET, differing
from tests.support.gateway import KEY, GatewayProcess, asks
from tests.support.patience import within_cpu_time
from tests.support.properties import PROPERTIES, Property, documents, quiet, repeated, words
from tests.support.scripted_model import CHAT_PATH, MESSAGES_PATH
from tests.torture.cases import Case, Extent
from tests.torture.typed_inputs import typed_cases

READ = 10_800  # inputs of the readers, all together
COMPOSED = 2_000  # values, each in eight places
ASKED = 400  # requests to a gateway
PARTS = 10  # cases that the values and the requests are divided into
MOST_CPU = 1_800  # seconds of processor time for a case, which takes about ten

ALLOWED = {200, 400, 401, 403, 404, 405, 413, 415}  # of a gateway that is well


@contextmanager
def opened(folder: Path, extent: Extent) -> Iterator[Sequence[Case]]:
    """Make the cases; a gateway stands before a provider while they run."""
    with _provider() as address, GatewayProcess(folder / "gateway", address) as gateway:
        yield [
            *(_reader(one, folder, extent) for one in PROPERTIES),
            *_composed(folder, extent),
            *_asked(gateway, extent),
            *typed_cases(folder, extent),
        ]


class _Answer(BaseHTTPRequestHandler):
    """Answers whatever it is asked, as a provider does; a scripted model expects requests in good order."""

    def do_POST(self) -> None:
        """Answer with one message."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(_SAID)))
        self.end_headers()
        self.wfile.write(_SAID)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


_SAID = (
    b'{"id": "one", "choices": [{"finish_reason": "stop", "message": {"content": "Hello."}}], "usage": {}}'
)


@contextmanager
def _provider() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()


# The readers, each in a process of its own.


def _reader(one: Property, folder: Path, extent: Extent) -> Case:
    count = extent.of(READ // len(PROPERTIES))
    own = folder / one.name.replace(" ", "-")
    own.mkdir()

    def run() -> Sequence[str]:
        return within_cpu_time(MOST_CPU, lambda: _broken(lambda: _hold(one, own, count, extent.seed)))

    return Case("inputs of readers", one.name, run, count)


def _hold(one: Property, folder: Path, count: int, number: int) -> None:
    """Have so many inputs read; hypothesis stops early where it has tried all there are."""
    done = 0
    while done < count:
        done += one.hold(folder, quiet(count - done, repeats=False), number)
        number += 1


def _broken(work: Callable[[], object]) -> Sequence[str]:
    """Do the work without a word on the screen; return what broke, and by which input."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    try:
        work()
    except BaseException as error:  # noqa: BLE001 - whatever comes out of a reader is told
        notes = "\n".join(getattr(error, "__notes__", ()))
        where = "".join(traceback.format_tb(error.__traceback__)[-2:])
        return [f"{type(error).__name__}: {str(error)[:500]}\n{notes[:1000]}\n{where}"]
    return []


# Compose.


def _composed(folder: Path, extent: Extent) -> Iterator[Case]:
    chance = extent.random()
    for part in range(PARTS):
        values = [_value(chance) for _ in range(extent.of(COMPOSED) // PARTS or 1)]
        own = folder / f"compose-{part}"
        own.mkdir()
        yield Case("values in Compose files", f"part {part}", _compared(own, values), len(values))


def _compared(folder: Path, values: Sequence[str]) -> Callable[[], Sequence[str]]:
    def run() -> Sequence[str]:
        found = differing(folder, values)
        return [f"{place}: {value!a} became {other!a}" for (place, value), other in found.items()]

    return run


def _value(chance: random.Random) -> str:
    """Make a text of signs that mean something, and of any others but NUL and halves of pairs."""
    length = chance.randint(1, 14)
    return "".join(chance.choice(ALPHABET) if chance.random() < 0.8 else _any(chance) for _ in range(length))


def _any(chance: random.Random) -> str:
    number = chance.randint(1, 0x10FFFF)
    return "x" if 0xD800 <= number < 0xE000 else chr(number)


# The gateway.


def _as_line(word: str) -> bytes:
    return b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n" + word.encode() + b"\r\n\r\n"


REQUEST = {**asks(), "stream": True, "max_tokens": 50, "system": "be brief", "tools": [], "temperature": 0.5}
BODIES = st.one_of(
    documents(REQUEST).map(lambda text: text.encode("utf-8", "surrogatepass")),
    documents(REQUEST).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.binary(max_size=60),
)
HEADERS = st.dictionaries(
    st.sampled_from(["Content-Type", "Content-Encoding", "Accept", "X-Api-Key", "Anthropic-Version"]),
    st.sampled_from(["", "text/html", "gzip", "application/json; charset=x", "*/*", "a" * 3000]),
    max_size=2,
)
ASKS = {
    "body": BODIES,
    "path": st.sampled_from([CHAT_PATH, MESSAGES_PATH, "/", "/v1/models", "//", "/%00", "/../state.json"]),
    "method": st.sampled_from(["POST", "POST", "POST", "GET", "PUT", "DELETE", "OPTIONS"]),
    "headers": HEADERS,
    "raw": st.none() | st.none() | st.none() | st.binary(max_size=200) | words.map(_as_line),
}


def _asked(gateway: GatewayProcess, extent: Extent) -> Iterator[Case]:
    count = extent.of(ASKED)
    yield Case("requests to a gateway", "of all kinds", lambda: _ask(gateway, count, extent.seed), count)


def _ask(gateway: GatewayProcess, count: int, number: int) -> Sequence[str]:
    wrong: list[str] = []

    def once(raw: bytes | None, headers: dict[str, str], body: bytes, path: str, method: str) -> None:
        if raw is not None:
            status, body = _sent(gateway, raw)
        else:
            answer = gateway.ask(body, path, method, **headers)
            status, body = answer.status, answer.body
        if status not in ALLOWED or KEY.encode() in body:
            wrong.append(f"{status} to {method} {path} {(raw or body)[:300]!a} {headers}: {body[:200]!a}")

    repeated(ASKS, once, count, number)
    if gateway.ask(asks()).status != 200:
        wrong.append("it does not answer any more")
    return wrong


def _sent(gateway: GatewayProcess, raw: bytes) -> tuple[int, bytes]:
    """Send bytes; return the status of the answer, which is 400 where the connection was just closed."""
    answer = gateway.send(raw)
    words = answer.split(b" ", 2)
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else 400, answer
