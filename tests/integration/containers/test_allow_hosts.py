"""allow_hosts: what a session reaches and what it does not, in a replay as well, and what is told of it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from lw_coder.containers.docker_command import COMPOSE_FILE
from lw_coder.containers.labels import PROXY_LABEL
from lw_coder.containers.proxy import PROXY
from tests.integration.conftest import LW_CODER, Person, sessions_in
from tests.integration.execution import Execution
from tests.integration.headless_session import headless
from tests.integration.played_session import Played, played
from tests.support.engine import bridge_address, containers, docker
from tests.support.name_server import ANSWER, NameServer, name_server
from tests.support.patience import wait_until
from tests.support.plan_script import SUMMARY_TITLE, scripted_planner
from tests.support.sample_repository import PLAN_ID, SampleRepository
from tests.support.scripted_model import Conversation, Reply, ScriptedModel
from tests.support.shell_agent import DONE, shell_agent

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
METADATA = "169.254.169.254"  # where a cloud gives its machines their credentials


def test_a_session_and_its_replay_reach_what_is_listed_alone(
    sample: SampleRepository, person: Person
) -> None:
    config = CONFIG.format(dns=bridge_address())
    (sample.root / ".lw_coder/config.toml").write_text(config, encoding="ascii")
    with (
        name_server(bridge_address()) as names,
        played(person, sample, shell_agent([AGENTS_OWN])) as session,
    ):
        assert "status 403" in session.results[0]
        _reaches_what_is_listed_alone(session, names)
        assert session.execution.end() == 0
        _tells_what_was_refused(session.text)
        assert _left_behind(session.execution) == []
        _replays_alike(person, session, names)
    assert len(_left_behind(session.execution)) == len(("proxy", "inside", "outside"))
    during: list[int] = []

    def look(_: Conversation) -> Reply:
        during.append(len(_left_behind(session.execution)))
        return Reply(DONE)

    again = headless(person, sample, look)  # removes what the replay left
    assert again.status == 0, again.stderr
    assert set(during) == {len(("proxy", "inside", "outside"))}
    assert _left_behind(session.execution) == []
    assert ".test" not in again.stderr


def test_a_plan_session_is_confined_as_well(sample: SampleRepository, person: Person) -> None:
    (sample.root / ".lw_coder/config.toml").write_text("[code]\nallow_hosts = []\n", encoding="ascii")
    with ScriptedModel(scripted_planner, host=bridge_address()) as model:
        sample.write_env(model.base_url)
        with person.types(LW_CODER, "plan", "--text", "Let the greeting be shouted.") as terminal:
            terminal.wait_for(SUMMARY_TITLE.removeprefix("# "))
            (container,) = sessions_in(sample.root)
            assert docker("exec", container, "sh", "-c", f"{STATUS} http://listed.test; true") == "403"
            assert terminal.leave() == 0, terminal.text
    assert "listed.test (1x)" in terminal.text
    (record,) = sample.root.glob(".lw_coder/runs/@plan/*/run.json")
    assert json.loads(record.read_text())["ended"]["refused"]["listed.test"] == 1  # droid asks for others
    identity = Execution(terminal, sample.root, PLAN_ID).identity
    assert identity not in docker("network", "ls", "--filter", f"label={PROXY_LABEL}")


def _replays_alike(person: Person, session: Played, names: NameServer) -> None:
    compose = (session.execution.run / COMPOSE_FILE).relative_to(person.cwd)
    with person.types("docker", "compose", "-f", str(compose), "run", "--rm", "droid") as replay:
        replay.wait_for(DONE)
        _reaches_what_is_listed_alone(session, names)
        assert replay.leave() == 0
    assert not sessions_in(person.cwd)


def _reaches_what_is_listed_alone(session: Played, names: NameServer) -> None:
    at = session.execution
    with _hosts(at) as address:
        for url in ("listed.test", "LISTED.test:80/?b", "a.wild.test", "b.a.wild.test", "odd.test:8080"):
            assert (url, _fetched(at, url)) == (url, "200")
        for place in ("listed.test:443", "a.wild.test:443", "odd.test:8080"):
            assert (place, _tunnelled(at, place)) == (place, "200")
        _is_refused_by_the_proxy(at, address)
        model = urlsplit(session.model.base_url).netloc
        _finds_no_other_way(at, address, model)
        _all_of_it_answers_who_is_not_confined(at, address, model)
    _no_name_gets_out(at, names)


def _is_refused_by_the_proxy(at: Execution, address: str) -> None:
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


def _finds_no_other_way(at: Execution, address: str, model: str) -> None:
    for place in (address, f"{address}:443", model, f"{bridge_address()}:22", METADATA):
        assert (place, _direct(at, place)) == (place, "no way")
    for name in NAMES:
        assert (name, _inside(at, f"getent hosts {name} || echo unknown")) == (name, "unknown")


def _all_of_it_answers_who_is_not_confined(at: Execution, address: str, model: str) -> None:
    """The same image on the outer network, where no proxy is in the way: what is refused inside is there."""
    places = (
        *("unlisted.test", "listed.test:8080", "odd.test", "wild.test", address, f"{address}:443"),
        *("listed.test:443", f"{model}/models"),
    )
    asking = " ".join(f"{STATUS} http://{place} >/dev/null && echo {place};" for place in places)
    found = docker("run", "--rm", "--network", _outside(at), "--entrypoint", "sh", at.image, "-c", asking)
    assert found.split() == list(places)


def _no_name_gets_out(at: Execution, names: NameServer) -> None:
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


def _fetched(at: Execution, url: str) -> str:
    """Ask for a page in plain http; return the status that comes back."""
    return _inside(at, f"{STATUS} http://{url}; true")


def _asked(at: Execution, target: str) -> str:
    """Ask the proxy for exactly this, which curl would tidy up; return the status that comes back."""
    return _inside(at, f"{STATUS} --noproxy '*' --request-target {target} {PROXY}; true")


def _tunnelled(at: Execution, place: str) -> str:
    """Ask the proxy for a tunnel; return its answer."""
    return _inside(at, f"curl -s -m 120 -p -o /dev/null -w '%{{http_connect}}' http://{place}; true")


def _direct(at: Execution, place: str) -> str:
    """Connect without the proxy; that there is no way is known at once."""
    return _inside(at, f"curl -s -m 120 --noproxy '*' -o /dev/null http://{place}; [ $? = 7 ] && echo no way")


def _inside(at: Execution, script: str) -> str:
    return at.inside("sh", "-c", script)


@contextmanager
def _hosts(at: Execution) -> Iterator[str]:
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


def _networks(at: Execution) -> list[str]:
    label = f"label={PROXY_LABEL}={at.identity}/{at.plan_id}"
    return docker("network", "ls", "--filter", label, "--format", "{{.Name}}").split()


def _outside(at: Execution) -> str:
    (network,) = (name for name in _networks(at) if name.endswith("_outside"))
    return network


def _left_behind(at: Execution) -> list[str]:
    """List the proxies and networks of a repository's plan."""
    return [*containers(f"{PROXY_LABEL}={at.identity}/{at.plan_id}"), *_networks(at)]
