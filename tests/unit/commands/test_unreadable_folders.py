"""Each command that lists or removes, where a folder of lw_coder's cannot be read: nothing looks empty."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.support.forked import forked
from tests.support.git_repository import GitRepository, make_repository
from tests.support.plan_files import text

# A process of root that has to obey permissions, as those of other users do.
_AS_ANYBODY = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
_PLANS = (("plans", "--json"), ("plans", "check"))
_RUNS = (
    *(("runs", "list", "--json"), ("runs", "show", "latest"), ("runs", "export"), ("runs", "prune")),
    ("clean", "--json", "--yes"),
)
_BOTH = (("drop", "--json", "--yes", "a-plan"), ("take", "--yes", "a-plan"))
BROKEN: dict[str, tuple[str, Sequence[Sequence[str]]]] = {
    "all": (".lw_coder", (*_PLANS, *_RUNS, *_BOTH)),
    "tasks": (".lw_coder/tasks", _PLANS),
    "runs": (".lw_coder/runs", (*_RUNS, *_BOTH)),
    "runs of a plan": (".lw_coder/runs/a-plan", _BOTH),
    "worktrees": (".lw_coder/worktrees", _BOTH[:1]),
}
MADE: dict[str, Callable[[Path], object]] = {
    "file": Path.touch,
    "loop": lambda place: place.symlink_to(place),
    "no access": lambda place: place.mkdir(mode=0),
}


@pytest.fixture
def made(tmp_path: Path) -> GitRepository:
    made = make_repository(tmp_path / "repo")
    made.write(
        ".lw_coder/tasks/a-plan.md", text("# Do it\n", plan_id="a-plan", git_sha=made.head(), status="ready")
    )
    made.write(".lw_coder/runs/a-plan/20250101T000000Z/run.json", '{"schema": 1, "ended": null}')
    return made


def typed(made: GitRepository, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    obeying = _AS_ANYBODY if os.geteuid() == 0 else ()
    env = {**os.environ, "DOCKER_HOST": "unix:///nowhere.sock", **variables}
    return forked(*words, cwd=made.path, env=env, under=obeying)


def broken(made: GitRepository, place: str, how: str) -> None:
    found = made.path / place
    if found.exists():
        shutil.rmtree(found)
    MADE[how](found)


@pytest.mark.parametrize("how", MADE)
@pytest.mark.parametrize("which", BROKEN)
def test_each_command_names_what_cannot_be_read(made: GitRepository, which: str, how: str) -> None:
    place, commands = BROKEN[which]
    broken(made, place, how)
    for words in commands:
        done = typed(made, *words)
        assert done.returncode == 1, words
        lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, (words, done.stderr)
        assert place in lines[0]
        assert "no such" not in lines[0].lower()
        if "--json" in words and words[0] in {"clean", "drop"}:
            assert json.loads(done.stdout)["outcome"] == "error"
        else:
            assert done.stdout == ""


@pytest.mark.parametrize("how", MADE)
def test_completion_stays_silent(made: GitRepository, how: str) -> None:
    broken(made, ".lw_coder", how)
    for words in ("code a", "runs show a", "runs list a"):
        asked = {"_LW_CODER_COMPLETE": "bash_complete", "COMP_CWORD": str(len(words.split()))}
        done = typed(made, COMP_WORDS=f"lw_coder {words}", **asked)
        assert (done.returncode, done.stderr) == (0, "")


def test_doctor_names_them(made: GitRepository) -> None:
    for place in (".lw_coder/tasks", ".lw_coder/runs", ".lw_coder/worktrees"):
        broken(made, place, "file")
    found = {each["subject"]: each for each in json.loads(typed(made, "doctor", "--json").stdout)}
    for subject, place in {"plans": "tasks", "runs": "runs", "worktrees": "worktrees"}.items():
        assert found[subject]["result"].endswith(f".lw_coder/{place}: is not a folder")
        assert found[subject]["remedy"] == "rename it or remove it"
