"""Every key that a person types is the session's, and a docker client that ends does not end the session."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

import pytest

from tests.integration.conftest import LW_CODER, Person
from tests.integration.execution import Execution, docker_clients
from tests.support.sample_repository import PLAN_ID, SampleRepository

# A session that tells each byte that it gets, and ends at an x with a status of its own.
DOCKERFILE = r"""FROM lw_coder_droid:latest
COPY --chmod=755 <<'END' /usr/local/bin/start-session
#!/usr/bin/perl
system("stty raw -echo");
$| = 1;
print "Type now.\r\n";
while (sysread(STDIN, $byte, 1) && $byte ne "x") { printf "<%s> ", unpack("H2", $byte) }
exit 7;
END
"""
DETACH = "\x10\x11"  # Ctrl+P Ctrl+Q

pytestmark = [
    pytest.mark.timeout(900),  # an image may have to be built from nothing
    pytest.mark.usefixtures("known_prompts"),
]


@pytest.fixture(autouse=True)
def equipped(sample: SampleRepository) -> None:
    (sample.root / ".lw_coder/code.Dockerfile").write_text(DOCKERFILE, encoding="ascii")


@pytest.mark.parametrize("config", ["", '{"detachKeys": "ctrl-e,e", "proxies": {}}'])
def test_all_keys_are_the_sessions(person: Person, config: str) -> None:
    """Ctrl+P alone arrives at once; Ctrl+P Ctrl+Q, and keys that the person's docker has, leave nobody."""
    if config:
        (person.home / ".docker").mkdir()
        (person.home / ".docker/config.json").write_text(config, encoding="ascii")
    with person.types(LW_CODER, "code", PLAN_ID) as terminal:
        terminal.wait_for("Type now.", timeout=300)
        terminal.type("\x10")
        terminal.wait_for("<10>", timeout=60)
        terminal.type("\x11" + DETACH + "\x05e")
        terminal.wait_for("<11> <10> <11> <05> <65>", timeout=60)
        terminal.type("x")
        assert terminal.wait(120) == 4
    assert "the session ended with status 7" in terminal.text


def test_a_session_outlives_its_client(person: Person) -> None:
    """It is killed, as by a system that is out of memory: the session is there again, its status too."""
    with person.types(LW_CODER, "code", PLAN_ID) as terminal:
        execution = Execution(terminal, person.cwd, PLAN_ID)
        execution.wait_for("Type now.")
        before = execution.container
        for client in docker_clients(execution.run):
            with suppress(ProcessLookupError):  # one ends with the other
                os.kill(client, signal.SIGKILL)
        terminal.wait_for("reconnecting to it")
        assert execution.container == before
        _types_until_heard(execution)
        terminal.type("x")
        assert terminal.wait(120) == 4
    assert "the session ended with status 7" in terminal.text


def _types_until_heard(execution: Execution) -> None:
    deadline = time.monotonic() + 60
    while "<61>" not in execution.terminal.screen:
        assert time.monotonic() < deadline, execution.terminal.screen
        execution.terminal.type("a")
        execution.terminal.settle(0.5)
