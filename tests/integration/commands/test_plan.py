"""`lw_coder plan` from end to end: real engine, real droid, a scripted planner over HTTP."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from lw_coder.containers.image_names import repo_hash
from lw_coder.containers.labels import PROXY_LABEL
from lw_coder.plans.plan_file import read_plan
from lw_coder.repository.git import find_repository, root_commit
from lw_coder.repository.temporary_worktrees import create_temp_worktree, temporary_worktree
from lw_coder.sessions.container_paths import MAIN_PROMPT
from tests.integration.conftest import LW_CODER, Person, sessions_in
from tests.integration.headless_session import with_gateway
from tests.support.engine import bridge_address, docker
from tests.support.patience import NEVER
from tests.support.plan_script import (
    ASTRAY,
    BROKEN,
    FINDING,
    OVERWRITE,
    PLAN_ID,
    PLANT,
    QUESTION,
    REVIEWED,
    REVIEWER,
    SUMMARY_TITLE,
    scripted_planner,
)
from tests.support.sample_repository import PLAN, SampleRepository
from tests.support.scripted_model import Conversation, HttpFailure, Reply, ScriptedModel
from tests.support.terminal import Terminal

WRITTEN = Path(f".lw_coder/tasks/{PLAN_ID}.md")
SHOWN = SUMMARY_TITLE.removeprefix("# ")
IDEA = "Let the greeting be shouted."
TYPED_BY_A_SHELL = ("sh", "-c", f"echo process $$; exec {LW_CODER} plan --text '{IDEA}'")


@pytest.fixture
def model(engine: str) -> Iterator[ScriptedModel]:
    assert engine
    with ScriptedModel(scripted_planner, host=bridge_address()) as server:
        yield server


def plans(
    person: Person, *arguments: str, until: str = SHOWN, look: Callable[[], object] = lambda: None
) -> str:
    """Type `lw_coder plan`, wait for the agent's words, look at something, leave; return what was shown."""
    with person.types(LW_CODER, "plan", *arguments) as terminal:
        terminal.wait_for(until)
        look()
        assert terminal.leave() == 0, terminal.text
        return terminal.text


def send(number: signal.Signals, terminal: Terminal) -> None:
    """Send a signal to lw_coder alone, once the agent has shown its plan."""
    terminal.wait_for(SHOWN)
    found = re.search(rb"process (\d+)", terminal.transcript)
    assert found
    os.kill(int(found[1]), number)


def temp_worktrees(sample: SampleRepository) -> list[str]:
    return [path.name for path in sample.root.glob(".lw_coder/temp-worktrees/*/")]


def record(sample: SampleRepository) -> dict[str, object]:
    (found,) = sample.root.glob(".lw_coder/runs/@plan/*/run.json")
    return dict(json.loads(found.read_text()))


def pauses(sample: SampleRepository) -> list[dict[str, str]]:
    """Return the pause that the gateway of the only session tells of, if it does."""
    states = sample.root.glob(".lw_coder/runs/@plan/*/gateway/state.json")
    return [found for state in states if (found := json.loads(state.read_text())["paused"])]


def test_a_session_stays_open_while_its_provider_is_busy_and_goes_on(
    sample: SampleRepository, person: Person
) -> None:
    numbers, told = count(), list[dict[str, str]]()

    def busy_once(conversation: Conversation) -> Reply:
        if conversation.kind == "agent" and next(numbers) == 1:
            return Reply(failure=HttpFailure(429))
        return scripted_planner(conversation)

    def is_paused() -> bool:
        told.extend(pauses(sample))
        return bool(told)

    with_gateway(sample, "provider_wait = 1\n")  # seconds
    with ScriptedModel(busy_once, host=bridge_address()) as model:
        sample.write_env(model.base_url)
        with person.types(LW_CODER, "plan", "--text", IDEA) as terminal:
            terminal.wait_until(is_paused, "the pause")
            assert told[0]["why"] == "the provider answers 429"
            until = datetime.fromisoformat(told[0]["until"]) + timedelta(seconds=1)
            terminal.wait_until(lambda: datetime.now(UTC) > until, "the end of the pause")
            assert sessions_in(sample.root), "the person decides when it ends"
            terminal.type("Go on, please.")
            terminal.wait_for("Go on, please.")
            terminal.type("\r")
            terminal.wait_for(SHOWN)
            assert terminal.leave() == 0, terminal.text
    assert read_plan(sample.root / WRITTEN).metadata.plan_id == PLAN_ID
    ended = record(sample)["ended"]
    assert isinstance(ended, dict)
    assert (ended["outcome"], ended["plans"]) == ("completed", [str(WRITTEN)])
    assert (sessions_in(sample.root), temp_worktrees(sample)) == ([], [])


