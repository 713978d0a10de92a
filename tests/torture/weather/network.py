"""A network that is not there, or goes away in a session."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

from lw_coder.foundation.errors import ExitCode
from tests.support.engine import docker
from tests.torture.health import left, not_imported
from tests.torture.scenes import CONFINING, MODEL
from tests.torture.weather.place import (
    DOCKERFILE,
    ENV_FILE,
    Kind,
    Place,
    Session,
    recovered,
    replaced,
    waiting,
)
from tests.torture.weather.running import CODE, REFUSED, ran, unusual

_NO_MODEL = "http://127.0.0.1:9/v1"
_NO_IMAGE = "FROM registry.example.com/no/such:image\n"
_BRIDGE = "docker0"
# The agent fails if it reaches nobody at an address: one that refuses is reached.
_ASKS = (
    'told=$(timeout 60 bash -c ": < /dev/tcp/{address}" 2>&1) || '
    "case $told in *refused*) ;; *) exit 1 ;; esac"
)


def out_of_reach(place: Place, name: str, change: Callable[[str], str]) -> Iterator[str]:
    """A file of the repository names what cannot be reached."""
    with place.scene() as scene:
        before = scene.persons()
        with replaced(scene, name, change):
            yield from unusual(ran(scene, *CODE), REFUSED)
        yield from recovered(scene, before, commits=0)


def gone_in_session(
    place: Place, takes: Callable[[Place], AbstractContextManager[None]], *, terminal: bool = False
) -> Iterator[str]:
    """The network of a session goes while the agent waits, which then misses it, and gives up."""
    with place.scene() as scene:
        asks = _asks(f"{_gateway(place)}/9")
        with waiting(scene, terminal=terminal, ends=asks) as session:
            with takes(place):
                yield from _missed(session)
            yield from session.recovered()


def _missed(session: Session) -> Iterator[str]:
    session.let_go()
    yield from unusual(session.command.end(), {ExitCode.SESSION})
    yield from (*left(session.scene), *not_imported(session.scene))


def gone_from_the_proxy(place: Place) -> Iterator[str]:
    """The network between a confined session and its proxy goes, and exists no longer when the agent ends."""
    with place.scene() as scene:
        (scene.root / ".lw_coder/config.toml").write_text(CONFINING, encoding="ascii")
        with waiting(scene, ends=_asks("proxy/8888")) as session:
            for network in _networks(place):
                _disconnect(place, network)
                docker("--host", place.engine.host, "network", "rm", network)
            yield from _missed(session)
            yield from session.recovered()


def _asks(address: str) -> str:
    return _ASKS.format(address=address)


def _gateway(place: Place) -> str:
    told = docker("--host", place.engine.host, "network", "inspect", "bridge")
    return str(json.loads(told)[0]["IPAM"]["Config"][0]["Gateway"])


def _networks(place: Place) -> list[str]:
    words = ("network", "ls", "--quiet", "--filter", "type=custom")
    return docker("--host", place.engine.host, *words).split()


@contextmanager
def bridge_down(place: Place) -> Iterator[None]:
    _set_bridge(place, "down")
    try:
        yield
    finally:
        _set_bridge(place, "up")


def _set_bridge(place: Place, state: str) -> None:
    assert place.engine.process is not None
    inside = f"--net=/proc/{place.engine.process.pid}/ns/net"
    subprocess.run(["nsenter", inside, "ip", "link", "set", _BRIDGE, state], check=True)


@contextmanager
def disconnected(place: Place) -> Iterator[None]:
    _disconnect(place, "bridge")
    yield


def _disconnect(place: Place, network: str) -> None:
    """Disconnect all containers from a network."""
    told = docker("--host", place.engine.host, "network", "inspect", network)
    for container in json.loads(told)[0]["Containers"]:
        docker("--host", place.engine.host, "network", "disconnect", "--force", network, container)


def kinds() -> Iterator[Kind]:
    for what, file, change in (
        ("model", ENV_FILE, lambda text: text.replace(MODEL, _NO_MODEL)),
        ("registry", DOCKERFILE, lambda _: _NO_IMAGE),
    ):
        yield "network gone", f"no {what}", partial(out_of_reach, name=file, change=change)
    name = "the engine's bridge is down in a session"
    yield "network gone", name, partial(gone_in_session, takes=bridge_down)
    name = "a session at a terminal is disconnected"
    yield "network gone", name, partial(gone_in_session, takes=disconnected, terminal=True)
    yield "network gone", "the network of a session and its proxy is removed", gone_from_the_proxy
