"""The real droid, headless, to its first request: `lw_coder code` and the same compose file by hand."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from functools import partial

from benchmarks.figures import Figure, in_turns
from benchmarks.workplace import Workplace, workplace
from tests.support.sample_repository import PLAN_ID
from tests.support.scripted_model import Conversation, Reply
from tests.support.shell_agent import shell_agent

NAME = "headless code, first request"


class Clock:
    """A scripted model that knows when its first request of a session arrived."""

    def __init__(self) -> None:
        self._answer = shell_agent([])
        self._arrived = 0.0

    def answer(self, conversation: Conversation) -> Reply:
        """Answer as an agent that ends at once does."""
        if conversation.kind != "dspy":
            self._arrived = self._arrived or time.monotonic()
        return self._answer(conversation)

    def seconds(self, place: Workplace, command: Sequence[str]) -> float:
        """Run a session to its end, and return the seconds from its start to its first request."""
        self._arrived = 0.0
        began = time.monotonic()
        subprocess.run(command, check=True, capture_output=True, cwd=place.root, env=place.env)
        return self._arrived - began


def measure(times: int) -> Iterator[Figure]:
    """Prompts known, images current; nothing is built by hand."""
    clock = Clock()
    with workplace(script=clock.answer) as place:
        code = (place.lw_coder, "code", PLAN_ID, "--headless")
        clock.seconds(place, code)
        compose = ("docker", "compose", "-f", str(place.newest_run() / "compose.yml"))
        bare = (*compose, "run", "--rm", "-T", "droid", "start-session", "--headless")
        ours, other = in_turns(
            times, partial(clock.seconds, place, code), partial(clock.seconds, place, bare)
        )
    yield Figure(NAME, "ratio", ours, other, "compose run")
