"""A small registry that can lie, fail and ask for a login; docker's client can push to it."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from lw_coder.settings.registry_place import RegistryPlace

LOGIN = ("someone", "pass:word")
_BASIC = "Basic " + base64.b64encode(b"someone:pass:word").decode()


@dataclass
class Server:
    """What a registry has, and how it behaves.

    Attributes:
        blobs: by digest.
        manifests: by tag and by digest.
        wants: `Basic`, `Bearer` or nothing.
        cut: how much of each blob is not sent.
        elsewhere: where blobs are fetched from instead, if anywhere.
        failures: how many of the next writes fail in the registry itself, by `manifests` and `uploads`.
        ended: the uploads that have failed.
        uploads: what has arrived of blobs, by the upload's name.
        seen: method, path and authorization of each request.
    """

    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, bytes] = field(default_factory=dict)
    wants: str = ""
    cut: int = 0
    elsewhere: str = ""
    failures: dict[str, int] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    uploads: dict[str, bytes] = field(default_factory=dict)
    seen: list[tuple[str, str, str]] = field(default_factory=list)
    port: int = 0

    @property
    def place(self) -> RegistryPlace:
        return RegistryPlace(f"127.0.0.1:{self.port}", "team", is_plain=True)


class _Handler(BaseHTTPRequestHandler):
    """Answers one request, and closes the connection."""

    protocol_version = "HTTP/1.1"
    served: Server

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):  # any method
            return self.act
        raise AttributeError(name)

    def log_message(self, *_: Any) -> None:
        pass

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = self.served.cut if "/blobs/" in self.path else 0
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) - cut])
        self.close_connection = True

    def content(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def act(self) -> None:
        told, wants = self.headers.get("Authorization", ""), self.served.wants
        self.served.seen.append((self.command, self.path, told))
        content = self.content()
        if self.path.startswith("/token"):
            self.answer(200 if told == _BASIC else 401, b'{"token": "t0k"}')
        elif wants == "Basic" and told != _BASIC:
            self.answer(401, WWW_Authenticate='Basic realm="it"')
        elif wants == "Bearer" and told != "Bearer t0k":
            realm = f'Bearer realm="http://{self.served.place.host}/token",service="s",scope="x"'
            self.answer(401, WWW_Authenticate=realm)
        else:
            self.respond(content)

    def respond(self, content: bytes) -> None:
        *_, kind, name = self.path.partition("?")[0].split("/")
        if self.command in {"POST", "PUT"} and self.served.failures.get(kind):
            self.served.failures[kind] -= 1
            self.served.ended.add(name)
            self.answer(500)
        elif self.command == "PUT" and kind == "uploads" and name in self.served.ended:
            self.answer(404)
        elif self.command == "POST":
            self.upload(f"{len(self.served.seen)}")
        elif self.command == "PATCH":
            self.served.uploads[name] = content
            self.upload(name)
        elif self.command == "PUT":
            self.store(kind, name, self.served.uploads.pop(name, b"") + content)
        elif not name:
            self.answer(200)  # it is a registry
        elif self.command == "GET" and kind == "blobs" and self.served.elsewhere:
            self.answer(307, Location=f"{self.served.elsewhere}{self.path}")
        else:
            found = (self.served.manifests if kind == "manifests" else self.served.blobs).get(name)
            self.answer(
                404 if found is None else 200, found or b"", Docker_Content_Digest=_digest(found or b"")
            )

    def upload(self, name: str) -> None:
        last = max(len(self.served.uploads.get(name, b"")) - 1, 0)
        place = f"/v2/team/uploads/{name}?state=1"
        self.answer(202, Location=place, Docker_Upload_UUID=name, Range=f"0-{last}")

    def store(self, kind: str, name: str, content: bytes) -> None:
        digest = _digest(content)
        if kind == "manifests":
            self.served.manifests[name] = self.served.manifests[digest] = content
        else:
            self.served.blobs[digest] = content
        self.answer(201, Docker_Content_Digest=digest)


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@contextmanager
def served(server: Server) -> Iterator[Server]:
    """Let a registry listen on loopback, at a port of its own, during the block."""
    handler = type("Own", (_Handler,), {"served": server})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        server.port = listening.server_address[1]
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield server
        listening.shutdown()
