"""From a session to a tuned prompt program and the next session, by the blocks of the how-to page."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.integration.conftest import LW_CODER, Person
from tests.integration.execution import run_folders
from tests.integration.known_prompts import offer
from tests.support.engine import bridge_address
from tests.support.sample_repository import PLAN_ID, SampleRepository
from tests.support.scripted_model import Conversation, Reply, ScriptedModel
from tests.support.shell_agent import shell_agent
from tests.support.tuning_script import BETTER, FEEDBACK, OUTPUTS, TUNED, blocks_of_page, scripted_tuning

CONFIG = ".lw_coder/config.toml"


def script(conversation: Conversation) -> Reply:
    """Play DSPy's models, and an agent that has nothing to do."""
    return scripted_tuning(conversation) if conversation.kind == "dspy" else shell_agent([])(conversation)


def _reads(person: Person, code: str, *interpreter: str) -> None:
    """Run a block of the page in the repository."""
    path = f"{Path(LW_CODER).parent}:{person.env['PATH']}"
    done = subprocess.run(
        [*interpreter, code],
        cwd=person.cwd,
        env={**person.env, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def _carried_out(person: Person) -> Path:
    """Carry the plan out, without a terminal; return the run."""
    done = person.runs_alone("code", PLAN_ID, "--headless")
    assert done.returncode == 0, done.stderr
    return run_folders(person.cwd, PLAN_ID)[-1]


def test_what_was_tuned_on_runs_is_what_the_next_session_gets(
    person: Person, sample: SampleRepository
) -> None:
    with ScriptedModel(script, host=bridge_address()) as model:
        sample.write_env(model.base_url)
        before = _carried_out(person)
        assert str(OUTPUTS["main_prompt"]) in (before / "prompts/main.md").read_text(encoding="utf-8")
        for block in blocks_of_page("sh"):
            _reads(person, block, "sh", "-ec")
        _reads(person, blocks_of_page("python")[0], sys.executable, "-c")
    status, shown = person.runs_to_the_end("runs", "show", before.name)
    assert (status, FEEDBACK in shown) == (0, True)

    (setting,) = blocks_of_page("toml")
    config = sample.root / CONFIG
    config.write_text(config.read_text(encoding="utf-8").replace("[code]\n", setting), encoding="utf-8")
    with ScriptedModel(script, host=bridge_address()) as model:
        offer(person, sample, model)
        after = _carried_out(person)
        assert [request for request in model.requests if request.kind == "dspy"] == []
    assert BETTER in (after / "prompts/main.md").read_text(encoding="utf-8")
    record = json.loads((after / "run.json").read_text(encoding="utf-8"))
    assert record["cache_hit"] is True
    assert TUNED in json.dumps(record["program_state"])
