"""A session on the sample repository whose agent follows a test's own script."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tests.integration.conftest import LW_CODER, Person
from tests.integration.execution import Execution
from tests.integration.known_prompts import offer
from tests.support.engine import bridge_address
from tests.support.sample_repository import PLAN_ID, SampleRepository
from tests.support.scripted_model import Conversation, Script, ScriptedModel
from tests.support.shell_agent import DONE
from tests.support.terminal import Terminal


@dataclass(frozen=True)
class Played:
    """A session with its last words on the screen, and the model behind it."""

    execution: Execution
    model: ScriptedModel

    @property
    def agent(self) -> Conversation:
        """The agent's conversation, with all of its steps."""
        return self.model.agent

    @property
    def results(self) -> list[str]:
        """What the agent's steps gave back, in their order."""
        return [step.result for step in self.agent.steps]

    @property
    def text(self) -> str:
        """All that the terminal showed."""
        return self.execution.terminal.text


Offer = Callable[[Person, SampleRepository, ScriptedModel], object]

Meanwhile = Callable[[Terminal, ScriptedModel], object]


@contextmanager
def played(
    person: Person,
    sample: SampleRepository,
    script: Script,
    *,
    under: Sequence[str] = (),
    meanwhile: Meanwhile | None = None,
    offers: Offer = offer,
) -> Iterator[Played]:
    """Type `lw_coder code` and wait for the agent's last words; afterwards leave, unless the test has.

    Args:
        person: types.
        sample: where.
        script: what the model says.
        under: a command that lw_coder is started by.
        meanwhile: looks at something once the command is typed.
        offers: writes the env file; the prompts are known, unless another one is given.
    """
    with ScriptedModel(script, host=bridge_address()) as model:
        offers(person, sample, model)
        with person.types(*under, LW_CODER, "code", PLAN_ID) as terminal:
            execution = Execution(terminal, sample.root, PLAN_ID)
            if meanwhile:
                meanwhile(terminal, model)
            execution.wait_for(DONE)
            assert execution.status is None, terminal.text
            yield Played(execution, model)
            assert execution.end() == 0, terminal.text
