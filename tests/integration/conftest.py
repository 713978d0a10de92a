"""What every integration test stands on: the real engine, the scripted model, a repository, a person."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest

from lw_coder.containers.image_names import repo_hash, repo_tag
from tests.integration.execution import Execution
from tests.integration.known_prompts import SHARED, know_prompts
from tests.integration.own_repository import (
    ONLOOKER_WORDS,
    OWN_PLAN_ID,
    clone_own_repository,
    scripted_onlooker,
)
from tests.support import installed
from tests.support.agent_script import ACTIONS, CHECKER, scripted_alone
from tests.support.base_image import ensure_base_image
from tests.support.engine import bridge_address, docker, remove_images
from tests.support.patience import PATIENCE
from tests.support.sample_repository import SampleRepository, make_sample_repository, run_git
from tests.support.scripted_model import Script, ScriptedModel
from tests.support.terminal import Terminal

LW_CODER = installed.LW_CODER
SUMMARY = ACTIONS[CHECKER][:40]  # a finding is shown while its subagent is still at work; this is not


# These change what all tests on an engine share: the name of the base image.
ALONE = ("test_base_image_built_on_demand", "test_images_are_built", "test_two_users")
# One process runs each of these files: its tests look at what one costly fixture did.
WHOLE = (
    "test_docker_flags",
    "test_engine_trouble",
    "test_escape",
    "test_gateway_escape",
    "test_hostile_checks",
    "test_model_errors",
    "test_own_image",
    "test_page",
    "test_batch_page",
    "test_scenarios",
)
# One process runs all tests in the folder `cluster`, so that one cluster is started.
# These take the longest, in this order: one that begins last is waited for alone.
LONGEST = (
    "test_twelve_plans_and_two_kills",
    "test_sessions_and_failures_spread_no_secret",
    "test_droid_is_started_again_with_the_longest_prompt",
    "test_a_signal_at_a_random_moment",
    "test_no_image_holds_an_env_file_whatever",
    "test_a_session_and_its_replay_reach",
    "test_a_project_gets_from_init",
    "test_the_repositorys_and_an_agents",
    "test_a_gateway_that_is_killed",
    "test_nothing_is_dropped_while_a_replay",
)
# A part of the unit suite: plain Python, real git, and DSPy's answers from the shipped cache. The whole of it
# has its own place, and a second time it would tell nothing more about the image.
IN_A_SESSION = (
    "plans/test_plan_file",
    "repository/test_git",
    "dspy/test_prompt_cache",
    "prompts/test_prompt_memo",
)
# These look at the session that test_own_image looks at.
IN_OWN_SESSION = ("test_dspy_caching_active", "test_pytest_executable_available")

# Names of images that go when no process builds any more: repositories with one Dockerfile share an image,
# and a build fails where what it has just made is removed. The layers stay in the build cache.
IMAGES: set[str] = set()


def pytest_testnodedown(node: Any) -> None:
    """Take over what one of several processes leaves."""
    IMAGES.update(getattr(node, "workeroutput", {}).get("images", ()))


def pytest_sessionfinish(session: pytest.Session) -> None:
    shared = getattr(session.config, "workeroutput", None)
    if shared is not None:
        shared["images"] = sorted(IMAGES)
    elif IMAGES:
        remove_images(IMAGES)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.integration)
        if item.name.startswith(ALONE):
            item.add_marker(pytest.mark.alone)
    items.sort(key=lambda item: _rank(item.name))


def _rank(name: str) -> int:
    return next((rank for rank, begin in enumerate(LONGEST) if name.startswith(begin)), len(LONGEST))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Share the tests out one by one, but for those that belong together."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return _belongs_to(nodeid)

    return Scheduling(config, log)


def _belongs_to(nodeid: str) -> str:
    path, _, name = nodeid.partition("::")
    if name.startswith(IN_OWN_SESSION):
        return "test_own_image"
    if "/cluster/" in path:
        return "cluster"
    return Path(path).stem if Path(path).stem in WHOLE else nodeid


@pytest.fixture(scope="session", autouse=True)
def engine() -> str:
    """The server's version; where no engine answers each test fails."""
    return docker("version", "--format", "{{.Server.Version}}")


