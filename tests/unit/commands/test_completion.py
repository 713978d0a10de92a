"""What a shell is told, asked as a shell asks: by variables."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.forked import forked
from tests.support.terminal import Terminal

LW_CODER = Path(sys.executable).with_name("lw_coder")
PLAN = "---\nplan_id: {}\ngit_sha: unknown\nstatus: draft\nevaluation_notes: []\n---\nDo it.\n"


def completed(folder: Path, *words: str) -> list[str]:
    asked = {"_LW_CODER_COMPLETE": "bash_complete", "COMP_CWORD": str(len(words))}
    env = {**os.environ, **asked, "COMP_WORDS": " ".join(["lw_coder", *words])}
    done = forked(cwd=folder, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    return [line for line in done.stdout.splitlines() if line]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    tasks = tmp_path / ".lw_coder/tasks"
    tasks.mkdir(parents=True)
    for number, plan_id in enumerate(["add-tests", '"add-docs"', "remove-it  "]):
        (tasks / f"{number}.md").write_text(PLAN.format(plan_id), encoding="ascii")
    (tasks / "broken.md").write_text("plan_id: add-nothing\n", encoding="ascii")
    (tasks / "a-folder.md").mkdir()
    (tmp_path / "src/deep").mkdir(parents=True)
    return tmp_path


def test_the_ids_of_plans(repository: Path) -> None:
    assert completed(repository, "code", "add") == ["plain,add-docs", "plain,add-tests"]
    assert completed(repository / "src/deep", "code", "rem") == ["plain,remove-it"]


def test_where_no_id_begins_so_a_path_is_completed(repository: Path) -> None:
    assert completed(repository, "code", "./") == ["file,./"]


RUNS = (
    "add-tests/20250101T000000Z",
    "add-tests/20250102T000000Z",
    "@plan/20250103T000000Z",
    "x;y/20250101T000000Z",
)


@pytest.fixture
def runs(repository: Path) -> Path:
    for name in (*RUNS, ".hidden", "$(id)"):
        (repository / ".lw_coder/runs" / name).mkdir(parents=True)
    return repository


def test_what_stands_for_runs(repository: Path) -> None:
    assert completed(repository, "runs", "show", "") == []


def test_the_names_of_runs(runs: Path) -> None:
    for command in (("runs", "show"), ("runs", "score"), ("runs", "diff", "latest"), ("verify",)):
        assert completed(runs, *command, "") == ["plain,@plan", "plain,add-tests", "plain,latest"]
    assert completed(runs, "runs", "list", "") == ["plain,@plan", "plain,add-tests"]
    assert completed(runs, "code", "--continue", "la") == ["plain,latest"]
    times = [f"plain,{run}" for run in RUNS if run.startswith("add-tests")]
    assert completed(runs, "runs", "show", "add-tests/") == times
    assert completed(runs, "runs", "show", "add-tests") == ["plain,add-tests", *times]
    assert completed(runs, "runs", "show", "20250102") == ["plain,20250102T000000Z"]
    assert completed(runs, "runs", "show", "nothing") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_real_shell_completes_with_the_script_that_is_printed(
    runs: Path, tmp_path_factory: pytest.TempPathFactory, shell: str
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = tmp_path_factory.mktemp("script") / "_lw_coder"
    done = subprocess.run([LW_CODER, "completion", shell], capture_output=True, text=True, check=True)
    script.write_text(done.stdout, encoding="utf-8")
    begin = {
        "bash": (["bash", "--norc", "--noprofile", "-i"], f"source {script}"),
        "zsh": (["zsh", "-f", "-i"], f"fpath=({script.parent} $fpath); autoload -Uz compinit; compinit -u"),
        "fish": (["fish", "--no-config", "-i"], f"source {script}"),
    }
    command, setting_up = begin[shell]
    env = {**os.environ, "PATH": f"{LW_CODER.parent}:{os.environ['PATH']}"}
    with Terminal(command, runs, env) as terminal:
        terminal.type(f"{setting_up}; echo is-re''ady\n")
        terminal.wait_for("is-ready")
        terminal.type("lw_coder runs show lat\t")
        terminal.wait_for("lw_coder runs show latest")


def test_outside_of_a_repository_there_is_nothing(tmp_path: Path) -> None:
    assert completed(tmp_path, "code", "READ") == ["file,READ"]
    assert completed(tmp_path, "runs", "show", "") == []


def test_the_pages_of_the_documentation(repository: Path) -> None:
    assert completed(repository, "docs", "conf") == ["plain,configuration"]
    assert "plain,0036-a-build-is-repeated-once" in completed(repository, "docs", "")
