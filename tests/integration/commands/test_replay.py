"""`lw_coder runs replay`: the container of a headless run again, on the plan's worktree and on a new one."""

from __future__ import annotations

import subprocess

from tests.integration.conftest import LW_CODER, SUMMARY, Person, sessions_in
from tests.integration.headless_session import Headless, headless
from tests.support.agent_script import COMMIT_MESSAGE
from tests.support.engine import bridge_address
from tests.support.json_schemas import validated
from tests.support.patience import PATIENCE
from tests.support.sample_repository import KEY, PLAN_ID, SampleRepository
from tests.support.scripted_model import ScriptedModel
from tests.support.shell_agent import DONE, shell_agent

BRANCH = f"lw/task/{PLAN_ID}"
COMMIT = 'echo more >> done.txt && git add done.txt && git commit -q -m "Line $(wc -l < done.txt)"'
TELL = 'echo "the key is $OPENROUTER_API_KEY"'


def replayed(
    person: Person, sample: SampleRepository, ended: Headless, *words: str
) -> subprocess.CompletedProcess[str]:
    # The run's settings name the model's address.
    with ScriptedModel(shell_agent([COMMIT, TELL]), host=bridge_address(), port=ended.model.port):
        done = subprocess.run(
            [LW_CODER, "runs", "replay", *words],
            cwd=sample.root,
            env=person.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    assert "Traceback" not in done.stderr
    assert sessions_in(sample.root) == []
    assert KEY not in done.stdout + done.stderr
    return done


def subjects(sample: SampleRepository, tip: str) -> list[str]:
    return sample.git("log", "--format=%s", f"{sample.sha}..{tip}").splitlines()


def test_a_run_is_replayed_where_the_plan_is_and_where_the_run_began(
    sample: SampleRepository, person: Person
) -> None:
    ended = headless(person, sample, shell_agent([COMMIT]))
    assert subjects(sample, BRANCH) == ["Line 1"]
    kept = (ended.run / "run.json").read_bytes(), (ended.run / "events.jsonl").read_bytes()

    again = replayed(person, sample, ended, "latest")
    assert again.returncode == 0, again.stderr
    assert f'"finalText":"{DONE}"' in again.stdout
    assert "[OPENROUTER_API_KEY]" in again.stdout
    assert f"Imported: refs/lw_coder/{PLAN_ID}/{ended.run.name}/heads/{BRANCH}\n" in again.stderr
    assert subjects(sample, BRANCH) == ["Line 2", "Line 1"]

    fresh = replayed(person, sample, ended, PLAN_ID, "--fresh")
    assert fresh.returncode == 0, fresh.stderr
    assert subjects(sample, BRANCH) == ["Line 2", "Line 1"]
    assert kept == ((ended.run / "run.json").read_bytes(), (ended.run / "events.jsonl").read_bytes())
    (made,) = (sample.root / ".lw_coder/runs/@replay").iterdir()
    ref = f"refs/lw_coder/@replay/{made.name}/detached"
    assert f"Imported: {ref}\n" in fresh.stderr
    assert subjects(sample, ref) == ["Line 1"]
    assert not list((sample.root / ".lw_coder/temp-worktrees").glob("plan-*"))
    listed = subprocess.run(
        [LW_CODER, "runs", "show", f"@replay/{made.name}", "--json"],
        cwd=sample.root,
        env=person.env,
        capture_output=True,
        text=True,
        check=True,
    )
    record = validated("runs-show", listed.stdout)
    assert (record["kind"], record["replays"]) == ("replay", f"{PLAN_ID}/{ended.run.name}")
    assert (record["ended"]["outcome"], record["model"]) == ("completed", ended.record["model"])

    sample.git("worktree", "remove", "--force", f".lw_coder/worktrees/{PLAN_ID}")
    refused = replayed(person, sample, ended, PLAN_ID)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "the plan's worktree does not exist any more; add --fresh" in refused.stderr
    again = replayed(person, sample, ended, "@replay")
    assert "had a temporary worktree, which is gone; name a run of a plan" in again.stderr


def test_a_replay_at_a_terminal(sample: SampleRepository, person: Person, model: ScriptedModel) -> None:
    person.carries_out(PLAN_ID)
    with person.types(LW_CODER, "runs", "replay", "latest", "--fresh") as terminal:
        terminal.wait_for(SUMMARY)
        assert terminal.leave() == 0, terminal.text
    assert model.count("dspy") == 1  # the prompts are those of the run
    (made,) = (sample.root / ".lw_coder/runs/@replay").iterdir()
    assert subjects(sample, f"refs/lw_coder/@replay/{made.name}/detached") == [COMMIT_MESSAGE]
