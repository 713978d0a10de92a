"""`[code] setup`: commands that prepare the worktree in the session's container, before the agent starts."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.integration.conftest import Person
from tests.integration.execution import run_folders
from tests.integration.headless_session import Headless, headless, replayed_by_hand
from tests.support.patience import NEVER
from tests.support.result_schema import result_of
from tests.support.sample_repository import KEY, PLAN_ID, SampleRepository
from tests.support.shell_agent import shell_agent

FAILING = ["echo one", "echo why $OPENROUTER_API_KEY; exit 3", "touch never.txt"]


def worktree(sample: SampleRepository) -> Path:
    return sample.root / ".lw_coder/worktrees" / PLAN_ID


def configure(sample: SampleRepository, setup: list[str], *lines: str) -> None:
    text = "\n".join(["[code]", f"setup = {json.dumps(setup)}", *lines, ""])
    (sample.root / ".lw_coder/config.toml").write_text(text, encoding="ascii")


def test_the_agent_finds_a_prepared_worktree_and_so_does_a_replay(
    sample: SampleRepository, person: Person
) -> None:
    commands = [
        "pwd && echo prepared >> prepared.txt",
        "echo $OPENROUTER_API_KEY; cat prepared.txt; curl --silent http://blocked.example.org/ > refused.txt",
    ]
    configure(sample, commands, "allow_hosts = []")
    ended = headless(person, sample, shell_agent(["grep -c prepared prepared.txt"]))
    assert ended.status == 0, ended.stderr
    assert "Setup:    before the agent starts, 2 commands run" in ended.stderr
    assert "Refused:  blocked.example.org" in ended.stderr
    (told,) = [event["value"] for event in ended.events if event["type"] == "tool_result"]
    assert told.split()[0] == "1"
    log = ended.run / "setup.log"
    assert log.stat().st_mode & 0o777 == 0o600
    lines = log.read_text().splitlines()
    assert lines[:3] == [f"$ {commands[0]}", "/workspace", f"$ {commands[1]}"]
    assert lines[3:5] == ["[OPENROUTER_API_KEY]", "prepared"]
    _replays(sample, person, ended)


def _replays(sample: SampleRepository, person: Person, ended: Headless) -> None:
    replayed_by_hand(person, ended, shell_agent(["wc -l < prepared.txt"]))
    assert (worktree(sample) / "prepared.txt").read_text() == "prepared\n" * 2
    subprocess.run(
        ["docker", "compose", "--file", ended.run / "compose.yml", "down"],
        env=person.env,
        check=True,
        capture_output=True,
    )


def test_a_failing_command_stops_the_run_before_its_agent(sample: SampleRepository, person: Person) -> None:
    configure(sample, FAILING, 'checks = ["true"]', 'notify = ["sh", "-c", "cat > told.json"]')
    ended = headless(person, sample, shell_agent(["touch agent.txt"]), "--json")
    result = result_of(ended.stdout)
    assert (ended.status, result["exit_code"], result["outcome"]) == (7, 7, "setup"), ended.stderr
    assert result["ended"]["reason"] == f"the setup command failed with status 3: {FAILING[1]}"
    assert "  | why [OPENROUTER_API_KEY]\n" in ended.stderr
    assert ended.stderr.index("  | why ") < ended.stderr.index("warning: the setup command failed")
    assert result["verdict"] is None
    assert (sample.root / "told.json").read_text() == ended.stdout
    assert ended.model.count("agent") == 0
    assert not (worktree(sample) / "never.txt").exists()
    assert ended.ended["outcome"] == "setup"
    assert result["paths"]["setup_log"] == str(ended.run / "setup.log")
    log = (ended.run / "setup.log").read_text()
    assert log.endswith("command 2 of 3 of [code] setup failed with status 3\n")
    assert KEY not in log + ended.stdout + ended.stderr + (ended.run / "setup/commands.json").read_text()
    assert list((ended.run / "setup/out").iterdir()) == []


@pytest.mark.usefixtures("known_prompts")
def test_at_a_terminal_the_output_is_seen_and_preparing_is_not_idle(
    sample: SampleRepository, person: Person
) -> None:
    configure(sample, ["echo begun; sleep 8; exit 5"], "limits = { idle_minutes = 0.05 }")
    status, text = person.runs_to_the_end("code", PLAN_ID)
    assert status == 7, text
    assert text.index("$ echo begun") < text.index("\nbegun") < text.index("  | begun")
    assert "the setup command failed with status 5" in text


def test_it_counts_to_the_minutes_of_a_session(sample: SampleRepository, person: Person) -> None:
    configure(sample, [f"echo waits; sleep {NEVER:.0f}"], "limits = { minutes = 1 }")
    ended = headless(person, sample, shell_agent([]))
    assert ended.status == 5, ended.stderr
    assert ended.model.count("agent") == 0
    assert "waits\n" in (ended.run / "setup.log").read_text()
    assert run_folders(sample.root, PLAN_ID) == [ended.run]