def test_an_idea_becomes_a_valid_plan_that_was_reviewed(
    sample: SampleRepository, person: Person, model: ScriptedModel
) -> None:
    head, before = sample.git("rev-parse", "HEAD"), sample.git("worktree", "list")
    with person.types(LW_CODER, "plan", "--text", f"{IDEA} {REVIEWED}") as terminal:
        terminal.wait_for(SHOWN)
        terminal.wait_for(FINDING[:60])
        status, refused = person.runs_to_the_end("runs", "import", "@plan")
        assert (status, "a session is running on its worktree" in refused) == (1, True)
        (container,) = sessions_in(sample.root)
        droids = docker("exec", container, "ls", "/home/droiduser/.factory/droids").split()
        mounted = docker("exec", container, "cat", MAIN_PROMPT)
        assert terminal.leave() == 0, terminal.text

    assert droids == [f"{REVIEWER}.md"]
    assert IDEA in mounted
    assert head in mounted
    plan = read_plan(sample.root / WRITTEN)
    assert (plan.metadata.plan_id, plan.metadata.git_sha) == (PLAN_ID, head)
    assert f"Plan:     {WRITTEN}" in terminal.text
    assert f"Next:     lw_coder code {PLAN_ID}" in terminal.text
    assert (sample.root / WRITTEN).stat().st_uid == os.getuid()
    assert sample.git("worktree", "list") == before
    assert not temp_worktrees(sample)
    assert sample.git("status", "--porcelain") == f"?? {WRITTEN}"
    assert record(sample)["kind"] == "plan"
    assert model.count("dspy") == 0


def test_an_idea_in_a_file_in_a_repository_without_a_config_and_what_is_planted_is_not_opened(
    sample: SampleRepository, person: Person, tmp_path: Path
) -> None:
    """Before it, what a killed session left goes; beside it, another one overwrites a plan, which is kept."""
    own = sample.root / ".lw_coder/worktrees/sample-plan"
    sample.git("worktree", "add", "--quiet", "-b", "lw/task/sample-plan", str(own), sample.sha)
    (own / "draft.txt").write_text("not committed")
    (sample.root / ".lw_coder/config.toml").unlink()
    (sample.root / ".lw_coder/code.Dockerfile").unlink()
    idea = tmp_path / "idea.md"
    idea.write_text(f"# An idea\n\n{IDEA} It costs $HOME and ${{nothing}}. {PLANT}\n")
    create_temp_worktree(find_repository(sample.root), sample.sha, "plan-left")
    leftover = _container_on(sample, "plan-left")
    text = plans(person, str(idea), look=lambda: _goes_on_beside_another(sample, person, leftover))
    assert "Removed:  .lw_coder/temp-worktrees/plan-left" in text
    assert not temp_worktrees(sample)
    assert f"Next:     lw_coder code {PLAN_ID}" in text
    assert "without your uncommitted changes" in text
    prompt = min(sample.root.glob(".lw_coder/runs/@plan/*/prompts/main.md"))
    assert idea.read_text().strip() in prompt.read_text()
    assert (own / "draft.txt").read_text() == "not committed"
    assert sample.git("worktree", "list").count("\n") == 1
    for name in ("link.md", "pipe.md"):
        assert f"warning: .lw_coder/tasks/{name}: is not a regular file; inspect and remove it" in text


def _goes_on_beside_another(sample: SampleRepository, person: Person, leftover: str) -> None:
    (in_use,) = temp_worktrees(sample)
    (container,) = sessions_in(sample.root)
    assert container != leftover
    _overwrites_a_plan(sample, person)
    assert temp_worktrees(sample) == [in_use]
    assert sessions_in(sample.root) == [container]


def test_without_an_idea_the_agent_asks_and_a_worktree_whose_lock_is_held_stays(
    sample: SampleRepository, person: Person
) -> None:
    with temporary_worktree(find_repository(sample.root), sample.sha) as worktree:
        assert "Plan:     none was written" in plans(person, until=QUESTION)
        assert temp_worktrees(sample) == [worktree.path.name]
        assert (worktree.path / "greeting.py").is_file()


