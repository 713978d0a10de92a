"""The commands of the page on cleaning up do what the page says; what is Docker's or pip's is left out."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from lw_coder.plans.plan_file import read_plan
from lw_coder.repository.git import find_repository
from lw_coder.repository.worktrees import ensure_worktree
from lw_coder.runs.run_folders import open_run, seal_run
from tests.support.sample_repository import PLAN_ID, SampleRepository, make_sample_repository

PAGE = Path(__file__).parents[2].joinpath("docs/how-to/cleaning-up.md").read_text(encoding="ascii")


def commands_of(title: str) -> str:
    section = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    lines = "".join(re.findall(r"```sh\n(.*?)```", section, re.DOTALL)).splitlines()
    return "\n".join(line for line in lines if not line.startswith(("docker", "pip", "lw_coder")))


@pytest.fixture
def used(tmp_path: Path) -> SampleRepository:
    """A repository after a session: a worktree with a file of its own, a branch, another ref, a run."""
    sample = make_sample_repository(tmp_path / "sample")
    repository = find_repository(sample.root)
    worktree = ensure_worktree(repository, read_plan(sample.root / ".lw_coder/tasks/sample-plan.md").metadata)
    seal_run(open_run(sample.root, PLAN_ID))
    sample.git("update-ref", f"refs/lw_coder/{PLAN_ID}/20261129T101500Z/heads/other", "HEAD")
    assert worktree.path.is_dir()
    return sample


def cleaned(sample: SampleRepository, title: str, home: Path) -> None:
    script = commands_of(title).replace("my-plan", PLAN_ID)
    assert script
    subprocess.run(
        ["sh", "-euc", script], cwd=sample.root, check=True, env={"PATH": "/usr/bin:/bin", "HOME": str(home)}
    )
    refs = sample.git("for-each-ref", "--format=%(refname)").splitlines()
    assert refs == [sample.git("symbolic-ref", "HEAD")]
    assert sample.git("worktree", "list", "--porcelain").count("worktree ") == 1
    assert (sample.root / ".lw_coder/tasks/sample-plan.md").is_file()


def test_a_finished_plan(used: SampleRepository, home: Path) -> None:
    cleaned(used, "A finished plan", home)
    assert (used.root / ".lw_coder/runs" / PLAN_ID).is_dir()


def test_everything(used: SampleRepository, home: Path) -> None:
    (used.root / f".lw_coder/worktrees/{PLAN_ID}/unfinished.txt").touch()
    for folder in (".cache/lw_coder", ".local/state/lw_coder"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    cleaned(used, "Everything", home)
    for folder in ("runs", "worktrees"):
        assert not (used.root / ".lw_coder" / folder).exists()
    assert not list(home.glob(".cache/*")) + list(home.glob(".local/state/*"))
