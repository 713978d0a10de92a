"""The checks after a session of `lw_coder code`, with the real droid.

test_code leaves them out, and test_tools has none.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from lw_coder.foundation.errors import ExitCode
from tests.integration.conftest import LW_CODER, SUMMARY, Person
from tests.integration.headless_session import headless
from tests.integration.verdicts.scene import check_containers
from tests.support.result_schema import result_of
from tests.support.sample_repository import PLAN_ID, SampleRepository
from tests.support.shell_agent import shell_agent

BRANCH = f"lw/task/{PLAN_ID}"

pytestmark = pytest.mark.usefixtures("known_prompts")


def configure(sample: SampleRepository, *checks: str) -> None:
    config = sample.root / ".lw_coder/config.toml"
    config.write_text(f"{config.read_text()}\nchecks = {json.dumps(checks)}\n")


def record(sample: SampleRepository) -> dict[str, Any]:
    (run,) = (path for path in (sample.root / ".lw_coder/runs" / PLAN_ID).iterdir() if path.name[0] != ".")
    found: dict[str, Any] = json.loads((run / "run.json").read_text())
    return found


def carry_out(person: Person) -> tuple[int, str]:
    with person.types(LW_CODER, "code", PLAN_ID) as terminal:
        terminal.wait_for(SUMMARY)
        return terminal.leave(), terminal.text


def test_the_verdict_is_shown_and_decides_the_status(sample: SampleRepository, person: Person) -> None:
    configure(sample, "python3 -m unittest -q", "grep -q world greeting.py")
    status, text = carry_out(person)
    assert status == ExitCode.OK, text
    assert "Verdict:  passed" in text
    verdict = record(sample)["verdict"]
    assert [check["result"] for check in verdict["checks"]] == ["fixed", "fixed"]
    assert verdict["tip"] == sample.git("rev-parse", BRANCH)
    assert not check_containers(sample.root, PLAN_ID)

    configure_again = (sample.root / ".lw_coder/config.toml").read_text().replace("grep -q", "! grep -q")
    (sample.root / ".lw_coder/config.toml").write_text(configure_again)
    status, text = person.runs_to_the_end("verify", PLAN_ID)
    assert status == ExitCode.VERDICT
    assert "BROKEN" in text


def test_ctrl_c_skips_the_checks_alone(sample: SampleRepository, person: Person) -> None:
    configure(sample, "sleep 36000")
    with person.types(LW_CODER, "code", PLAN_ID) as terminal:
        terminal.wait_for(SUMMARY)
        while terminal.is_raw:
            terminal.press_ctrl_c()
            terminal.settle(0.1)
        while not check_containers(sample.root, PLAN_ID):
            assert terminal.settle(0.2), terminal.text
        terminal.press_ctrl_c()
        status = terminal.wait()
        text = terminal.text
    assert status == ExitCode.INTERRUPTED, text
    assert "the checks were interrupted; to run them, type: lw_coder verify" in text
    assert f"1 new on {BRANCH}" in text
    assert record(sample).get("verdict") is None
    assert not check_containers(sample.root, PLAN_ID)


def test_a_headless_session_is_judged_too(sample: SampleRepository, person: Person) -> None:
    configure(sample, "test -e done.txt", "! test -e done.txt")
    commit = "echo done > done.txt && git add done.txt && git commit -q -m 'Do it'"
    ended = headless(person, sample, shell_agent([commit]), "--json")
    result = result_of(ended.stdout)
    assert (ended.status, result["exit_code"], result["outcome"]) == (6, 6, "completed")
    assert [check["result"] for check in result["verdict"]["checks"]] == ["fixed", "broken"]
    assert result["verdict"] == record(sample)["verdict"]
    status, text = person.runs_to_the_end("code", PLAN_ID, "--headless", "--no-checks")
    assert status == ExitCode.USAGE
    assert "--no-checks cannot be used with --headless" in text
