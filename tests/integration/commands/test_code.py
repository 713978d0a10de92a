"""`lw_coder code` from end to end: real engine, real image, real droid, a scripted model over HTTP."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests.integration.conftest import LW_CODER, SUMMARY, Person, sessions_in
from tests.integration.execution import AtWork
from tests.support.agent_script import COMMIT_MESSAGE, FINDINGS, SUBAGENTS, scripted_demo
from tests.support.engine import docker
from tests.support.living import is_held
from tests.support.patience import wait_until
from tests.support.sample_repository import PLAN, PLAN_ID, SampleRepository
from tests.support.scripted_model import ScriptedModel, ToolCall
from tests.support.terminal import Terminal

BRANCH = f"lw/task/{PLAN_ID}"


@pytest.mark.parametrize("script", [scripted_demo], ids=["with-subagents"])
def test_a_plan_is_carried_out_and_its_commit_comes_home(
    sample: SampleRepository, person: Person, model: ScriptedModel
) -> None:
    """The model is `script`, which calls both subagents; the other tests do without them."""
    before = _main_worktree(sample)
    terminal = person.carries_out(str(PLAN), check=_shows_both_findings)

    called = [call.arguments["subagent_type"] for call in _task_calls(model)]
    assert set(called) == set(SUBAGENTS)  # on a busy machine one is called again
    assert sample.git("log", "--format=%s", f"{sample.sha}..{BRANCH}") == COMMIT_MESSAGE
    assert sample.git("show", f"{BRANCH}:greeting.py").startswith('def greet(name):\n    return "Hello, "')
    assert _main_worktree(sample) == before
    assert f"1 new on {BRANCH}" in terminal.text


def test_pressing_ctrl_c_too_often_does_not_stop_the_commits_from_coming_home(
    sample: SampleRepository, person: Person, model: ScriptedModel
) -> None:
    """There are checks, which are left out; and what was done is done again by a fresh replay."""
    config = sample.root / ".lw_coder/config.toml"
    without_checks = config.read_text()
    config.write_text(f'{without_checks}\nchecks = ["false"]\n')
    with person.types(LW_CODER, "code", PLAN_ID, "--no-checks") as terminal:
        terminal.wait_for(SUMMARY)
        while terminal.is_raw:
            terminal.press_ctrl_c()
            terminal.settle(0.1)
        for _ in range(3):  # what they meet now is no droid any more
            terminal.press_ctrl_c()
        assert terminal.wait() == 0, terminal.text
    assert sample.git("log", "-1", "--format=%s", BRANCH) == COMMIT_MESSAGE, terminal.text
    assert "Checks:" not in terminal.text
    (run,) = _runs(sample)
    assert json.loads((run / "run.json").read_text()).get("verdict") is None
    config.write_text(without_checks)
    _is_replayed_at_a_terminal(sample, person, model)


def _is_replayed_at_a_terminal(sample: SampleRepository, person: Person, model: ScriptedModel) -> None:
    with person.types(LW_CODER, "runs", "replay", "latest", "--fresh") as terminal:
        terminal.wait_for(SUMMARY)
        assert terminal.leave() == 0, terminal.text
    assert model.count("dspy") == 1  # the prompts are those of the run
    (made,) = (sample.root / ".lw_coder/runs/@replay").iterdir()
    ref = f"refs/lw_coder/@replay/{made.name}/detached"
    assert sample.git("log", "--format=%s", f"{sample.sha}..{ref}") == COMMIT_MESSAGE


@pytest.mark.usefixtures("known_prompts")
def test_an_exit_status_of_the_session_is_told_and_recorded(sample: SampleRepository, person: Person) -> None:
    """So is what its proxy refused."""
    (sample.root / ".lw_coder/config.toml").write_text("[code]\nallow_hosts = []\n", encoding="ascii")
    with person.types(LW_CODER, "code", PLAN_ID) as terminal:
        terminal.wait_for(SUMMARY)
        session = AtWork(sample.root, PLAN_ID).container
        docker("exec", session, "curl", "--silent", "http://refused.test/")
        docker("kill", session)
        assert terminal.wait() == 4
    assert "the session ended with status 137" in terminal.text
    assert "refused.test (1x)" in terminal.text
    assert json.loads((_runs(sample)[0] / "run.json").read_text())["ended"]["status"] == 137


@pytest.mark.usefixtures("known_prompts")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_commits_come_home_when_a_signal_ends_lw_coder(
    sample: SampleRepository, person: Person, number: signal.Signals
) -> None:
    with person.types(LW_CODER, "code", PLAN_ID) as terminal:
        terminal.wait_for(SUMMARY)
        _signal(person, number)
        assert terminal.wait() == 128 + number
    assert f"1 new on {BRANCH}" in terminal.text
    assert sample.git("log", "-1", "--format=%s", BRANCH) == COMMIT_MESSAGE
    assert json.loads((_runs(sample)[0] / "run.json").read_text())["ended"]["status"] == 128 + number
    assert sessions_in(sample.root) == []


def test_commits_come_home_with_a_second_run_that_asks_for_no_prompts_when_lw_coder_was_killed(
    sample: SampleRepository, person: Person, model: ScriptedModel, tmp_path: Path
) -> None:
    """Nor is anything left in the folder for temporary files."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    person.extra = {"TMPDIR": str(temporary)}
    with person.types(LW_CODER, "code", PLAN_ID) as terminal:
        terminal.wait_for(SUMMARY)
        _signal(person, signal.SIGKILL)
    (left,) = temporary.glob("lw_coder-*")
    wait_until(lambda: not is_held(left), "the end of docker's client")
    (killed,) = _runs(sample)
    assert json.loads((killed / "run.json").read_text())["ended"] is None
    assert model.count("dspy") == 1
    again = person.carries_out(PLAN_ID)
    assert model.count("dspy") == 1
    assert f"Earlier run {PLAN_ID}/{killed.name}: 1 commit imported" in again.text
    assert COMMIT_MESSAGE in sample.git("log", "--format=%s", f"{sample.sha}..{BRANCH}").splitlines()
    assert json.loads((killed / "run.json").read_text())["ended"]["commits"] == 1
    assert list(temporary.glob("lw_coder-*")) == []
    _replays_by_hand(sample, person, max(_runs(sample)))


