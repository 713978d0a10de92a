"""checks_network: what a check can reach, without and with allow_hosts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.integration.verdicts.scene import PLAN_ID, Scene, check_containers, told
from tests.support.engine import bridge_address, docker

WORD = "reached"


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(WORD.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    with HTTPServer((bridge_address(), 0), _Answer) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"{server.server_address[0]!s}:{server.server_port}"
        server.shutdown()


def ask(address: str) -> str:
    return f"curl -sf --max-time 20 http://{address}/ | grep -q {WORD}"


def test_a_check_has_no_network_unless_it_is_opened(scene: Scene, address: str) -> None:
    scene.agent_commits({"new": "yes\n"})
    scene.configure(ask(address))
    assert told(scene.verdict()) == {ask(address): "still failing"}
    scene.configure(ask(address), checks_network=True)
    assert told(scene.verdict()) == {ask(address): "passes"}


def test_only_allowed_hosts_can_be_reached(scene: Scene, address: str) -> None:
    host, port = address.split(":")
    direct = f"! curl -sf --noproxy '*' --max-time 3 http://{address}/"
    another = f"! curl -sf --max-time 20 http://{host}:{int(port) + 1}/"
    scene.agent_commits({"new": "yes\n"})
    scene.configure(ask(address), direct, another, checks_network=True, allow_hosts=[address])
    verdict = scene.verdict()
    assert set(told(verdict).values()) == {"passes"}, verdict
    assert check_containers(scene.root) == []
    networks = docker("network", "ls", "--format", "{{.Name}}").split()
    assert [name for name in networks if PLAN_ID in name and scene.run.name.lower() in name] == []
