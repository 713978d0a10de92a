"""A name server that knows every name, and remembers who was asked for."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address

ANSWER = IPv4Address("192.0.2.7")  # of a block that nobody has

_HEADER = 12  # bytes
_ANSWERED = b"\x85\x80"  # a response, authoritative, no error
_ADDRESS = b"\x00\x01"


class NameServer(socketserver.ThreadingUDPServer):
    """Answers at port 53 of one address; RFC 1035 has the format."""

    allow_reuse_address = True

    def __init__(self, host: str) -> None:
        self.asked: list[str] = []
        super().__init__((host, 53), _Handler)


class _Handler(socketserver.BaseRequestHandler):
    server: NameServer

    def handle(self) -> None:
        query, socket = self.request
        name, rest = _name(query[_HEADER:])
        self.server.asked.append(name)
        question = query[_HEADER : len(query) - len(rest) + 4]
        is_address = rest[:2] == _ADDRESS
        answer = b"\xc0\x0c" + _ADDRESS + b"\x00\x01" + (0).to_bytes(4, "big") + b"\x00\x04" + ANSWER.packed
        counts = b"\x00\x01" + (b"\x00\x01" if is_address else b"\x00\x00") + b"\x00\x00\x00\x00"
        socket.sendto(query[:2] + _ANSWERED + counts + question + answer * is_address, self.client_address)


def _name(data: bytes) -> tuple[str, bytes]:
    """Split a question into its name and what follows that."""
    labels = []
    while data and data[0]:
        labels.append(data[1 : 1 + data[0]].decode(errors="replace"))
        data = data[1 + data[0] :]
    return ".".join(labels), data[1:]


@contextmanager
def name_server(host: str) -> Iterator[NameServer]:
    """Answer at this address for as long as the block lasts."""
    with NameServer(host) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
