"""From a project to the first step of the agent: `lw_coder init --yes`, a key, and `lw_coder code`."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from lw_coder.settings.config import load_config
from tests.integration.conftest import LW_CODER, Person, a_person
from tests.integration.execution import Execution, run_folders
from tests.support.engine import bridge_address, docker
from tests.support.projects import PROJECTS, make_project
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
    text: str


def write_key(root: Path, base_url: str) -> None:
    """Do what init leaves to the person; the server is the test's."""
    text = f"OPENROUTER_API_KEY={KEY}\nOPENROUTER_BASE_URL={base_url}\n"
    (root / ".env").write_text(text, encoding="ascii")


@contextmanager
def a_session(person: Person, *steps: str) -> Iterator[Worked]:
    """Type `lw_coder code first-plan`, and have the agent run commands in its first steps."""
    root = person.cwd
    with ScriptedModel(shell_agent(steps), host=bridge_address()) as model:
        write_key(root, model.base_url)
        with person.types(LW_CODER, "code", PLAN_ID) as terminal:
            execution = Execution(terminal, root, PLAN_ID)
            terminal.wait_until(lambda: bool(run_folders(root, PLAN_ID)), "an image and prompts")
            execution.wait_for(DONE)
            assert execution.status is None, terminal.text
            asked = [request.conversation for request in model.requests if request.kind == "agent"]
            agent = max(asked, key=lambda conversation: len(conversation.steps))
            yield Worked([step.result for step in agent.steps], execution.image, terminal.text)
            assert execution.end() == 0, terminal.text
            config = load_config(root)
            assert ("Gateway: OPENROUTER_API_KEY stays outside" in terminal.text) == config.gateway
            assert ("Verdict:  passed" in terminal.text) == bool(config.checks), terminal.text


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
        with a_session(person, project.test, COMMIT) as worked:
            assert project.prints in worked.results[0], worked.results[0]
        assert run_git(root, "log", "-1", "--format=%s", f"lw/task/{PLAN_ID}") == SUBJECT
        assert not run_git(root, "status", "--porcelain", "--", ".env")


@pytest.mark.parametrize("kind", [kind for kind, project in PROJECTS.items() if project.lock])
def test_a_lock_file_counts(kind: str, tmp_path: Path, home: Path) -> None:
    """The lock file is made in a first session, as an agent would, and the second image is built from it."""
    project, root = PROJECTS[kind], tmp_path / kind
    make_project(root, project)
    with a_person(home, root) as person:
        assert person.runs_to_the_end("init", "--yes")[0] == 0
        with a_session(person, f"{project.lock} && git add --all && git commit -q -m Lock"):
            pass
        run_git(root, "merge", "--quiet", f"lw/task/{PLAN_ID}")
        assert run_git(root, "log", "-1", "--format=%s") == "Lock"
        with a_session(person, project.test) as worked:
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
        with a_session(person, project.test) as worked:
            assert project.prints in worked.results[0], worked.results[0]
        assert not run_git(root, "status", "--porcelain", "--", ".env")
