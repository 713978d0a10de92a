"""From a project to the first step of the agent: `lw_coder init --yes`, a key, and a headless session."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from lw_coder.plans.plan_file import read_plan
from lw_coder.settings.config import load_config
from tests.integration.conftest import Person, a_person
from tests.integration.execution import run_folders
from tests.integration.known_prompts import know_plan_prompts
from tests.support.engine import bridge_address, docker
from tests.support.projects import PROJECTS, Project, make_project
from tests.support.recipe_page import BY_HAND, PAGE, blocks
from tests.support.sample_repository import KEY, run_git
from tests.support.scripted_model import ScriptedModel
from tests.support.shell_agent import DONE, shell_agent

PLAN_ID = "first-plan"
SUBJECT = "Say how to run the tests"
COMMIT = f'echo "Run the tests." >> README.md && git add README.md && git commit -q -m "{SUBJECT}"'


@dataclass(frozen=True)
class Worked:
    """A session in which the agent ran commands: what they gave, and the image that they ran in."""

    results: list[str]
    image: str


def write_key(root: Path, base_url: str) -> None:
    """Do what init leaves to the person; the server is the test's."""
    text = f"OPENROUTER_API_KEY={KEY}\nOPENROUTER_BASE_URL={base_url}\n"
    (root / ".env").write_text(text, encoding="ascii")


def a_session(person: Person, *steps: str) -> Worked:
    """Carry out the first plan, whose prompts are known, and have the agent run commands."""
    root = person.cwd
    with ScriptedModel(shell_agent(steps), host=bridge_address()) as model:
        write_key(root, model.base_url)
        know_plan_prompts(
            person.home, read_plan(root / f".lw_coder/tasks/{PLAN_ID}.md").metadata, model.base_url
        )
        status, text = person.runs_to_the_end("code", PLAN_ID, "--headless")
    assert status == 0, text
    assert DONE in text
    config = load_config(root)
    assert ("Gateway: OPENROUTER_API_KEY stays outside" in text) == config.gateway
    assert ("Verdict:  passed" in text) == bool(config.checks), text
    record = json.loads((run_folders(root, PLAN_ID)[-1] / "run.json").read_text())
    return Worked([step.result for step in model.agent.steps], record["images"]["repo"])


@pytest.mark.parametrize("kind", list(PROJECTS))
def test_a_project_gets_from_init_to_the_agents_first_step(kind: str, tmp_path: Path, home: Path) -> None:
    project, root = PROJECTS[kind], tmp_path / kind
    make_project(root, project)
    with a_person(home, root) as person:
        status, text = person.runs_to_the_end("init", "--yes")
        assert status == 0, text
        assert f"the session's image, for: {kind}" in text
        assert load_config(root).gateway
        assert text.rstrip().endswith(f"Then type: lw_coder code {PLAN_ID}")
        locks = [f"git clean -fdq && {project.lock}"] if project.lock else []
        worked = a_session(person, project.test, COMMIT, *locks)
        assert project.prints in worked.results[0], worked.results[0]
        assert run_git(root, "log", "-1", "--format=%s", f"lw/task/{PLAN_ID}") == SUBJECT
        assert not run_git(root, "status", "--porcelain", "--", ".env")
        if project.lock:
            _lock_file_counts(person, project)


def _lock_file_counts(person: Person, project: Project) -> None:
    """Commit the lock file that the agent has made: the next image is built from it."""
    root, worktree = person.cwd, person.cwd / ".lw_coder/worktrees" / PLAN_ID
    run_git(worktree, "add", "--all")
    run_git(worktree, "commit", "--quiet", "--message", "Lock")
    run_git(root, "merge", "--quiet", f"lw/task/{PLAN_ID}")
    assert run_git(root, "log", "-1", "--format=%s") == "Lock"
    worked = a_session(person, project.test)
    assert project.prints in worked.results[0], worked.results[0]
    # Without a network: what the lock file names is in the image.
    offline = ("run", "--rm", "--memory", "2g", "--network", "none", "--volume", f"{root}:/workspace")
    assert project.prints in docker(*offline, worked.image, "sh", "-c", f"{project.test} 2>&1")


@pytest.mark.parametrize("kind", ["uv", "npm", "make"])
def test_the_recipes_lead_there_by_hand(kind: str, tmp_path: Path, home: Path) -> None:
    """Type what the page says, copy its Dockerfile, and nothing else."""
    project, root, page = PROJECTS[kind], tmp_path / kind, PAGE.read_text(encoding="ascii")
    make_project(root, project)
    (recipe,) = blocks(page, kind, "dockerfile")
    with a_person(home, root) as person:
        for commands in blocks(page, BY_HAND, "sh"):
            subprocess.run(["sh", "-e", "-c", commands], cwd=root, env=dict(person.env), check=True)
        (root / ".lw_coder/code.Dockerfile").write_text(recipe, encoding="ascii")
        worked = a_session(person, project.test)
        assert project.prints in worked.results[0], worked.results[0]
        assert not run_git(root, "status", "--porcelain", "--", ".env")
