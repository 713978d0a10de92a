"""allow_hosts: what a session reaches and what it does not, in a replay as well, and what is told of it.

The session is a headless one; test_plan has one of `lw_coder plan`, at a terminal, that is confined as well.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from lw_coder.containers.labels import PROXY_LABEL
from lw_coder.containers.proxy import PROXY
from tests.integration.conftest import Person, sessions_in
from tests.integration.execution import AtWork
from tests.integration.headless_session import beside, headless, replayed_by_hand
from tests.support.engine import bridge_address, containers, docker
from tests.support.name_server import ANSWER, NameServer, name_server
from tests.support.patience import wait_until
from tests.support.sample_repository import PLAN_ID, SampleRepository
from tests.support.scripted_model import Conversation, Reply
from tests.support.shell_agent import DONE

CONFIG = """\
[code]
allow_hosts = ["listed.test", "*.wild.test", "odd.test:8080"]
docker_run_args = ["--dns", "{dns}"]
"""
NAMES = ("listed.test", "unlisted.test", "wild.test", "a.wild.test", "b.a.wild.test", "odd.test")
SERVERS = "cd /tmp && for port in 80 443 8080; do python3 -m http.server $port & done; wait"
AGENTS_OWN = "curl -s -o /dev/null -w 'status %{http_code}' 'http://agents.test/secret?token=1'"
STATUS = "curl -s -m 120 -o /dev/null -w '%{http_code}'"
ASK_FOR_A_NAME = """\
import socket, sys
asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asking.settimeout(60)
header, end = bytes.fromhex("000001000001000000000000"), bytes.fromhex("0000010001")
asking.sendto(header + b"\\x04leak\\x06direct\\x04test" + end, (sys.argv[1], 53))
asking.recv(512)
print("answered")
"""
ENV_FILES = '{{index .Config.Labels "com.docker.compose.project.environment_file"}}'
METADATA = "169.254.169.254"  # where a cloud gives its machines their credentials


def test_a_session_and_its_replay_reach_what_is_listed_alone(
    sample: SampleRepository, person: Person
) -> None:
    config = CONFIG.format(dns=bridge_address())
    (sample.root / ".lw_coder/config.toml").write_text(config, encoding="ascii")
    at = AtWork(sample.root, PLAN_ID)
    with name_server(bridge_address()) as names:
        script, meanwhile = beside(lambda: _reaches_what_is_listed_alone(sample, names), AGENTS_OWN)
        ended = headless(person, sample, script, meanwhile=meanwhile)
        assert ended.status == 0, ended.stderr
        assert "status 403" in ended.results[0]
        _tells_what_was_refused(ended.stderr)
        assert _left_behind(at) == []
        script, meanwhile = beside(lambda: _reaches_what_is_listed_alone(sample, names))
        replayed_by_hand(person, ended, script, meanwhile)
        assert not sessions_in(person.cwd)
    assert len(_left_behind(at)) == len(("proxy", "inside", "outside"))
    during: list[int] = []
    env_files: list[str] = []

    def look(_: Conversation) -> Reply:
        during.append(len(_left_behind(at)))
        env_files.append(docker("inspect", "--format", ENV_FILES, at.container))
        return Reply(DONE)

    again = headless(person, sample, look)  # removes what the replay left
    assert again.status == 0, again.stderr
    assert set(during) == {len(("proxy", "inside", "outside"))}
    assert all("/proc/self/fd/" in each for each in env_files), "its client was started early"
    assert _left_behind(at) == []
    assert ".test" not in again.stderr


def _reaches_what_is_listed_alone(sample: SampleRepository, names: NameServer) -> None:
    at = AtWork(sample.root, PLAN_ID)
    with _hosts(at) as address:
        for url in ("listed.test", "LISTED.test:80/?b", "a.wild.test", "b.a.wild.test", "odd.test:8080"):
            assert (url, _fetched(at, url)) == (url, "200")
        for place in ("listed.test:443", "a.wild.test:443", "odd.test:8080"):
            assert (place, _tunnelled(at, place)) == (place, "200")
        _is_refused_by_the_proxy(at, address)
        model = urlsplit(_inside(at, "echo $OPENROUTER_BASE_URL")).netloc
        _finds_no_other_way(at, address, model)
        _all_of_it_answers_who_is_not_confined(at, address, model)
    _no_name_gets_out(at, names)


def _is_refused_by_the_proxy(at: AtWork, address: str) -> None:
    hosts_other_port = f"{bridge_address()}:1"
    for url in ("unlisted.test", "listed.test:8080", "odd.test", "wild.test", "xlisted.test", "listedxtest"):
        assert (url, _fetched(at, url)) == (url, "403")
    for url in (address, METADATA, hosts_other_port):
        assert (url, _fetched(at, url)) == (url, "403")
    for url in (
        "http://listed.test:80@unlisted.test/",
        "http://listed.test@unlisted.test/",
        "/",
        "ftp://listed.test/",
    ):
        assert (url, _asked(at, url)) == (url, "403")
    assert _asked(at, "http://$(printf '\\377').test/") == "403"  # no text, and still told at the end
    assert _fetched(at, "unlisted.test -H 'Host: listed.test'") == "403"
    for place in (
        "unlisted.test:443",
        "[fd00::1]:443",
        "listed.test:8080",
        "listed.test:22",
        f"{address}:443",
        hosts_other_port,
    ):
        assert (place, _tunnelled(at, place)) == (place, "403")


def _finds_no_other_way(at: AtWork, address: str, model: str) -> None:
    for place in (address, f"{address}:443", model, f"{bridge_address()}:22", METADATA):
        assert (place, _direct(at, place)) == (place, "no way")
    for name in NAMES:
        assert (name, _inside(at, f"getent hosts {name} || echo unknown")) == (name, "unknown")


def _all_of_it_answers_who_is_not_confined(at: AtWork, address: str, model: str) -> None:
    """The same image on the outer network, where no proxy is in the way: what is refused inside is there."""
    places = (
        *("unlisted.test", "listed.test:8080", "odd.test", "wild.test", address, f"{address}:443"),
        *("listed.test:443", f"{model}/models"),
    )
    asking = " ".join(f"{STATUS} http://{place} >/dev/null && echo {place};" for place in places)
    found = docker("run", "--rm", "--network", _outside(at), "--entrypoint", "sh", at.image, "-c", asking)
    assert found.split() == list(places)


def _no_name_gets_out(at: AtWork, names: NameServer) -> None:
    """What is looked up can carry what is not to get out: neither docker's resolver nor a packet does."""
    look_up = "getent hosts leak.test || echo unknown"
    ask = f"python3 -c {shlex.quote(ASK_FOR_A_NAME)} {bridge_address()} 2>/dev/null || echo no way"
    names.asked.clear()
    assert _inside(at, look_up) == "unknown"
    assert _inside(at, ask) == "no way"
    assert not [name for name in names.asked if "leak" in name]
    outside = ("--network", _outside(at), "--dns", bridge_address(), "--entrypoint", "sh", at.image)
    found = docker("run", "--rm", *outside, "-c", f"{look_up}; {ask}")
    assert found.split() == [str(ANSWER), "leak.test", "answered"]
    assert {"leak.test", "leak.direct.test"} <= set(names.asked)


