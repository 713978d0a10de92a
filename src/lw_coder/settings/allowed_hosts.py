"""`allow_hosts`: the hosts that a session may reach, as a person writes them."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from msgspec import Struct

HTTP, HTTPS = 80, 443

_LAST_PORT = 65_535
_DEFAULT_PORTS = (HTTP, HTTPS)
_LABEL = "[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?"
_ENTRY = re.compile(rf"(?P<host>(\*\.)?{_LABEL}(\.{_LABEL})*)(:(?P<port>[1-9][0-9]{{0,4}}))?", re.ASCII)


class AllowedHost(Struct, frozen=True):
    """A host and the ports of it that may be reached; `*.` at its front stands for every name below it."""

    host: str
    ports: tuple[int, ...] = _DEFAULT_PORTS


CONTEXT7 = AllowedHost("mcp.context7.com", (HTTPS,))
FACTORY_HOSTS = (AllowedHost("*.factory.ai", (HTTPS,)), AllowedHost("api.workos.com", (HTTPS,)))


def parse_host(entry: str) -> AllowedHost:
    """Read an entry of allow_hosts.

    Raises:
        ValueError: it is not a host, or its port is not a port number.
    """
    match = _ENTRY.fullmatch(entry)
    port = int(match["port"] or 0) if match else 0
    if match is None or port > _LAST_PORT:
        raise ValueError(f"{entry!a} is not a host such as example.org, *.example.org or example.org:8080")
    return AllowedHost(match["host"], (port,) if port else _DEFAULT_PORTS)


def host_of(url: str) -> AllowedHost:
    """Return the host and the one port that an http(s) address names."""
    parts = urlsplit(url)
    return AllowedHost(parts.hostname or "", (parts.port or (HTTP if parts.scheme == "http" else HTTPS),))