def test_a_plan_put_into_the_worktree_is_not_lost_with_it_nor_is_a_commit(
    sample: SampleRepository, person: Person
) -> None:
    """And its session is confined as one of `code` is."""
    (sample.root / ".lw_coder/config.toml").write_text("[code]\nallow_hosts = []\n", encoding="ascii")

    def is_refused() -> None:
        (container,) = sessions_in(sample.root)
        ask = "curl -s -m 120 -o /dev/null -w '%{http_code}' http://listed.test; true"
        assert docker("exec", container, "sh", "-c", ask) == "403"

    text = plans(person, "--text", ASTRAY, look=is_refused)
    assert "Next:     lw_coder code astray" in text
    assert (sample.root / ".lw_coder/tasks/astray.md").is_file()
    (kept,) = sample.root.glob(".lw_coder/runs/@plan/*/left/ideas/PLAN.md")
    assert kept.read_text() == (sample.root / WRITTEN).read_text()
    assert "ideas/PLAN.md: was written outside .lw_coder/tasks; a copy is kept as" in text
    ref = sample.git("for-each-ref", "--format=%(refname)", "refs/lw_coder")
    assert ref.startswith("refs/lw_coder/@plan/")
    assert ref.endswith("/detached")
    assert ref in text.replace("\n", "")
    _is_shown_without_a_replay_and_has_been_imported(person)
    assert "listed.test (1x)" in text
    ended = record(sample)["ended"]
    assert isinstance(ended, dict)
    assert ended["refused"]["listed.test"] == 1  # droid asks for others
    repository = find_repository(sample.root)
    identity = repo_hash(root_commit(repository), repository.common_dir)
    assert identity not in docker("network", "ls", "--filter", f"label={PROXY_LABEL}")


def _is_shown_without_a_replay_and_has_been_imported(person: Person) -> None:
    status, shown = person.runs_to_the_end("runs", "show", "@plan")
    assert (status, "replay:" in shown, "damaged" in shown) == (0, False, False)
    status, told = person.runs_to_the_end("runs", "import", "@plan")
    assert (status, "There is nothing to import" in told) == (0, True)
    assert person.runs_to_the_end("runs", "export") == (0, "")


def test_a_status_of_the_session_is_the_commands_and_the_plan_is_kept(
    sample: SampleRepository, person: Person
) -> None:
    with person.types(LW_CODER, "plan", "--text", IDEA) as terminal:
        terminal.wait_for(SHOWN)
        docker("kill", *sessions_in(sample.root))
        assert terminal.wait() == 4
    assert "the session ended with status 137" in terminal.text
    assert f"Next:     lw_coder code {PLAN_ID}" in terminal.text
    assert not temp_worktrees(sample)


def _overwrites_a_plan(sample: SampleRepository, person: Person) -> None:
    original = sample.plan.read_text()
    text = plans(person, "--text", OVERWRITE)
    kept = max(sample.root.glob(".lw_coder/runs/@plan/*/tasks-before/sample-plan.md"))
    assert kept.read_text() == original
    assert sample.plan.read_text() == "overwritten\n"
    assert f"{PLAN} was changed during the session; original:" in text
    assert str(kept.relative_to(sample.root)) in text.replace("\n", "")
    assert f"{PLAN}: has no front matter" in text


def test_a_killed_command_loses_no_plan_and_the_next_one_tidies_up_and_tells_of_a_broken_one(
    sample: SampleRepository, person: Person
) -> None:
    with person.types(*TYPED_BY_A_SHELL) as terminal:
        send(signal.SIGKILL, terminal)
        terminal.wait_until(lambda: not terminal.is_running, "the end of lw_coder")
    assert (sample.root / WRITTEN).is_file()
    (stale,) = temp_worktrees(sample)
    (sample.root / ".lw_coder/temp-worktrees" / stale / "PLAN.md").write_text("# A plan beside the others\n")
    (killed,) = sample.root.glob(".lw_coder/runs/@plan/2*")
    killed.with_name(".partial-20250101T000000Z").touch()
    killed.with_name("20250101T000000Z").mkdir()
    text = plans(person, "--text", BROKEN)
    assert f"warning: {WRITTEN}: git_sha: is missing; add the line git_sha: " in text
    assert "Next:" not in text
    assert (sample.root / WRITTEN).is_file()
    assert (killed / "left/PLAN.md").read_text() == "# A plan beside the others\n"
    assert json.loads((killed / "run.json").read_text())["ended"]["notes"] == ["interrupted"]
    assert not list(sample.root.glob(".lw_coder/runs/@plan/.partial-*"))
    assert not (killed.with_name("20250101T000000Z")).exists()
    assert f"Removed:  .lw_coder/temp-worktrees/{stale}" in text
    assert not temp_worktrees(sample)
    assert not sessions_in(sample.root)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_command_that_is_asked_to_end_tidies_up_and_loses_no_plan(
    sample: SampleRepository, person: Person, number: signal.Signals
) -> None:
    with person.types(*TYPED_BY_A_SHELL) as terminal:
        send(number, terminal)
        assert terminal.wait() == 128 + number
    assert (sample.root / WRITTEN).is_file()
    assert not temp_worktrees(sample)
    assert not sessions_in(sample.root)


