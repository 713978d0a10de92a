"""What allow_hosts takes, what the proxy's filter lets through, and what is told of the rest."""

from __future__ import annotations

import re

import pytest

from lw_coder.containers.proxy import PROXY, proxy_environment, refusal_line, refused_hosts, render_filter
from lw_coder.foundation.shipped import shipped_folder
from lw_coder.settings.allowed_hosts import CONTEXT7, AllowedHost, host_of, parse_host


@pytest.mark.parametrize(
    ("entry", "host"),
    [
        ("example.org", AllowedHost("example.org", (80, 443))),
        ("*.example.org", AllowedHost("*.example.org", (80, 443))),
        ("Example.org:8080", AllowedHost("Example.org", (8080,))),
        ("10.0.0.7:5432", AllowedHost("10.0.0.7", (5432,))),
        ("my_service", AllowedHost("my_service", (80, 443))),
    ],
)
def test_an_entry(entry: str, host: AllowedHost) -> None:
    assert parse_host(entry) == host


@pytest.mark.parametrize(
    "entry",
    [
        *(
            "",
            " ",
            "*",
            "*.",
            ".org",
            "a..b",
            "a b",
            "a.org ",
            "a.org\n",
            "https://a.org",
            "a.org/x",
            "u@a.org",
        ),
        *(
            "a.*",
            "a.*.org",
            "*a.org",
            "a|b",
            "(a)",
            "a.org$",
            "[a]",
            "a\\.org",
            "-a.org",
            "::1",
            "[::1]",
            "\u00e9.org",
        ),
        *("a.org:", "a.org:0", "a.org:080", "a.org:65536", "a.org:x", "a.org:80:80", "a.org:\u0663"),
    ],
)
def test_what_is_no_entry(entry: str) -> None:
    with pytest.raises(ValueError, match=r"is not a host such as") as caught:
        parse_host(entry)
    assert str(caught.value).isascii()


@pytest.mark.parametrize(
    ("url", "port"),
    [("https://api.example/v1", 443), ("http://api.example/v1", 80), ("http://API.example:8765/v1", 8765)],
)
def test_the_host_of_an_address(url: str, port: int) -> None:
    assert host_of(url) == AllowedHost("api.example", (port,))


def lets_through(*entries: str) -> re.Pattern[str]:
    lines = render_filter(map(parse_host, entries)).splitlines()
    return re.compile("|".join(lines), re.IGNORECASE)


@pytest.mark.parametrize(
    "address",
    [
        *("a.org:443", "a.org:80", "http://a.org", "http://A.ORG/x", "http://a.org:80/", "http://a.org:443/"),
        *("x.b.org:443", "http://y.x.b.org/", "c.org:8080", "http://c.org:8080/x"),
    ],
)
def test_what_is_let_through(address: str) -> None:
    assert lets_through("a.org", "*.b.org", "c.org:8080").search(address)


@pytest.mark.parametrize(
    "address",
    [
        *(
            "a.org",
            "a.org:8080",
            "http://a.org:8080/",
            "xa.org:443",
            "a.org.evil:443",
            "axorg:443",
            "a.org:4430",
        ),
        *("http://a.org@evil/", "http://a.org:80@evil/", "http://evil/http://a.org/", "http://a.org?evil"),
        *(
            "https://a.org/",
            "ftp://a.org/",
            "http://a.org:80ftp://evil/",
            "http://evil#a.org",
            "http://a.org\\evil",
        ),
        *(
            "b.org:443",
            ".b.org:443",
            "xb.org:443",
            "http://evil/x.b.org:443",
            "evil/x.b.org:443",
            "c.org:443",
        ),
        *("http://c.org/", "c.org:80"),
    ],
)
def test_what_is_not(address: str) -> None:
    assert not lets_through("a.org", "*.b.org", "c.org:8080").search(address)


def test_the_filter_has_each_line_once_and_quotes_what_a_url_holds() -> None:
    assert render_filter([CONTEXT7, CONTEXT7]).splitlines() == [
        r"^mcp\.context7\.com:443$",
        r"^http://mcp\.context7\.com:443(/|$)",
    ]
    assert r"^a\+\(b:1$" in render_filter([AllowedHost("a+(b", (1,))])


def test_the_proxy_is_where_it_is_said_to_be() -> None:
    port = PROXY.rpartition(":")[2]
    assert f"Port {port}\n" in (shipped_folder("docker") / "droid/tinyproxy.conf").read_text(encoding="ascii")
    assert f"/dev/tcp/127.0.0.1/{port}" in (shipped_folder("compose") / "services.yml").read_text(
        encoding="ascii"
    )
    assert set(proxy_environment().values()) == {PROXY, "localhost,127.0.0.1,::1"}


LOG = """\
NOTICE    Nov 23 05:45:14.316 [1]: Reloading config file finished
NOTICE    Nov 23 05:45:15.948 [1]: Proxying refused on filtered url "http://a.org:8080/x?token=1"
NOTICE    Nov 23 05:45:16.554 [1]: Proxying refused on filtered url "http://me:word@a.org:8080/y"
ERROR     Nov 23 05:45:16.660 [1]: opensock: Could not retrieve address info for web:443
NOTICE    Nov 23 05:45:17.177 [1]: Proxying refused on filtered url "b.org:443"
NOTICE    Nov 23 05:45:17.177 [1]: Proxying refused on filtered url "b\x1b[2Jc"
"""


def test_what_was_refused() -> None:
    refused = refused_hosts(LOG)
    assert refused == {"a.org:8080": 2, "b.org:443": 1, r"b\x1b[2Jc": 1}
    assert refusal_line(refused) == (
        r"Refused:  a.org:8080 (2x), b.org:443 (1x), b\x1b[2Jc (1x); to allow one, add it to allow_hosts"
    )
    assert refused_hosts("") == {}


def test_much_that_was_refused_is_one_line() -> None:
    log = "".join(f'refused on filtered url "{number}{"x" * 5_000}"\n' for number in range(30))
    line = refusal_line(refused_hosts(log))
    assert ", 20 more; to allow" in line
    assert len(line) < 1_300
