"""`--continue`: a new run goes on with droid's own conversation, on the same worktree."""

from __future__ import annotations

from tests.integration.conftest import LW_CODER, Person
from tests.integration.headless_session import Headless, headless
from tests.support.agent_script import execute, prompt_answer
from tests.support.refusal import shown_lines
from tests.support.sample_repository import KEY, PLAN_ID, SampleRepository
from tests.support.scripted_model import Conversation, Reply

BRANCH = f"lw/task/{PLAN_ID}"
AGAIN = "# Go on with the plan"
LAST_WORDS = "That was part"


def in_parts(conversation: Conversation) -> Reply:
    """Make one commit for each time that the agent is told to begin or to go on."""
    if conversation.kind != "agent":
        return prompt_answer(conversation) if conversation.kind == "dspy" else Reply("A title")
    told = 1 + sum(message.role == "user" and AGAIN in message.text for message in conversation.messages)
    if len(conversation.steps) == told:
        return Reply(f"{LAST_WORDS} {told}.")
    command = f"echo {told} $OPENROUTER_API_KEY && git commit -q --allow-empty -m 'Part {told}'"
    return Reply(tool_calls=(execute(conversation, "Do a part", command),))


def last_request(ended: Headless) -> Conversation:
    return [one.conversation for one in ended.model.requests if one.kind == "agent"][-1]


def test_a_headless_run_that_is_continued_twice_has_all_commits_on_one_branch(
    sample: SampleRepository, person: Person
) -> None:
    first = headless(person, sample, in_parts)
    second = headless(person, sample, in_parts, "--continue", "--message", "Mind the second part.")
    third = headless(person, sample, in_parts, "--continue", f"{PLAN_ID}/{second.run.name}", plan=())
    assert [one.status for one in (first, second, third)] == [0, 0, 0], third.stderr
    parts = sample.git("log", "--reverse", "--format=%s", f"{sample.sha}..{BRANCH}").split("\n")
    assert parts == ["Part 1", "Part 2", "Part 3"]
    assert third.record["continues"] == f"{PLAN_ID}/{second.run.name}"
    assert first.record["continues"] is None
    _remembers(second, third)
    _is_a_copy_without_secrets(first, second)
    _is_shown_at_a_terminal(person)


def _remembers(second: Headless, third: Headless) -> None:
    """The model sees the earlier turns, the person's message, and that nobody is there."""
    seen = [message.text for message in last_request(third).messages]
    assert [text for text in seen if text.startswith(LAST_WORDS)] == [f"{LAST_WORDS} 1.", f"{LAST_WORDS} 2."]
    assert any("Mind the second part." in text for text in seen)
    assert "## The plan, word for word" in "\n".join(seen)
    assert len(last_request(second).steps) == 2


def _is_a_copy_without_secrets(first: Headless, second: Headless) -> None:
    name = f"sessions/-workspace/{first.ended['agent']['conversation']}.jsonl"
    assert KEY in (first.run / name).read_text()
    copied = (second.run / name).read_text()
    assert KEY not in copied
    assert "[OPENROUTER_API_KEY]" in copied
    assert str(first.run) not in (second.run / "services.yml").read_text()


def _is_shown_at_a_terminal(person: Person) -> None:
    with person.types(LW_CODER, "code", PLAN_ID, "--continue") as terminal:
        terminal.wait_for(f"{LAST_WORDS} 3.")
        assert f"{LAST_WORDS} 1." in terminal.transcript.decode()
        assert terminal.leave() == 0, terminal.text
    said = "\n".join(shown_lines(terminal))
    assert "droid shows the earlier conversation" in said
    assert f"Go on:    lw_coder code {PLAN_ID} --continue" in said


def test_there_is_nothing_to_go_on_with(sample: SampleRepository, person: Person) -> None:
    status, text = person.runs_to_the_end("code", PLAN_ID, "--headless", "--continue")
    assert status == 1
    assert f"{PLAN_ID}: there is no conversation of droid's to go on with" in " ".join(text.split())
    assert not (sample.root / ".lw_coder/runs").exists()
