"""The tools of a session, and what one of them prints: what is not listed is refused, values are not kept."""

from __future__ import annotations

from lw_coder.foundation.errors import ExitCode
from lw_coder.sessions.droid_settings import TOOLS
from tests.integration.conftest import Person
from tests.integration.headless_session import Headless, headless, replayed_by_hand
from tests.support.agent_script import execute, prompt_answer
from tests.support.sample_repository import KEY, PLAN_ID, SampleRepository
from tests.support.scripted_model import Conversation, Reply
from tests.support.shell_agent import shell_agent

PROOF = "proof-of-a-tool"


def telling(conversation: Conversation) -> Reply:
    """Leave a proof, have the key printed, and repeat what was printed."""
    if conversation.kind != "agent":
        return prompt_answer(conversation)
    found = [step.result for step in conversation.steps]
    command = f"touch {PROOF}; echo $OPENROUTER_API_KEY; echo $OPENROUTER_API_KEY >&2"
    return (
        Reply(f"It is {found[0]}") if found else Reply(tool_calls=(execute(conversation, "Look", command),))
    )


def test_a_session_has_the_listed_tools_and_no_others(sample: SampleRepository, person: Person) -> None:
    """At a terminal it has more of them than headless: see test_session."""
    ended = headless(person, sample, telling)
    assert ended.status == ExitCode.OK, ended.stderr
    assert set(ended.model.agent.tool_names) <= set(TOOLS)
    assert {"Execute", "Edit", "Read", "Task"} <= set(ended.model.agent.tool_names)
    proof = sample.root / ".lw_coder/worktrees" / PLAN_ID / PROOF
    assert proof.exists()
    _keeps_no_value(ended)
    _says_nothing_of_checks(ended)
    # The same, but that the list in the run's settings has no Execute any more.
    proof.unlink()
    settings = ended.run / "policy.json"
    settings.write_text(settings.read_text().replace("|Execute|", "|"))
    _, model = replayed_by_hand(person, ended, shell_agent([f"touch {PROOF}"]))
    assert not proof.exists()
    assert "not among those of an lw_coder session" in model.agent.steps[-1].result


def _keeps_no_value(ended: Headless) -> None:
    assert KEY in str(ended.model.requests[-1].body)
    kept = [(ended.run / name).read_text() for name in ("events.jsonl", "summary.md", "run.json")]
    assert not any(KEY in text for text in (*kept, ended.stdout, ended.stderr))
    assert "[OPENROUTER_API_KEY]" in ended.stdout


def _says_nothing_of_checks(ended: Headless) -> None:
    """There are none."""
    assert "Checks:" not in ended.stderr + ended.stdout
    assert "Verdict:" not in ended.stderr + ended.stdout
    assert "verdict" not in ended.record or ended.record["verdict"] is None
