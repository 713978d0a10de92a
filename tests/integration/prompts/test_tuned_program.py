"""From a session to a tuned prompt program and the next session, by the blocks of the how-to page."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.integration.conftest import LW_CODER, Person
from tests.integration.played_session import played
from tests.support.sample_repository import SampleRepository
from tests.support.scripted_model import Conversation, Reply
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


def test_what_was_tuned_on_runs_is_what_the_next_session_gets(
    person: Person, sample: SampleRepository
) -> None:
    with played(person, sample, script, asks=True) as first:
        before = first.execution.run
        assert str(OUTPUTS["main_prompt"]) in (before / "prompts/main.md").read_text(encoding="utf-8")
        for block in blocks_of_page("sh"):
            _reads(person, block, "sh", "-ec")
        _reads(person, blocks_of_page("python")[0], sys.executable, "-c")
    status, shown = person.runs_to_the_end("runs", "show", before.name)
    assert (status, FEEDBACK in shown) == (0, True)

    (setting,) = blocks_of_page("toml")
    config = sample.root / CONFIG
    config.write_text(config.read_text(encoding="utf-8").replace("[code]\n", setting), encoding="utf-8")
    with played(person, sample, script) as second:
        assert [request for request in second.model.requests if request.kind == "dspy"] == []
        assert BETTER in (second.execution.run / "prompts/main.md").read_text(encoding="utf-8")
        record = json.loads((second.execution.run / "run.json").read_text(encoding="utf-8"))
    assert record["cache_hit"] is True
    assert TUNED in json.dumps(record["program_state"])
