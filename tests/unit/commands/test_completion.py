"""What a shell is told, asked as a shell asks: by variables."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

LW_CODER = Path(sys.executable).with_name("lw_coder")
PLAN = "---\nplan_id: {}\ngit_sha: unknown\nstatus: draft\nevaluation_notes: []\n---\nDo it.\n"


def completed(folder: Path, *words: str) -> list[str]:
    asked = {"_LW_CODER_COMPLETE": "bash_complete", "COMP_CWORD": str(len(words))}
    env = {**os.environ, **asked, "COMP_WORDS": " ".join(["lw_coder", *words])}
    done = subprocess.run([LW_CODER], cwd=folder, env=env, capture_output=True, text=True, check=True)
    assert done.stderr == ""
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


def test_the_plans_of_runs(repository: Path) -> None:
    assert completed(repository, "runs", "show", "") == []
    for name in ("add-tests/20250101T000000Z", "@plan/20250101T000000Z", ".hidden"):
        (repository / ".lw_coder/runs" / name).mkdir(parents=True)
    assert completed(repository, "runs", "show", "") == ["plain,@plan", "plain,add-tests"]


def test_outside_of_a_repository_there_is_nothing(tmp_path: Path) -> None:
    assert completed(tmp_path, "code", "READ") == ["file,READ"]
    assert completed(tmp_path, "runs", "show", "") == []


def test_the_pages_of_the_documentation(repository: Path) -> None:
    assert completed(repository, "docs", "conf") == ["plain,configuration"]
    assert "plain,0036-a-build-is-repeated-once" in completed(repository, "docs", "")
