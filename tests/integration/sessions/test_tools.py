"""The tools of a session: what the real droid offers is listed, and what is not listed is refused."""

from __future__ import annotations

from lw_coder.containers.docker_command import COMPOSE_FILE
from lw_coder.sessions.droid_settings import TOOLS
from tests.integration.conftest import Person
from tests.integration.played_session import played
from tests.support.sample_repository import SampleRepository
from tests.support.shell_agent import DONE, shell_agent

PROOF = "proof-of-a-tool"


def test_a_session_has_the_listed_tools_and_no_others(sample: SampleRepository, person: Person) -> None:
    with played(person, sample, shell_agent([f"touch {PROOF}"])) as session:
        assert set(session.agent.tool_names) <= set(TOOLS)
        assert {"Execute", "Edit", "Read", "Task"} <= set(session.agent.tool_names)
        proof = sample.root / ".lw_coder/worktrees" / session.execution.plan_id / PROOF
        assert proof.exists()
        assert session.execution.end() == 0
        # The same, but that the list in the run's settings has no Execute any more.
        proof.unlink()
        settings = session.execution.run / "policy.json"
        settings.write_text(settings.read_text().replace("|Execute|", "|"))
        compose = (session.execution.run / COMPOSE_FILE).relative_to(sample.root)
        with person.types("docker", "compose", "-f", str(compose), "run", "--rm", "droid") as replay:
            replay.wait_for(DONE)
            assert replay.leave() == 0
        assert not proof.exists()
        told = [step.result for request in session.model.requests for step in request.conversation.steps]
        assert "not among those of an lw_coder session" in told[-1]
