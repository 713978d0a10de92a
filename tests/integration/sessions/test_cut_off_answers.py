"""droid asks for ever for an answer that the model can never finish: the session ends, its commits stay.

test_headless shows the same without a terminal.
"""

from __future__ import annotations

import hashlib

import pytest

from lw_coder.foundation.errors import ExitCode
from tests.integration.conftest import Person
from tests.support.agent_script import execute, prompt_answer
from tests.support.sample_repository import PLAN_ID, SampleRepository, run_git
from tests.support.scripted_model import Conversation, Reply, Script

COMMIT = "echo first > first.txt && git add first.txt && git commit -q -m 'Do the first half'"


@pytest.fixture
def script() -> Script:
    return commits_and_is_cut_off


def commits_and_is_cut_off(conversation: Conversation) -> Reply:
    """Commit, and then never come to an end."""
    if conversation.kind == "dspy":
        return prompt_answer(conversation)
    if conversation.kind == "other":
        return Reply("A title")
    if not conversation.rounds:
        return Reply(tool_calls=(execute(conversation, "Commit the first half", COMMIT),))
    # droid itself ends a session whose model repeats itself.
    seeds = (f"{len(conversation.messages)} {number}" for number in range(50))
    return Reply(" ".join(hashlib.sha256(seed.encode()).hexdigest()[:7] for seed in seeds), (), "length")


@pytest.mark.usefixtures("known_prompts")
def test_a_session_whose_answers_are_all_cut_off_ends_and_keeps_its_commits(
    sample: SampleRepository, person: Person
) -> None:
    status, text = person.runs_to_the_end("code", PLAN_ID)
    shown = " ".join(text.split())
    assert status == ExitCode.SESSION, text
    assert (
        "the session was stopped: 3 answers of its model in a row were cut off at the token limit;" in shown
    )
    assert "raise max_output_tokens in .lw_coder/config.toml" in shown
    assert f"Commits: 1 new on lw/task/{PLAN_ID}" in shown
    assert run_git(sample.root, "log", "-1", "--format=%s", f"lw/task/{PLAN_ID}") == "Do the first half"
