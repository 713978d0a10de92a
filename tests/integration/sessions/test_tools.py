"""The tools of a session: what the real droid offers is listed, and what is not listed is refused."""

from __future__ import annotations

from lw_coder.sessions.droid_settings import TOOLS
from tests.integration.conftest import Person
from tests.integration.headless_session import headless, replayed_by_hand
from tests.support.sample_repository import PLAN_ID, SampleRepository
from tests.support.shell_agent import shell_agent

PROOF = "proof-of-a-tool"


def test_a_session_has_the_listed_tools_and_no_others(sample: SampleRepository, person: Person) -> None:
    """At a terminal it has more of them than headless: see test_session."""
    script = shell_agent([f"touch {PROOF}"])
    ended = headless(person, sample, script)
    assert ended.status == 0, ended.stderr
    assert set(ended.model.agent.tool_names) <= set(TOOLS)
    assert {"Execute", "Edit", "Read", "Task"} <= set(ended.model.agent.tool_names)
    proof = sample.root / ".lw_coder/worktrees" / PLAN_ID / PROOF
    assert proof.exists()
    # The same, but that the list in the run's settings has no Execute any more.
    proof.unlink()
    settings = ended.run / "policy.json"
    settings.write_text(settings.read_text().replace("|Execute|", "|"))
    _, model = replayed_by_hand(person, ended, script)
    assert not proof.exists()
    assert "not among those of an lw_coder session" in model.agent.steps[-1].result
