"""`lw_coder runs replay`: the container of a headless run again, on the plan's worktree and on a new one.

test_code has a replay at a terminal.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

from lw_coder.containers.image_names import repo_hash
from lw_coder.containers.labels import PROXY_LABEL, REPLAY_RUNS
from lw_coder.repository.git import find_repository, root_commit
from lw_coder.runs.run_folders import open_run
from tests.integration.conftest import Person, sessions_in
from tests.integration.headless_session import Headless, headless, with_gateway
from tests.support.engine import bridge_address, containers, docker
from tests.support.json_schemas import validated
from tests.support.sample_repository import KEY, PLAN_ID, SampleRepository
from tests.support.scripted_model import ScriptedModel
from tests.support.shell_agent import DONE, shell_agent

BRANCH = f"lw/task/{PLAN_ID}"
COMMIT = 'echo more >> done.txt && git add done.txt && git commit -q -m "Line $(wc -l < done.txt)"'
TELL = 'echo "the key is $OPENROUTER_API_KEY"'


def replayed(
    person: Person,
    sample: SampleRepository,
    ended: Headless,
    *words: str,
    steps: Sequence[str] = (COMMIT, TELL),
) -> subprocess.CompletedProcess[str]:
    # The run's settings name the model's address.
    with ScriptedModel(shell_agent(steps), host=bridge_address(), port=ended.model.port):
        done = person.runs_alone("runs", "replay", *words)
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
    ref = f"refs/lw_coder/{PLAN_ID}/{ended.run.name}/heads/{BRANCH}"
    assert f"Imported: {ref}\nCommits:  1 new on the plan's branch\n" in again.stderr
    assert subjects(sample, BRANCH) == ["Line 2", "Line 1"]

    open_run(sample.root, REPLAY_RUNS)  # as a killed one leaves it
    fresh = replayed(person, sample, ended, PLAN_ID, "--fresh")
    assert fresh.returncode == 0, fresh.stderr
    assert subjects(sample, BRANCH) == ["Line 2", "Line 1"]
    assert kept == ((ended.run / "run.json").read_bytes(), (ended.run / "events.jsonl").read_bytes())
    (made,) = (sample.root / ".lw_coder/runs/@replay").iterdir()
    ref = f"refs/lw_coder/@replay/{made.name}/detached"
    assert f"Imported: {ref}\n" in fresh.stderr
    assert subjects(sample, ref) == ["Line 1"]
    assert not list((sample.root / ".lw_coder/temp-worktrees").glob("plan-*"))
    listed = person.runs_alone("runs", "show", f"@replay/{made.name}", "--json")
    record = validated("runs-show", listed.stdout)
    assert (record["kind"], record["replays"]) == ("replay", f"{PLAN_ID}/{ended.run.name}")
    assert (record["ended"]["outcome"], record["model"]) == ("completed", ended.record["model"])

    sample.git("worktree", "remove", "--force", f".lw_coder/worktrees/{PLAN_ID}")
    refused = replayed(person, sample, ended, PLAN_ID)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "the plan's worktree does not exist any more; add --fresh" in refused.stderr
    again = replayed(person, sample, ended, "@replay")
    assert "had a temporary worktree, which is gone; name a run of a plan" in again.stderr


PREPARE = "echo prepared >> prepared.txt; echo the key is $OPENROUTER_API_KEY"
LOOK = "cat prepared.txt; curl --silent http://blocked.example.org/; true"
CONFINED = f"allow_hosts = []\nsetup = [{json.dumps(PREPARE)}]\n"


def texts_in(folder: Path) -> str:
    return "\n".join(path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file())


def kept_of(run: Path) -> dict[str, bytes]:
    names = ("setup.log", "gateway/requests.jsonl", "run.json", "setup/commands.json", "compose.yml")
    return {name: (run / name).read_bytes() for name in names}


def left_in_the_engine(sample: SampleRepository) -> list[str]:
    repository = find_repository(sample.root)
    identity = repo_hash(root_commit(repository), repository.common_dir)
    networks = docker("network", "ls", "--format", "{{.Name}}").split()
    return [
        *containers(f"{PROXY_LABEL}={identity}/{PLAN_ID}"),
        *(name for name in networks if name.startswith(f"lw-{identity}-")),
    ]


def test_a_fresh_replay_is_prepared_and_confined_and_has_a_gateway_as_the_run_had(
    sample: SampleRepository, person: Person
) -> None:
    with_gateway(sample, CONFINED)
    ended = headless(person, sample, shell_agent([LOOK, COMMIT]))
    assert ended.status == 0, ended.stderr
    before = kept_of(ended.run)
    (sample.root / ".lw_coder/config.toml").write_text("[code]\n", encoding="ascii")  # does not matter now

    fresh = replayed(person, sample, ended, PLAN_ID, "--fresh", steps=(LOOK, COMMIT, TELL))
    assert fresh.returncode == 0, fresh.stderr
    assert "Refused:  blocked.example.org" in fresh.stderr
    assert "Model:    " in fresh.stderr
    assert KEY not in fresh.stdout + fresh.stderr
    assert "the key is" in fresh.stdout
    assert "[OPENROUTER_API_KEY]" not in fresh.stdout, "the gateway alone has it"
    (made,) = (sample.root / ".lw_coder/runs/@replay").iterdir()
    assert (made / "setup.log").read_text() == f"$ {PREPARE}\nthe key is\n"
    assert subjects(sample, f"refs/lw_coder/@replay/{made.name}/detached") == ["Line 1"]
    looked = [line for line in fresh.stdout.splitlines() if "prepared" in line and "tool_result" in line]
    assert '"prepared\\n' in looked[0], "it was prepared once, in a new worktree"
    asked = (made / "gateway/requests.jsonl").read_text().splitlines()
    record = json.loads((made / "run.json").read_text())
    assert record["ended"]["spent"]["total"]["requests"] == len(asked) > 0
    assert KEY not in texts_in(made)
    assert kept_of(ended.run) == before
    assert left_in_the_engine(sample) == []


def test_a_fresh_replay_whose_setup_fails_does_not_start_its_agent(
    sample: SampleRepository, person: Person
) -> None:
    # It fails where the plan's worktree is new: the person has removed what made it work.
    with_gateway(
        sample, f"setup = {json.dumps(['test -e mine.txt || { echo $OPENROUTER_API_KEY; exit 3; }'])}\n"
    )
    worktree = sample.root / ".lw_coder/worktrees" / PLAN_ID
    sample.git("worktree", "add", "--quiet", "-b", BRANCH, str(worktree), sample.sha)
    (worktree / "mine.txt").touch()
    ended = headless(person, sample, shell_agent([]))
    assert ended.status == 0, ended.stderr

    fresh = replayed(person, sample, ended, PLAN_ID, "--fresh")
    assert fresh.returncode == 7, fresh.stderr
    assert "the setup command failed with status 3" in fresh.stderr
    assert "There is nothing to import." in fresh.stderr
    (made,) = (sample.root / ".lw_coder/runs/@replay").iterdir()
    record = json.loads((made / "run.json").read_text())
    assert record["ended"]["outcome"] == "setup"
    assert not (made / "events.jsonl").exists()
    assert left_in_the_engine(sample) == []