def _signal(person: Person, number: signal.Signals) -> None:
    """Signal lw_coder alone; its lock says which process it is."""
    (holder,) = person.cwd.glob(".git/lw_coder-*.plan")
    os.kill(json.loads(holder.read_text())["pid"], number)


def _replays_by_hand(sample: SampleRepository, person: Person, run: Path) -> None:
    compose = run / "compose.yml"
    with person.types(
        "docker", "compose", "-f", str(compose.relative_to(sample.root)), "run", "droid"
    ) as replay:
        replay.wait_for(SUMMARY)
        assert _image_of(sessions_in(sample.root)[0]) == _recorded_image(compose.parent)
        assert replay.leave() == 0
    docker("rm", *sessions_in(sample.root))  # `run` without --rm keeps it


def _shows_both_findings(terminal: Terminal) -> None:
    for finding in FINDINGS.values():
        terminal.wait_for(finding[:60])


def _task_calls(model: ScriptedModel) -> list[ToolCall]:
    last = max(
        (request.conversation for request in model.requests if request.kind == "agent"),
        key=lambda c: len(c.steps),
    )
    return [step.call for step in last.steps if step.call.name == "Task"]


def _main_worktree(sample: SampleRepository) -> tuple[str, ...]:
    return sample.git("status", "--porcelain"), sample.git("rev-parse", "HEAD"), sample.git("diff", "HEAD")


def _runs(sample: SampleRepository) -> list[Path]:
    return [path.parent for path in sample.root.glob(f".lw_coder/runs/{PLAN_ID}/*/run.json")]


def _image_of(container: str) -> str:
    return docker("inspect", "--format", "{{.Image}}", container)


def _recorded_image(run: Path) -> str:
    return str(json.loads((run / "run.json").read_text())["images"]["repo"])
