"""A language model that fails: the command ends in one line, as if it had not begun.

That this takes less than two minutes follows from the deadline of one question, which silence meets here, and
which a unit test compares with them.

All the cases run at once, each with a model, a repository and a home of its own: silence alone takes
as long as all of them together.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.conftest import LW_CODER, Person, a_person
from tests.scan.searches import Search, files
from tests.support.agent_script import prompt_answer, scripted_demo
from tests.support.engine import bridge_address
from tests.support.refusal import assert_refused, shown_lines
from tests.support.sample_repository import PLAN_ID, SampleRepository, make_sample_repository
from tests.support.scripted_model import Conversation, HttpFailure, Reply, ScriptedModel
from tests.support.snapshot import changes, snapshot

AT_ONCE = 4
SECRET = "sk-or-weather-4f1d9c"

HTML = HttpFailure(200, "<html><body>Please sign in</body></html>", "text/html")
BUSY = HttpFailure(429, headers={"Retry-After": "3600"})


def _half(conversation: Conversation) -> Reply:
    answer = prompt_answer(conversation).text
    return Reply(answer[: len(answer) // 2], finish_reason="length")


def _placeholder(conversation: Conversation) -> Reply:
    return prompt_answer(conversation, {"main_prompt": "Do what the plan says:\n\n{plan_text}"})


def _failing(status: int) -> Reply:
    # A careless server repeats the key.
    return Reply(failure=HttpFailure(status, f'{{"error": {{"message": "no luck with {SECRET}"}}}}'))


@dataclass(frozen=True)
class Failure:
    """How the model behaves, and what is then said and advised; no reply: nobody listens."""

    name: str
    says: str
    remedy: str
    reply: Reply | None = None


FAILURES = (
    Failure("silence", "did not answer in time (100 s)", "check OPENROUTER_BASE_URL", Reply(silent=True)),
    Failure("401", "refused the API key (HTTP 401)", "check OPENROUTER_API_KEY", _failing(401)),
    Failure("402", "has no credit left for this key (HTTP 402)", "add credit", _failing(402)),
    Failure("403", "refused the API key (HTTP 403)", "check OPENROUTER_API_KEY", _failing(403)),
    Failure("404", "does not know the model or the address", "check OPENROUTER_MODEL", _failing(404)),
    Failure("429", "limits the rate of requests (HTTP 429)", "a wait of 60 minutes", Reply(failure=BUSY)),
    Failure("500", "failed on its side (HTTP 500)", "OPENROUTER_MODEL", _failing(500)),
    Failure("503", "failed on its side (HTTP 503)", "OPENROUTER_MODEL", _failing(503)),
    Failure("refused", "could not be reached", "check the network"),
    Failure(
        "reset",
        "could not be reached, or dropped the connection",
        "check the network",
        Reply("{}" * 99, reset=True),
    ),
    Failure(
        "html",
        "answered with something other than a model's reply",
        "OPENROUTER_BASE_URL",
        Reply(failure=HTML),
    ),
    Failure("empty", "3 answers, and the last was empty", "another OPENROUTER_MODEL", Reply("")),
    Failure("half", "3 answers, and the last was cut off", "another OPENROUTER_MODEL"),
    Failure(
        "placeholder", "3 answers, and the last has a placeholder in main_prompt", "another OPENROUTER_MODEL"
    ),
)
SCRIPTS = {"half": _half, "placeholder": _placeholder}
NAMES = [failure.name for failure in FAILURES]


@dataclass(frozen=True)
class Outcome:
    """What came of one case."""

    status: int
    lines: list[str]
    changes: list[str]
    leaks: tuple[str, ...]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Outcome]]]:
    """Begin all the cases, silence first."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        yield {
            failure.name: threads.submit(_endure, failure, tmp_path_factory.mktemp(failure.name))
            for failure in FAILURES
        }


@pytest.mark.parametrize("failure", [*FAILURES[1:], FAILURES[0]], ids=[*NAMES[1:], NAMES[0]])
def test_the_command_ends_in_one_line_with_everything_as_it_was(
    failure: Failure, outcomes: dict[str, Future[Outcome]]
) -> None:
    outcome = outcomes[failure.name].result()
    assert_refused(outcome.lines, [failure.says, "anthropic/claude-sonnet-4.5"], failure.remedy)
    assert outcome.status == 1
    assert outcome.changes == []
    assert not [line for line in outcome.lines if SECRET in line]
    assert outcome.leaks == ()


def _endure(failure: Failure, folder: Path) -> Outcome:
    sample = make_sample_repository(folder / "sample")
    with _model(failure) as address, a_person(folder / "home", sample.root) as person:
        sample.write_env(address, OPENROUTER_API_KEY=SECRET)
        person.home.mkdir()
        return _observe(sample, person)


@contextmanager
def _model(failure: Failure) -> Iterator[str]:
    script = SCRIPTS.get(failure.name, lambda _: failure.reply or scripted_demo(_))
    with ScriptedModel(script, host=bridge_address()) as model:
        if failure.name != "refused":
            yield model.base_url
            return
    with socket.socket() as nobody:  # bound, and not listening: a connection is refused
        nobody.bind((bridge_address(), 0))
        yield f"http://{nobody.getsockname()[0]}:{nobody.getsockname()[1]}/v1"


def _observe(sample: SampleRepository, person: Person) -> Outcome:
    before = snapshot(sample.root)
    with person.types(LW_CODER, "code", PLAN_ID) as terminal:
        status = terminal.wait()
    left = files(sample.root, person.home, besides=[sample.root / ".env"])
    leaks = Search(SECRET).parts("what it left", left).finds
    return Outcome(status, shown_lines(terminal), changes(before, snapshot(sample.root)), leaks)