def _fetched(at: AtWork, url: str) -> str:
    """Ask for a page in plain http; return the status that comes back."""
    return _inside(at, f"{STATUS} http://{url}; true")


def _asked(at: AtWork, target: str) -> str:
    """Ask the proxy for exactly this, which curl would tidy up; return the status that comes back."""
    return _inside(at, f"{STATUS} --noproxy '*' --request-target {target} {PROXY}; true")


def _tunnelled(at: AtWork, place: str) -> str:
    """Ask the proxy for a tunnel; return its answer."""
    return _inside(at, f"curl -s -m 120 -p -o /dev/null -w '%{{http_connect}}' http://{place}; true")


def _direct(at: AtWork, place: str) -> str:
    """Connect without the proxy; that there is no way is known at once."""
    return _inside(at, f"curl -s -m 120 --noproxy '*' -o /dev/null http://{place}; [ $? = 7 ] && echo no way")


def _inside(at: AtWork, script: str) -> str:
    return at.inside("sh", "-c", script)


@contextmanager
def _hosts(at: AtWork) -> Iterator[str]:
    """Serve under all names where the proxy looks; yield the one address."""
    aliases = [f"--network-alias={name}" for name in NAMES]
    server = docker("run", "-d", "--rm", "--network", _outside(at), *aliases, at.image, "sh", "-c", SERVERS)
    try:
        served = ("listed.test", "odd.test:8080")
        wait_until(lambda: all(_fetched(at, url) == "200" for url in served), "the hosts")
        yield docker(
            "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", server
        )
    finally:
        docker("rm", "--force", server)


def _tells_what_was_refused(text: str) -> None:
    line = text.partition("Refused:")[2].partition("Commits:")[0].replace("\n", "")
    assert "agents.test (1x)" in line, text
    assert "unlisted.test (4x)" in line
    assert "listed.test:8080 (2x)" in line
    assert "more; to allow one, add it to allow_hosts" in line
    assert "token" not in line


def _networks(at: AtWork) -> list[str]:
    label = f"label={PROXY_LABEL}={at.identity}/{at.plan_id}"
    return docker("network", "ls", "--filter", label, "--format", "{{.Name}}").split()


def _outside(at: AtWork) -> str:
    (network,) = (name for name in _networks(at) if name.endswith("_outside"))
    return network


def _left_behind(at: AtWork) -> list[str]:
    """List the proxies and networks of a repository's plan."""
    return [*containers(f"{PROXY_LABEL}={at.identity}/{at.plan_id}"), *_networks(at)]