def test_ctrl_c_before_the_session_leaves_nothing(sample: SampleRepository, person: Person) -> None:
    (sample.root / ".gitattributes").write_text("greeting.py filter=slow\n")
    sample.git("add", ".gitattributes")
    sample.git("commit", "--quiet", "--message", "Check out slowly")
    sample.git("config", "filter.slow.smudge", f"sleep {NEVER}; cat")
    with person.types(LW_CODER, "plan", "--text", IDEA) as terminal:
        terminal.wait_until(lambda: bool(temp_worktrees(sample)), "a worktree")
        terminal.press_ctrl_c()
        assert terminal.wait() == 130
    assert terminal.text.endswith("interrupted")
    assert not temp_worktrees(sample)
    assert sample.git("worktree", "list").count("\n") == 0
    assert not (sample.root / ".lw_coder/runs").exists()
    assert not (sample.root / ".lw_coder/temp-worktrees").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("missing.md",), "missing.md: file not found"),
        (("folder",), "folder: is not a file"),
        (("latin.md",), "latin.md: is not UTF-8 text; save it as UTF-8"),
        (("empty.md",), "empty.md: is empty; write what to plan"),
        (("--text", " "), "--text: is empty; write what to plan"),
    ],
)
def test_an_idea_that_cannot_be_read_is_one_line(
    sample: SampleRepository, person: Person, arguments: tuple[str, ...], said: str
) -> None:
    (sample.root / "folder").mkdir()
    (sample.root / "latin.md").write_bytes("caf\u00e9".encode("latin-1"))
    (sample.root / "empty.md").write_text(" \n")
    status, text = person.runs_to_the_end("plan", *arguments)
    assert (status, text.count("\n")) == (1, 0)
    assert text.startswith(f"error: {said}")
    assert not (sample.root / ".lw_coder/runs").exists()


def test_a_repository_without_a_commit_is_one_line(sample: SampleRepository, person: Person) -> None:
    sample.git("checkout", "--quiet", "--orphan", "empty")
    status, text = person.runs_to_the_end("plan", "--text", IDEA)
    assert status == 1
    assert "there is no commit yet; make a first commit" in text.replace("\n", "")


def test_a_broken_config_is_an_error(sample: SampleRepository, person: Person) -> None:
    (sample.root / ".lw_coder/config.toml").write_text("[code]\nenvfile = 1\n")
    status, text = person.runs_to_the_end("plan", "--text", IDEA)
    assert status == 1
    assert ".lw_coder/config.toml: [code] envfile: unknown key" in text


def test_without_a_terminal_nothing_starts(sample: SampleRepository, person: Person) -> None:
    command = [LW_CODER, "plan", "--text", IDEA]
    done = subprocess.run(
        command, cwd=sample.root, env=person.env, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: there is no terminal")


def test_both_ideas_or_another_tool_are_wrong_usage(person: Person) -> None:
    status, text = person.runs_to_the_end("plan", "a.md", "--text", "b")
    assert (status, "not both" in text) == (2, True)
    status, text = person.runs_to_the_end("plan", "a.md", "--tool", "other")
    assert (status, "'other' is not 'droid'" in text) == (2, True)


def _container_on(sample: SampleRepository, worktree: str) -> str:
    """Start what a killed command can leave: a session's container, which nobody waits for."""
    repository = find_repository(sample.root)
    identity = repo_hash(root_commit(repository), repository.common_dir)
    labels = (f"lw_coder.plan={identity}/@plan/{worktree}", "lw_coder.session=true")
    options = [part for label in labels for part in ("--label", label)]
    bind = f"{sample.root}/.lw_coder/temp-worktrees/{worktree}:/workspace"
    return docker("run", "--detach", *options, "-v", bind, "lw_coder_droid:latest", "sleep", "infinity")
