"""The proxy of a session with allow_hosts: its filter, and what it refused."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from lw_coder.foundation.report import printable
from lw_coder.settings.allowed_hosts import HTTP, AllowedHost

PROXY = "http://proxy:8888"  # the service in compose/services.yml, the port in docker/droid/tinyproxy.conf
FILTER_FILE = "allow_hosts.filter"

_REFUSED = re.compile(r'refused on filtered url "(?:[a-z]+://)?([^/"]*)', re.IGNORECASE)
_MOST_SHOWN = 10
_LONGEST_SHOWN = 100

# Requests to the session itself, such as to a server that the agent starts, do not use the proxy.
_NO_PROXY = "localhost,127.0.0.1,::1"


def proxy_environment() -> dict[str, str]:
    """Return the proxy variables, in upper and lower case: programs differ in which they read."""
    values = {"HTTP_PROXY": PROXY, "HTTPS_PROXY": PROXY, "NO_PROXY": _NO_PROXY}
    return {**values, **{name.lower(): value for name, value in values.items()}}


def render_filter(hosts: Iterable[AllowedHost]) -> str:
    """Render the proxy's filter: one extended regular expression per line, for the start of an address.

    The proxy matches `host:port` for tunnels, and the requested URL for plain http.
    """
    lines = [line for allowed in hosts for line in _patterns(allowed)]
    return "".join(f"{line}\n" for line in dict.fromkeys(lines))


def _patterns(allowed: AllowedHost) -> list[str]:
    name = re.sub(r"[^A-Za-z0-9_-]", r"\\\g<0>", allowed.host.removeprefix("*."))
    host = rf"([a-z0-9_-]+\.)+{name}" if allowed.host.startswith("*.") else name
    tunnelled = [f"^{host}:{port}$" for port in allowed.ports]
    plain = [f"^http://{host}:{port}(/|$)" for port in allowed.ports]
    default = [f"^http://{host}(/|$)"] if HTTP in allowed.ports else []
    return tunnelled + plain + default


def refused_hosts(log: str) -> Counter[str]:
    """Count the refused requests, by host and port as in allow_hosts."""
    return Counter(_escaped(found) for found in _REFUSED.findall(log))


def _escaped(address: str) -> str:
    return printable(address.rpartition("@")[2])[:_LONGEST_SHOWN]


def refusal_line(refused: Counter[str]) -> str:
    """Format the refused hosts, the most frequent first."""
    shown = [f"{host} ({count}x)" for host, count in refused.most_common(_MOST_SHOWN)]
    more = [f"{len(refused) - len(shown)} more"] if len(refused) > len(shown) else []
    return f"Refused:  {', '.join(shown + more)}; to allow one, add it to allow_hosts"
