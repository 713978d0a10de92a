"""The gateway as a process of its own, before a scripted provider, for tests without an engine."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.forking import ForkedProcess, start_module
from tests.support.patience import PATIENCE, wait_until
from tests.support.scripted_model import CHAT_PATH, MESSAGES_PATH, Json

PROGRAM = Path(__file__).parents[2] / "docker/droid"
KEY = "sk-or-the-key-of-the-provider"
TOKEN = "the-token-of-this-run"
MODEL = "scripted/model"


@dataclass(frozen=True)
class Answer:
    """What a client got."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def message(self) -> str:
        """An error's text."""
        return str(json.loads(self.body)["error"]["message"])


def asks(**more: Any) -> Json:
    """Make a small request."""
    return {"model": MODEL, "messages": [{"role": "user", "content": "Say hello."}], **more}


class GatewayProcess:
    """A gateway, running while its `with` block does.

    Args:
        folder: for its settings and its evidence.
        provider: the provider's base URL.
        settings: those that differ from the usual ones.
    """

    def __init__(self, folder: Path, provider: str, **settings: Any) -> None:
        self.folder = folder
        self.port = _free_port()
        origin = provider.removesuffix("/v1")
        values = {
            "token_sha256": hashlib.sha256(TOKEN.encode()).hexdigest(),
            "routes": {path: origin + path for path in (CHAT_PATH, MESSAGES_PATH)},
            "models": [MODEL],
            **settings,
        }
        folder.mkdir(exist_ok=True)
        (folder / "gateway.json").write_text(json.dumps(values))

    def __enter__(self) -> Self:
        env = {
            **os.environ,
            "PYTHONPATH": str(PROGRAM),
            "PYTHONDONTWRITEBYTECODE": "1",
            "OPENROUTER_API_KEY": KEY,
            "NO_PROXY": "*",
        }
        self.process = self._start([str(self.folder / "gateway.json"), str(self.folder), str(self.port)], env)
        wait_until(self._listens, "the gateway")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE)

    def ask(self, body: Json | bytes, path: str = CHAT_PATH, method: str = "POST", **headers: str) -> Answer:
        """Send a request, by default with the run's token."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        known = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        connection.request(method, path, sent, {**known, **headers})
        answer = connection.getresponse()
        try:
            return Answer(answer.status, answer.read(), dict(answer.getheaders()))
        except http.client.IncompleteRead as cut:
            return Answer(answer.status, cut.partial)
        finally:
            connection.close()

    def send(self, data: bytes) -> bytes:
        """Send bytes as they are, and return all that comes back."""
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(1 << 16), b""))

    @property
    def requests(self) -> list[Json]:
        """The evidence: an entry for each request that has ended."""
        file = self.folder / "requests.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def wait_for(self, count: int) -> list[Json]:
        """Wait until so many requests have ended."""
        wait_until(lambda: len(self.requests) >= count, f"{count} requests in the evidence")
        return self.requests

    @property
    def state(self) -> Json:
        """What the gateway tells of its present state."""
        return dict(json.loads((self.folder / "state.json").read_text()))

    def _start(self, words: list[str], env: dict[str, str]) -> subprocess.Popen[bytes] | ForkedProcess:
        return subprocess.Popen([sys.executable, "-m", "gateway", *words], env=env)

    def _listens(self) -> bool:
        assert self.process.poll() is None, "the gateway has ended"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class ForkedGateway(GatewayProcess):
    """A gateway that has no interpreter to start, nor anything to import; that is the only difference."""

    def _start(self, words: list[str], env: dict[str, str]) -> ForkedProcess:
        return start_module(PROGRAM, "gateway", words, env, imports="gateway.server")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