@pytest.fixture(scope="session", autouse=True)
def shared_prompts(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let all processes of a run share the prompts that are known: to ask for them takes seconds."""
    folder = tmp_path_factory.getbasetemp()
    SHARED.append(folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder)


@pytest.fixture(scope="session")
def base_image(engine: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The base image's id; it is built if the engine lacks it, as a session would."""
    assert engine
    return ensure_base_image(tmp_path_factory.mktemp("base"))


@pytest.fixture
def script() -> Script:
    """What the model says; a test that is about the subagents asks for `scripted_demo`."""
    return scripted_alone


@pytest.fixture
def model(engine: str, script: Script) -> Iterator[ScriptedModel]:
    """The model, for DSPy on the host and for droid in its container, at one address."""
    assert engine
    with ScriptedModel(script, host=bridge_address()) as server:
        yield server


@pytest.fixture
def sample(tmp_path: Path, model: ScriptedModel) -> SampleRepository:
    """The sample repository, with an env file that names the scripted model."""
    repository = make_sample_repository(tmp_path / "sample")
    repository.write_env(model.base_url)
    return repository


@dataclass
class Person:
    """Types commands in a repository, with an environment that holds nothing of this machine's."""

    home: Path
    cwd: Path
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def env(self) -> Mapping[str, str]:
        kept = {
            name: os.environ[name] for name in ("PATH", "SSL_CERT_FILE", "DOCKER_HOST") if name in os.environ
        }
        return {**kept, "HOME": str(self.home), "LANG": "C.UTF-8", **self.extra}

    def types(self, *command: str) -> Terminal:
        return Terminal(command, self.cwd, self.env)

    def runs_to_the_end(self, *arguments: str) -> tuple[int, str]:
        """Run an lw_coder command that ends by itself; return its status and what it printed."""
        with self.types(LW_CODER, *arguments) as terminal:
            status = terminal.wait()
            return status, terminal.text

    def starts(
        self, *arguments: str, told: int | IO[str] = subprocess.PIPE, under: Sequence[str] = ()
    ) -> subprocess.Popen[str]:
        """Start an lw_coder command without a terminal, as a script or a timer would.

        Args:
            arguments: of the command.
            told: where its standard output and its standard error go.
            under: a command that lw_coder is started by.
        """
        command = [*under, LW_CODER, *arguments]
        return subprocess.Popen(
            command,
            cwd=self.cwd,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=told,
            stderr=told,
            text=True,
        )

    def runs_alone(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run an lw_coder command without a terminal to its end; return what it printed."""
        with self.starts(*arguments) as process:
            stdout, stderr = process.communicate(timeout=PATIENCE)
        assert "Traceback" not in stderr
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    def carries_out(self, plan: str, check: Callable[[Terminal], None] | None = None) -> Terminal:
        """Run `lw_coder code`, wait for the agent's summary, look at something, and leave.

        Fails unless the command ends with status 0; the terminal returned is closed, its text there.
        """
        with self.types(LW_CODER, "code", plan) as terminal:
            terminal.wait_for(SUMMARY)
            if check:
                check(terminal)
            status = terminal.leave()
        assert status == 0, terminal.text
        return terminal


@pytest.fixture
def person(home: Path, sample: SampleRepository) -> Iterator[Person]:
    with a_person(home, sample.root) as one:
        yield one


@contextmanager
def a_person(home: Path, root: Path) -> Iterator[Person]:
    """Yield somebody at work in the repository; see that nothing of theirs is left on the engine."""
    yield Person(home, root)
    assert not sessions_in(root), "a container was left behind"
    _name_image(root)


@pytest.fixture
def known_prompts(person: Person, sample: SampleRepository, model: ScriptedModel) -> None:
    """Have the sample's prompts in the person's cache, where they are not what is tested."""
    know_prompts(person.home, sample, model.base_url)


@pytest.fixture(scope="session")
def own_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Execution]:
    """A session on a clone of this very repository, in the image that its .lw_coder/code.Dockerfile makes.

    Once its agent has said what it had to say, no packet leaves its container.
    """
    folder = tmp_path_factory.mktemp("own")
    (folder / "home").mkdir()
    with ScriptedModel(scripted_onlooker, host=bridge_address()) as model:
        root = clone_own_repository(folder / "clone", model.base_url)
        with a_person(folder / "home", root) as person:
            execution = Execution(person.types(LW_CODER, "code", OWN_PLAN_ID), root, OWN_PLAN_ID)
            execution.wait_for(ONLOOKER_WORDS)
            docker("network", "disconnect", "bridge", execution.container)
            yield execution
            assert execution.end() == 0, execution.terminal.text


@pytest.fixture(scope="session")
def unit_suite(own_session: Execution) -> str:
    """What the unit suite prints inside that session, as far as it is run there; it fails if a test does."""
    tests = (f"tests/unit/{name}.py" for name in IN_A_SESSION)
    return own_session.inside("uv", "run", "pytest", "-v", *tests)


def sessions_in(root: Path) -> list[str]:
    """List the containers, ended ones included, that work on a repository; the engine may hold others'."""
    question = ("--all", "--no-trunc", "--filter", "label=lw_coder.plan", "--format", "{{json .}}")
    listed = [json.loads(line) for line in docker("ps", *question).split("\n") if line]
    return [one["ID"] for one in listed if str(root) in one["Mounts"]]


def _name_image(root: Path) -> None:
    # A run that failed has left no folder that could tell it.
    with suppress(subprocess.CalledProcessError):  # without a commit there was no image
        first = run_git(root, "rev-list", "--max-parents=0", "--first-parent", "HEAD")
        IMAGES.add(repo_tag(repo_hash(first, root / ".git")))
