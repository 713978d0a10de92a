"""The hosts that a session may reach: `allow_hosts`, the proxy's filter, and what it refused."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from lw_coder.report import printable

PROXY = "http://proxy:8888"  # the service in compose/services.yml, the port in docker/droid/tinyproxy.conf
FILTER_FILE = "allow_hosts.filter"

_HTTP, _HTTPS, _LAST_PORT = 80, 443, 65_535
_USUAL_PORTS = (_HTTP, _HTTPS)
_LABEL = "[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?"
_ENTRY = re.compile(rf"(?P<host>(\*\.)?{_LABEL}(\.{_LABEL})*)(:(?P<port>[1-9][0-9]{{0,4}}))?", re.ASCII)
_REFUSED = re.compile(r'refused on filtered url "(?:[a-z]+://)?([^/"]*)', re.IGNORECASE)
_MOST_SHOWN = 10
_LONGEST_SHOWN = 100

# What goes to the session itself, such as a server that the agent starts, needs no way out.
_NO_PROXY = "localhost,127.0.0.1,::1"


@dataclass(frozen=True)
class AllowedHost:
    """A host and the ports of it that may be reached; `*.` at its front stands for every name below it."""

    host: str
    ports: tuple[int, ...] = _USUAL_PORTS


CONTEXT7 = AllowedHost("mcp.context7.com", (_HTTPS,))
FACTORY_HOSTS = (AllowedHost("*.factory.ai", (_HTTPS,)), AllowedHost("api.workos.com", (_HTTPS,)))


def parse_host(entry: str) -> AllowedHost:
    """Read an entry of allow_hosts.

    Raises:
        ValueError: it is not a host, or has a port that is none.
    """
    match = _ENTRY.fullmatch(entry)
    port = int(match["port"] or 0) if match else 0
    if match is None or port > _LAST_PORT:
        raise ValueError(f"{entry!a} is not a host such as example.org, *.example.org or example.org:8080")
    return AllowedHost(match["host"], (port,) if port else _USUAL_PORTS)


def host_of(url: str) -> AllowedHost:
    """Return the host and the one port that an http(s) address names."""
    parts = urlsplit(url)
    return AllowedHost(parts.hostname or "", (parts.port or (_HTTP if parts.scheme == "http" else _HTTPS),))


def proxy_environment() -> dict[str, str]:
    """Return the variables by which programs find the proxy; some read the one case, some the other."""
    values = {"HTTP_PROXY": PROXY, "HTTPS_PROXY": PROXY, "NO_PROXY": _NO_PROXY}
    return {**values, **{name.lower(): value for name, value in values.items()}}


def render_filter(hosts: Iterable[AllowedHost]) -> str:
    """Render the proxy's filter: an extended regular expression a line, for the start of an address.

    The proxy matches `host:port` for what is tunnelled, and the address as it was sent for plain http.
    """
    lines = [line for allowed in hosts for line in _patterns(allowed)]
    return "".join(f"{line}\n" for line in dict.fromkeys(lines))


def _patterns(allowed: AllowedHost) -> list[str]:
    name = re.sub(r"[^A-Za-z0-9_-]", r"\\\g<0>", allowed.host.removeprefix("*."))
    host = rf"([a-z0-9_-]+\.)+{name}" if allowed.host.startswith("*.") else name
    tunnelled = [f"^{host}:{port}$" for port in allowed.ports]
    plain = [f"^http://{host}:{port}(/|$)" for port in allowed.ports]
    usual = [f"^http://{host}(/|$)"] if _HTTP in allowed.ports else []
    return tunnelled + plain + usual


def refused_hosts(log: str) -> Counter[str]:
    """Count what the proxy refused, by host and port as allow_hosts would name it."""
    return Counter(_shown(found) for found in _REFUSED.findall(log))


def _shown(address: str) -> str:
    return printable(address.rpartition("@")[2])[:_LONGEST_SHOWN]


def refusal_line(refused: Counter[str]) -> str:
    """Say what was refused, the most frequent first."""
    shown = [f"{host} ({count}x)" for host, count in refused.most_common(_MOST_SHOWN)]
    more = [f"{len(refused) - len(shown)} more"] if len(refused) > len(shown) else []
    return f"Refused:  {', '.join(shown + more)}; add to allow_hosts what is wanted"
