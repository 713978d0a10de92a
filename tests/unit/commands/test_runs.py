"""`lw_coder runs`, typed in a repository that has runs; a session's git work is done in its real folder."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from msgspec.structs import replace

from lw_coder.plans.plan_file import read_plan
from lw_coder.repository.git import find_repository, identity
from lw_coder.repository.private_git import PrivateGit, create_private_git
from lw_coder.repository.worktrees import Worktree, ensure_worktree
from lw_coder.runs.run_folders import open_run, seal_run, write_record
from tests.support.forked import forked
from tests.support.json_schemas import validated
from tests.support.sample_repository import PLAN, PLAN_ID, SampleRepository, make_sample_repository

RECORD = {
    "schema": 1,
    "signature": {
        "name": "CodePromptSignature",
        "inputs": {"plan": {"plan_id": PLAN_ID, "body": "Greet the world."}},
        "outputs": {"main_prompt": "Do it.", "feedback_summary": {"title": "Summary"}},
    },
    "model": "some/model",
    "ended": {"status": 0, "commits": 1},
}


def typed_in(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return forked("runs", *arguments, cwd=folder)


@dataclass(frozen=True)
class Made:
    """A repository with one run, whose session can still commit."""

    sample: SampleRepository
    worktree: Worktree
    session: PrivateGit
    run: str

    def types(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return typed_in(self.sample.root, *arguments)

    def commit_inside(self, message: str) -> None:
        git_dir = self.session.folder / "worktrees" / self.session.worktree_name
        env = {**os.environ, "GIT_DIR": str(git_dir), "GIT_WORK_TREE": str(self.worktree.path)}
        command = ["git", "commit", "--quiet", "--allow-empty", "--message", message]
        subprocess.run(command, cwd=self.worktree.path, env=env, check=True)


@pytest.fixture
def made(tmp_path: Path) -> Made:
    sample = make_sample_repository(tmp_path / "sample")
    repository = find_repository(sample.root)
    worktree = ensure_worktree(repository, read_plan(sample.plan).metadata)
    run = open_run(sample.root, PLAN_ID)
    session = create_private_git(repository, worktree, run.folder, identity(worktree.place))
    write_record(run, RECORD)
    sealed = seal_run(run)
    return Made(sample, worktree, replace(session, run_folder=sealed.folder), sealed.identity)


def test_runs_are_listed_as_a_table_and_as_json(made: Made) -> None:
    table = made.types("list").stdout.splitlines()
    assert table[0].split() == "run age took model ended verdict commits cost score".split()  # noqa: SIM905
    assert table[1].split()[1:4] == ["now", "-", "some/model"]
    assert table[1].endswith("its end is not known  -        1        -     -")
    (row,) = validated("runs-list", made.types("list", "--json").stdout)
    assert row.pop("started_at").startswith("20")
    unknown = dict.fromkeys(("seconds", "outcome", "verdict", "cost_usd", "score"))
    known = {"run": made.run, "plan_id": PLAN_ID, "model": "some/model", "status": 0, "commits": 1}
    assert row == {**known, **unknown}


def test_how_runs_ended(made: Made) -> None:
    spent = {"total": {"requests": 3, "cost_usd": 0.125}}
    times = {"started_at": "2025-01-02T00:00:00+00:00", "ended_at": "2025-01-02T00:03:20+00:00"}
    ended = {"status": 7, "outcome": "failed", "commits": 2, "spent": spent, **times}
    verdict = {"passed": False, "reasons": ["nothing was committed"]}
    add_run(made, "20250102T000000Z", {**RECORD, "ended": ended, "verdict": verdict})
    for number, outcome in enumerate(("setup", "limit", "paused", "signal", "completed")):
        made_so = {**RECORD, "ended": {"status": 1, "outcome": outcome}}
        add_run(made, f"2024010{number + 1}T000000Z", made_so, plan_id="other")
        as_listed = validated("runs-list", made.types("list", "other", "--json").stdout)
        assert [row["outcome"] for row in as_listed][-1] == outcome
    add_run(made, "20250103T000000Z", {**RECORD, "ended": None, "verdict": {"passed": True}})
    assert made.types("score", "20250102", "0.5").returncode == 0
    first, second, newest = made.types("list", PLAN_ID).stdout.splitlines()[1:]
    told = "3 min 20 s  some/model  failed with status 7  not passed  2        $0.12  0.5"
    assert first.startswith(f"{PLAN_ID}/20250102T000000Z")
    assert first.endswith(told)
    assert "  not ended " in second
    assert "  passed " in second
    assert newest.startswith(made.run)
    rows = validated("runs-list", made.types("list", PLAN_ID, "--json").stdout)
    assert [row["verdict"] for row in rows] == ["not passed", "passed", None]
    assert (rows[0]["seconds"], rows[0]["cost_usd"], rows[0]["score"]) == (200, 0.125, 0.5)
    assert "cost:     $0.12\n" in made.types("show", "20250102").stdout


def test_the_newest_runs_of_all_plans_come_last(made: Made) -> None:
    for number in range(12):
        add_run(made, f"20250101T0000{number:02}Z", RECORD, plan_id=f"plan-{number % 3}")
    rows = validated("runs-list", made.types("list", "--json", "--limit", "3").stdout)
    assert [row["run"] for row in rows] == [
        "plan-1/20250101T000010Z",
        "plan-2/20250101T000011Z",
        made.run,
    ]
    assert made.types("list", "--limit", "0").returncode == 2


def add_run(made: Made, time: str, record: object, plan_id: str = PLAN_ID) -> None:
    folder = made.sample.root / ".lw_coder/runs" / plan_id / time
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(record), encoding="ascii")


def test_a_repository_without_runs_says_so(tmp_path: Path) -> None:
    sample = make_sample_repository(tmp_path / "sample")
    nothing = typed_in(sample.root, "list")
    assert (nothing.returncode, nothing.stdout) == (0, "")
    assert "no runs yet" in nothing.stderr


@pytest.mark.parametrize("typed", ["{run}", PLAN_ID, PLAN_ID[:4], "latest"])
def test_a_run_is_shown_by_each_of_its_names(made: Made, typed: str) -> None:
    shown = made.types("show", typed.format(run=made.run))
    assert f"docker compose -f .lw_coder/runs/{made.run}/compose.yml run --rm droid" in shown.stdout
    as_json = validated("runs-show", made.types("show", typed.format(run=made.run), "--json").stdout)
    assert as_json == {**RECORD, "run": made.run, "score": None, "feedback": None}


def test_a_headless_run_shows_what_was_kept_of_it_and_is_replayed_without_a_terminal(made: Made) -> None:
    folder = made.sample.root / ".lw_coder/runs" / made.run
    (folder / "run.json").write_text(json.dumps({**RECORD, "headless": True}), encoding="ascii")
    (folder / "summary.md").write_text("All is done.\n", encoding="ascii")
    (folder / "setup.log").write_text("$ true\n", encoding="ascii")
    shown = made.types("show", made.run).stdout
    assert f"summary:  .lw_coder/runs/{made.run}/summary.md\n" in shown
    assert f"setup:    .lw_coder/runs/{made.run}/setup.log\n" in shown
    assert "events:" not in shown
    assert f"{made.run}/compose.yml run --rm -T droid start-session --headless\n" in shown


@pytest.mark.parametrize("command", ["list", "export"])
def test_an_unknown_plan_is_told(made: Made, command: str) -> None:
    result = made.types(command, "sample-plam")
    assert (result.returncode, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: sample-plam: there is no plan and no run with this id; ")
    assert f"did you mean {PLAN_ID}? there are: {PLAN_ID}" in line
    assert made.types(command, PLAN_ID).stdout


def test_a_plan_without_runs_is_known(made: Made) -> None:
    text = (made.sample.root / PLAN).read_text(encoding="utf-8").replace(PLAN_ID, "another-plan")
    (made.sample.root / ".lw_coder/tasks/another.md").write_text(text, encoding="utf-8")
    listed, as_json = made.types("list", "another-plan"), made.types("list", "another-plan", "--json")
    assert (listed.returncode, listed.stdout) == (0, "")
    assert listed.stderr == "There are no runs of another-plan yet.\n"
    assert (as_json.returncode, json.loads(as_json.stdout)) == (0, [])


def test_an_unknown_run_is_one_line(made: Made) -> None:
    shown = made.types("show", "nothing")
    assert shown.returncode == 1
    there_are = f"there are runs of {PLAN_ID}; `lw_coder runs list` shows all"
    assert shown.stderr == f"error: nothing: no such run; {there_are}\n"


def test_a_damaged_record_is_told_and_hides_no_other_run(made: Made) -> None:
    (made.sample.root / ".lw_coder/runs" / made.run / "run.json").write_text("{", encoding="ascii")
    cells = made.types("list").stdout.splitlines()[1].split()
    assert cells == [made.run, "now", "-", "-", "damaged", "-", "-", "-", "-"]
    (row,) = validated("runs-list", made.types("list", "--json").stdout)
    assert row["status"] == "damaged"
    assert made.types("show", made.run).returncode == 1


@pytest.mark.parametrize("text", ['{"schema": 2}', '{"schema": 1, "ended": null, "plan": 5}', "{}"])
def test_what_is_no_record_is_not_shown_as_a_run_that_goes_on(made: Made, text: str) -> None:
    record = made.sample.root / ".lw_coder/runs" / made.run / "run.json"
    record.write_text(text, encoding="ascii")
    (row,) = validated("runs-list", made.types("list", "--json").stdout)
    assert row["status"] == "damaged"
    for command in (("show", made.run), ("score", made.run, "1")):
        refused = made.types(*command)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert f"{record}: " in refused.stderr
    exported = made.types("export")
    assert (exported.returncode, exported.stdout) == (0, "")
    assert exported.stderr.startswith(f"warning: {record}: ")


def test_a_run_without_prompts_is_left_out_of_an_export_with_a_warning(made: Made) -> None:
    lacking = {"schema": 1, "ended": None}
    add_run(made, "20250101T000000Z", lacking)
    add_run(made, "20250101T000000Z", lacking, plan_id="@plan")
    exported = made.types("export")
    assert len(exported.stdout.splitlines()) == 1
    (line,) = exported.stderr.splitlines()
    assert line.endswith(f"{PLAN_ID}/20250101T000000Z/run.json: has no prompts, so it is left out")


@pytest.mark.parametrize("text", ['{"schema": 0, "ended": null}', '{"schema": 1, "ended": null, "plan": 5}'])
def test_json_that_is_no_record_is_told_by_each_command(made: Made, text: str) -> None:
    add_run(made, "20250101T000000Z", RECORD)
    folder = made.sample.root / ".lw_coder/runs" / made.run
    (folder / "run.json").write_text(text, encoding="ascii")
    table, exported = made.types("list"), made.types("export")
    assert "  damaged " in table.stdout.splitlines()[2]
    assert [row["status"] for row in validated("runs-list", made.types("list", "--json").stdout)] == [
        0,
        "damaged",
    ]
    assert exported.stdout.count("\n") == 1
    assert (
        f"warning: {made.sample.root}/.lw_coder/runs/{made.run}/run.json: is not a run record"
        in exported.stderr
    )
    for command in (("show",), ("show", "--json"), ("show", "--html", "-")):
        shown = made.types(*command, made.run)
        assert (shown.returncode, shown.stdout) == (1, "")
        assert "run.json: is not a run record: " in shown.stderr


def test_deletions_of_files_that_the_session_did_not_have_want_a_yes(made: Made) -> None:
    (made.session.run_folder / "absent-files").write_bytes(b"README.md\0")  # as the start writes them
    git_dir = made.session.folder / "worktrees" / made.session.worktree_name
    env = {**os.environ, "GIT_DIR": str(git_dir), "GIT_WORK_TREE": str(made.worktree.path)}
    subprocess.run(["git", "rm", "--quiet", "README.md"], cwd=made.worktree.path, env=env, check=True)
    made.commit_inside("gone")
    asked = made.types("import", made.run)
    assert "was not moved: its commits delete or empty a file that was not in" in asked.stderr.replace(
        "\n", " "
    )
    branch = f"lw/task/{PLAN_ID}"
    assert made.sample.git("rev-parse", branch) == made.sample.sha
    assert f"lw_coder runs import --yes {made.run}" in asked.stderr.replace("\n", " ")
    agreed = made.types("import", "--yes", made.run)
    assert (agreed.returncode, agreed.stdout) == (0, "")
    assert "Imported:" not in agreed.stderr, "its ref was imported the first time"
    assert "Commits:  1 new on the plan's branch\n" in agreed.stderr
    assert made.sample.git("log", "-1", "--format=%s", branch) == "gone"


def test_a_commit_made_in_a_replay_is_told_and_imported(made: Made) -> None:
    made.commit_inside("Made in a replay")
    assert f"lw_coder runs import {made.run}" in made.types("show", made.run).stderr
    imported = made.types("import", made.run)
    assert imported.returncode == 0, imported.stderr
    assert made.sample.git("log", "-1", "--format=%s", f"lw/task/{PLAN_ID}") == "Made in a replay"
    branch = f"lw/task/{PLAN_ID}"
    told = f"Imported: refs/lw_coder/{made.run}/heads/{branch}\nCommits:  1 new on the plan's branch\n"
    assert imported.stderr == told
    again = made.types("import", made.run)
    assert again.stderr == "There is nothing to import; the repository has all of its commits.\n"
    made.commit_inside("One more")
    assert made.types("import", made.run).stderr == told


def test_a_run_without_commits_has_nothing_to_import(made: Made) -> None:
    imported = made.types("import", made.run)
    assert (imported.returncode, imported.stderr) == (0, "There is nothing to import.\n")


def test_a_run_is_exported_with_its_inputs_outputs_and_result(made: Made) -> None:
    (line,) = made.types("export").stdout.splitlines()
    exported = validated("runs-export", line)
    assert exported["inputs"] == {"plan": {"plan_id": PLAN_ID, "body": "Greet the world."}}
    assert exported["outputs"]["main_prompt"] == "Do it."
    assert exported["ended"] == {"status": 0, "commits": 1}
    assert (exported["run"], exported["score"], exported["feedback"]) == (made.run, None, None)
