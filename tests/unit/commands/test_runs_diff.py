"""`lw_coder runs diff`, typed in a repository with runs of two models, as `lw_coder code` writes them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lw_coder.runs.run_folders import Run, open_run, seal_run, write_file, write_record
from tests.support.forked import forked
from tests.support.git_repository import GitRepository, make_repository
from tests.support.json_schemas import validated

SAME = "The prompts, the prompt program, the Compose files and the Dockerfile are the same.\n"


def a_run(made: GitRepository, model: str, prompt: str, *, memory: str = "4g", **more: Any) -> Run:
    run = seal_run(open_run(made.path, "a-plan"))
    time = run.name
    write_file(run.folder, "prompts/main.md", f"{prompt}\nThe plan.\n")
    write_file(run.folder, "compose.yml", f"name: lw-x-a-plan-{time.lower()}\n")
    write_file(run.folder, "services.yml", f"labels: {time}\nmem_limit: {memory}\n")
    write_file(run.folder, "settings.json", f'{{"apiKey": "token-of-{time}"}}')
    record = {
        "schema": 1,
        "plan": {"plan_id": "a-plan", "git_sha": made.head()},
        "signature": None,
        "model": model,
        "images": {"base": "sha256:b", "repo": "sha256:r"},
        "versions": {"lw_coder": "1.0"},
        "ended": {"status": 0, "outcome": "completed", "commits": 2, "spent": {"total": {"cost_usd": 0.5}}},
        **more,
    }
    write_record(run, record)
    return run


def diff(made: GitRepository, *words: str) -> subprocess.CompletedProcess[str]:
    done = forked("runs", "diff", *words, cwd=made.path)
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture
def made(tmp_path: Path) -> GitRepository:
    return make_repository(tmp_path / "repo")


def test_two_runs_that_differ(made: GitRepository) -> None:
    program = {"instructions": "Be brief."}
    a = a_run(made, "a/model", "Do it.")
    b = a_run(
        made, "b/model", "Do it \x1b[2Jwell.", memory="8g", program_state=program, verdict={"passed": True}
    )
    write_file(b.folder, "droids/reviewer.md", "Review it.\n")
    done = diff(made, a.name, "latest")
    assert (done.returncode, done.stderr) == (0, "")
    table, *diffs = done.stdout.split("\n\n")
    lines = {line.split("  ")[0]: line for line in table.splitlines()[1:]}
    assert lines["model"].split() == ["model", "a/model", "b/model", "differs"]
    assert lines["verdict"].split() == ["verdict", "-", "passed", "differs"]
    assert lines["image"].split() == ["image", "sha256:r", "sha256:r"]
    assert lines["cost in USD"].split()[-2:] == ["0.5", "0.5"]
    assert [text.splitlines()[0] for text in diffs] == [
        f"--- a/{name}" for name in ("droids/reviewer.md", "program_state", "prompts/main.md", "services.yml")
    ]
    assert "-Do it.\n+Do it \\x1b[2Jwell.\n The plan." in diffs[2]
    assert "-mem_limit: 4g\n+mem_limit: 8g" in diffs[3]
    assert "+labels" not in done.stdout  # the runs' own times are no difference
    assert "token-of" not in done.stdout


def test_the_same_as_a_document(made: GitRepository) -> None:
    a, b = a_run(made, "a/model", "Do it."), a_run(made, "b/model", "Do more.")
    write_file(a.folder, "code.Dockerfile", "FROM x\n")
    found = validated("runs-diff", diff(made, "--json", a.name, b.identity).stdout)
    assert (found["a"]["run"], found["b"]["model"]) == (a.identity, "b/model")
    assert found["a"]["base"] == made.head()
    files = {file["file"]: file for file in found["files"]}
    assert files.keys() == {"code.Dockerfile", "prompts/main.md"}
    assert files["code.Dockerfile"]["only_in"] == "a"
    assert "\n-Do it.\n+Do more.\n" in files["prompts/main.md"]["diff"]


def test_runs_that_are_the_same(made: GitRepository) -> None:
    a, b = a_run(made, "a/model", "Do it."), a_run(made, "a/model", "Do it.")
    done = diff(made, a.name, b.name)
    assert done.stderr == SAME
    assert "differs" not in done.stdout
    assert validated("runs-diff", diff(made, "--json", a.name, b.name).stdout)["files"] == []


def test_what_is_no_file_or_too_long_is_not_read(made: GitRepository) -> None:
    a, b = a_run(made, "a/model", "Do it."), a_run(made, "a/model", "Do it.")
    secret = made.write("secret.md", "a secret\n")
    (b.folder / "prompts/other.md").symlink_to(secret)
    (b.folder / "prompts/folder.md").mkdir()
    assert diff(made, a.name, b.name).stderr == SAME
    write_file(b.folder, "prompts/long.md", "x" * 1_000_000)
    found = validated("runs-diff", diff(made, "--json", a.name, b.name).stdout)
    assert found["files"][0]["diff"].endswith("+(cut: 1000000 bytes)")


def test_a_damaged_run(made: GitRepository) -> None:
    a, b = a_run(made, "a/model", "Do it."), a_run(made, "a/model", "Do it.")
    b.record.write_text("{", encoding="ascii")
    refused = diff(made, "--json", a.name, b.name)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "cannot be read" in refused.stderr
    b.record.write_text(json.dumps({"schema": 1, "ended": None, "images": []}), encoding="ascii")
    refused = diff(made, "--json", a.name, b.name)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "is not a run record: images is not an object" in refused.stderr
    b.record.write_text('{"schema": 1, "ended": null}', encoding="ascii")
    assert validated("runs-diff", diff(made, "--json", a.name, b.name).stdout)["b"]["image"] is None


def test_a_run_and_itself(made: GitRepository) -> None:
    run = a_run(made, "a/model", "Do it.")
    for words in ([run.name, "latest"], ["--json", run.identity, run.name]):
        refused = diff(made, *words)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert f"are the same run, {run.identity}; name another one" in refused.stderr
