"""What a gateway must not be: it gives the key to whoever asks cleverly, and counts nothing. For controls."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.patience import PATIENCE
from tests.support.scripted_model import CHAT_PATH


@dataclass
class Listener:
    """A server that keeps all that it is sent.

    Attributes:
        origin: its address.
        heard: the requests, with their headers.
    """

    origin: str
    heard: list[str] = field(default_factory=list)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    listener: Listener
    provider: str
    key: str


class _Listens(BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        self.server.listener.heard.append(f"{self.requestline}\n{self.headers}")
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._send(200, b"{}")

    do_GET = do_POST  # noqa: N815 - http.server's name

    def _send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class _PassesOn(_Listens):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = urllib.request.Request(  # noqa: S310 - to servers of the test
            self._target(body),
            body,
            {"Authorization": f"Bearer {self.server.key}", "Content-Type": "application/json"},
        )
        headers = {"X-Upstream-Key": self.server.key} if self.headers.get("X-Debug") else {}
        try:
            with _OPENER.open(request, timeout=PATIENCE) as answer:
                self._send(answer.status, answer.read(), headers)
        except urllib.error.HTTPError as error:
            self._send(error.code, error.read(), headers)
        except OSError:
            self._send(502, b"", headers)

    def do_GET(self) -> None:
        self._send(200, f"OPENROUTER_API_KEY={self.server.key}".encode())

    def do_TRACE(self) -> None:
        self._send(200, f"{self.requestline}\nAuthorization: Bearer {self.server.key}".encode())

    def _target(self, body: bytes) -> str:
        """Ask whom the request names, in whichever way it does."""
        asked, url = _object(body), urlsplit(self.path)
        provider = urlsplit(self.server.provider).netloc
        named = [asked.get("api_base"), *parse_qs(url.query).get("url", [])]
        named += [f"http://{self.headers[name]}" for name in ("X-Forwarded-Host",) if self.headers.get(name)]
        own = f"{self.server.server_address[0]!s}:{self.server.server_address[1]}"
        host = url.netloc or self.headers.get("Host", own)
        named += [f"http://{host}"] if host not in {own, provider} else []
        origin = next((str(name) for name in named if name), f"http://{provider}")
        return f"{origin}{CHAT_PATH}"


class _SameForRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any) -> urllib.request.Request:
        request, url = args[0], args[-1]
        return urllib.request.Request(url, request.data, dict(request.headers))  # noqa: S310


_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _SameForRedirects())


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


@contextmanager
def listening(host: str) -> Iterator[Listener]:
    """Run a server that keeps what it is sent."""
    yield from _running(host, _Listens, "", "")


@contextmanager
def naive_gateway(host: str, provider: str, key: str) -> Iterator[Listener]:
    """Run a gateway without any protection before a provider, whose base URL is given."""
    yield from _running(host, _PassesOn, provider, key)


def _running(host: str, handler: type[BaseHTTPRequestHandler], provider: str, key: str) -> Iterator[Listener]:
    server = _Server((host, 0), handler)
    server.listener = Listener(f"http://{host}:{server.server_address[1]}")
    server.provider, server.key = provider, key
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.listener
    finally:
        server.shutdown()
        server.server_close()
