"""The task plan's scenarios on the real engine, image and droid; only the language model is played.

Most look at one of three sessions, carried out one after the other in one repository. What a container is
asked while its session is up is kept: each scenario finds the same, whichever is the first.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pytest_bdd import given, scenario, scenarios, then, when

from lw_coder.containers.image_names import BASE_LABEL, BASE_TAG
from lw_coder.containers.images import base_fingerprint
from lw_coder.foundation.state import prompt_cache_folder
from lw_coder.plans.plan_file import read_plan
from lw_coder.repository.commit_ids import require_commit
from lw_coder.repository.git import find_repository
from lw_coder.repository.temporary_worktrees import create_temp_worktree
from lw_coder.repository.worktrees import Worktree, ensure_worktree
from lw_coder.settings.environment import DEFAULT_MODEL
from tests.integration.conftest import LW_CODER, SUMMARY, Person, a_person
from tests.integration.execution import Execution, run_folders
from tests.support.agent_script import scripted_alone
from tests.support.engine import bridge_address, docker
from tests.support.prompt_cache import unpack_prompt_cache
from tests.support.sample_repository import KEY, PLAN, PLAN_ID, SampleRepository, make_sample_repository
from tests.support.scripted_model import ScriptedModel

FEATURE = "features/code_command.feature"
SESSION_SHOWS = f"Carry out the plan `{PLAN_ID}`"  # the main prompt's title, the first that droid draws of it
CODING_DROIDS = ["code-review-auditor.md", "plan-alignment-checker.md"]
PLAN_DROIDS = Path(__file__).parents[2] / "src/lw_coder/droids/plan"
LOCAL_KEY = "sk-or-key-of-env-local"
MARKER = "/made-by-the-changed-dockerfile"
CACHE_TEST = "dspy/test_prompt_cache.py::test_the_sample_plans_prompts_come_from_the_shipped_cache"


# The scenarios that share a repository, with the session that each executes; see the fixtures of these names.
SHARED = {
    "test_run_directory_is_created_with_cached_prompts": "first",
    "test_docker_container_sees_only_code_assets": "first",
    "test_context7_mcp_available_inside_droid_container": "first",
    "test_worktree_separation_is_preserved": "first",
    "test_old_run_directories_are_pruned_on_new_run": "second",
    "test_repositoryspecific_docker_image_reuse": "second",
    "test_repository_docker_image_rebuild_rationale": "third",
}
PROMPT = "/tmp/lw_coder/main_prompt.md"  # noqa: S108 - the plan's own path
DROIDS = "/home/droiduser/.factory/droids"
MCP = "/home/droiduser/.factory/mcp.json"


class Noted(Execution):
    """An execution that keeps what it was asked of its container, and what was there at its time.

    Attributes:
        tagged: the id of the image that had the repository's tag.
        mounts: the sources of what is mounted in the container, by the places there.
        build_log: of its images.
        left: the plan's runs when it had ended.
    """

    tagged: str
    mounts: dict[str, str]
    build_log: str
    left: list[Path]

    def take_notes(self, home: Path) -> None:
        """Note what later sessions change; the session is up, with its image built."""
        self._told: dict[tuple[str, ...], str] = {}
        self._found: dict[tuple[str, ...], list[str]] = {}
        assert self.run
        self.tagged, self.build_log = _image_id(self.image), _build_log(self, home)
        mounts = json.loads(docker("inspect", "--format", "{{json .Mounts}}", self.container))
        self.mounts = {mount["Destination"]: mount["Source"] for mount in mounts}

    def inside(self, *command: str) -> str:
        if command not in self._told:
            self._told[command] = super().inside(*command)
        return self._told[command]

    def find_inside(self, names: Sequence[str]) -> list[str]:
        if tuple(names) not in self._found:
            self._found[tuple(names)] = super().find_inside(names)
        return self._found[tuple(names)]

    def end(self) -> int:
        if self.status is None:
            super().end()
            self.left = run_folders(self.root, self.plan_id)
        assert self.status is not None
        return self.status


@dataclass(frozen=True)
class Place:
    """A repository, who works there, and the model.

    Attributes:
        sample: the repository.
        person: types there, and has a home.
        model: answers.
        had_prompts: whether there were any in the cache when all this was new.
    """

    sample: SampleRepository
    person: Person
    model: ScriptedModel
    had_prompts: bool

    def execute(self) -> Noted:
        """Type `lw_coder code` for the plan; it returns with the summary shown and the session up."""
        typed = self.person.types(LW_CODER, "code", str(PLAN))
        execution = Noted(typed, self.sample.root, PLAN_ID)
        execution.wait_for(SUMMARY)
        if execution.status is None:
            execution.take_notes(self.person.home)
        return execution


@contextmanager
def a_place(folder: Path, home: Path) -> Iterator[Place]:
    sample = make_sample_repository(folder / "sample")
    had_prompts = (home / ".cache/lw_coder").exists()
    with (
        ScriptedModel(scripted_alone, host=bridge_address()) as model,
        a_person(home, sample.root) as person,
    ):
        place = Place(sample, person, model, had_prompts)
        define_env(place)
        yield place


def define_env(place: Place) -> None:
    place.sample.write_env(place.model.base_url, OPENROUTER_MODEL=DEFAULT_MODEL)


@pytest.fixture(scope="module")
def shared_place(tmp_path_factory: pytest.TempPathFactory, engine: str) -> Iterator[Place]:
    assert engine
    folder = tmp_path_factory.mktemp("shared")
    (folder / "home").mkdir()
    with a_place(folder, folder / "home") as place:
        yield place


@pytest.fixture(scope="module")
def somebodys_temp_worktree(shared_place: Place) -> Worktree:
    """The plan's scenario has no step that makes one: it is there before the first session."""
    sample = shared_place.sample
    return create_temp_worktree(find_repository(sample.root), sample.sha, "somebodys")


@pytest.fixture(scope="module")
def first(shared_place: Place, somebodys_temp_worktree: Worktree) -> Noted:
    """The first session in the repository, whose container is looked through."""
    assert somebodys_temp_worktree.path.is_dir()
    execution = shared_place.execute()
    assert execution.status is None, execution.terminal.text
    execution.inside("cat", PROMPT)
    execution.inside("ls", "-A", DROIDS)
    for name in CODING_DROIDS:
        execution.inside("cat", f"{DROIDS}/{name}")
    for names in (CODING_DROIDS[:1], plan_droids()):
        execution.find_inside(names)
    for words in (("droid", "mcp", "list"), ("droid", "mcp", "--help"), ("cat", MCP)):
        execution.inside(*words)
    _finds_the_very_worktree(shared_place.sample)
    assert execution.end() == 0
    return execution


@pytest.fixture(scope="module")
def aged_runs(first: Noted) -> dict[int, Path]:
    """Copies of a real run with older names, by days of age; the one of 29 days is to stay."""
    aged = {days: first.run.with_name(_name_of_age(days)) for days in (29, 31, 400)}
    for folder in aged.values():
        shutil.copytree(first.run, folder, symlinks=True)
    return aged


@pytest.fixture(scope="module")
def second(shared_place: Place, aged_runs: dict[int, Path]) -> Noted:
    """The same once more, where old runs are."""
    assert aged_runs
    execution = shared_place.execute()
    assert execution.end() == 0, execution.terminal.text
    return execution


@pytest.fixture(scope="module")
def third(shared_place: Place, second: Noted) -> Noted:
    """And with another Dockerfile, which is then as it was."""
    assert second.status == 0
    dockerfile = shared_place.sample.root / ".lw_coder/code.Dockerfile"
    text = dockerfile.read_text()
    dockerfile.write_text(f"{text}RUN touch {MARKER}\n")
    execution = shared_place.execute()
    execution.find_inside([Path(MARKER).name])
    assert execution.end() == 0, execution.terminal.text
    dockerfile.write_text(text)
    return execution


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path, home: Path, engine: str) -> Iterator[Place]:
    """The shared one, or one of the scenario's own."""
    assert engine
    if request.node.name in SHARED:
        yield request.getfixturevalue("shared_place")
        return
    with a_place(tmp_path, home) as own:
        yield own


@pytest.fixture
def sample(place: Place) -> SampleRepository:
    return place.sample


@pytest.fixture
def person(place: Place) -> Person:
    return place.person


@pytest.fixture
def model(place: Place) -> ScriptedModel:
    return place.model


Execute = Callable[[], Noted]


@pytest.fixture
def execute(request: pytest.FixtureRequest, place: Place) -> Iterator[Execute]:
    """Carry the plan out, or see the session in which the scenario's was carried out."""
    typed: list[Noted] = []

    def type_command() -> Noted:
        shared = SHARED.get(request.node.name)
        typed.append(request.getfixturevalue(shared) if shared else place.execute())
        return typed[-1]

    yield type_command
    for execution in typed:
        if execution.status is None:  # no step asked for it, so it has to be the plain one
            assert execution.end() == 0, execution.terminal.text


@scenario(FEATURE, "Base image built on demand")
@pytest.mark.usefixtures("base_image_comes_back")
def test_base_image_built_on_demand() -> None:
    """Others on the same engine need the image: the fixture keeps it should the scenario fail."""


scenarios(FEATURE)


# Background


@given("a repository with a valid plan file at .lw_coder/tasks/sample-plan.md")
def _(sample: SampleRepository, person: Person) -> None:
    assert read_plan(person.cwd / PLAN).metadata.plan_id == PLAN_ID
    assert sample.root == person.cwd


# That commit's repository is not ours to copy: the sample has one commit for its plan, the same everywhere.
@given("the plan references git_sha de528997b23028fdd0732ae6d17a8c11ad6c6348")
def _(sample: SampleRepository) -> None:
    assert read_plan(sample.plan).metadata.git_sha == sample.sha
    require_commit(find_repository(sample.root), sample.sha)


@given(".env defines OPENROUTER_API_KEY, OPENROUTER_BASE_URL, and OPENROUTER_MODEL")
def _(place: Place) -> None:
    define_env(place)


@given("the DSPy cache directory is empty")
def _(place: Place, home: Path) -> None:
    assert prompt_cache_folder().is_relative_to(home / ".cache/lw_coder")
    assert not place.had_prompts


@when("I execute `lw_coder code .lw_coder/tasks/sample-plan.md`", target_fixture="execution")
def _(execute: Execute) -> Noted:
    return execute()


# Run directory is created with cached prompts


@then("a new directory appears under `.lw_coder/runs/sample-plan/<timestamp>/`")
def _(execution: Noted, sample: SampleRepository) -> None:
    assert execution.run.parent == sample.root / ".lw_coder/runs" / PLAN_ID
    started = datetime.strptime(execution.run.name, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert execution.typed_at.replace(microsecond=0) <= started <= datetime.now(UTC)


@then(
    "`prompts/main.md` and `droids/code-review-auditor.md` and `droids/plan-alignment-checker.md` "
    "exist inside that directory"
)
def _(execution: Noted, sample: SampleRepository) -> None:
    assert sample.sha in (execution.run / "prompts/main.md").read_text()
    for name in CODING_DROIDS:
        assert (execution.run / "droids" / name).read_text().startswith("---\nname: ")
    assert not sample.git("status", "--porcelain")


@then("rerunning the command reuses cached DSPy responses without additional API calls")
def _(execution: Noted, model: ScriptedModel, request: pytest.FixtureRequest) -> None:
    assert execution.end() == 0
    assert model.count("dspy") == 1
    again: Noted = request.getfixturevalue("second")
    assert again.end() == 0
    assert model.count("dspy") == 1
    assert "Prompts: from the cache." in again.terminal.text
    assert [_record(run)["cache_hit"] for run in (execution.run, again.run)] == [False, True]
    first, second = ((run / "prompts/main.md").read_bytes() for run in (execution.run, again.run))
    assert first == second


# Old run directories are pruned on new run


@given("`.lw_coder/runs/sample-plan/` contains runs older than 30 days", target_fixture="aged")
def _(aged_runs: dict[int, Path]) -> dict[int, Path]:
    return aged_runs


@then("run directories older than 30 days are deleted")
def _(execution: Noted, aged: dict[int, Path]) -> None:
    assert {days for days, folder in aged.items() if folder.exists()} == {29}
    assert execution.end() == 0
    shown = execution.terminal.text
    for days in (31, 400):
        assert shown.index(f"Pruned:   {PLAN_ID}/{aged[days].name}") < shown.index(SESSION_SHOWS)


@then("the new run directory remains")
def _(execution: Noted, aged: dict[int, Path]) -> None:
    assert _record(execution.run)["ended"]["status"] == 0
    assert {aged[29], execution.run} <= set(execution.left)
    assert len(execution.left) == 3  # and the one that the others were copied from


# Docker container sees only code assets


@then("inside the droid container `/tmp/lw_coder/main_prompt.md` exists and matches the generated prompt")
def _(execution: Noted) -> None:
    seen = execution.inside("cat", PROMPT)
    assert seen == (execution.run / "prompts/main.md").read_text().strip()


@then("`/home/droiduser/.factory/droids` contains only the run-specific code subagents")
def _(execution: Noted) -> None:
    assert execution.inside("ls", "-A", DROIDS).split() == CODING_DROIDS
    for name in CODING_DROIDS:
        seen = execution.inside("cat", f"{DROIDS}/{name}")
        assert seen == (execution.run / "droids" / name).read_text().strip()


@then("no plan subagent files are present in the container")
def _(execution: Noted) -> None:
    assert plan_droids()
    assert execution.find_inside(CODING_DROIDS[:1])  # the search does find what is there
    assert execution.find_inside(plan_droids()) == []


def plan_droids() -> list[str]:
    return [path.name for path in PLAN_DROIDS.glob("*.md")]


# Configurable env file path is honored


@given('`.lw_coder/config.toml` specifies `env_file = ".env.local"`')
def _(sample: SampleRepository) -> None:
    (sample.root / ".lw_coder/config.toml").write_text('[code]\nenv_file = ".env.local"\n')


@given("`.env.local` defines OPENROUTER_API_KEY")
def _(sample: SampleRepository, model: ScriptedModel) -> None:
    sample.write_env(model.base_url, ".env.local", OPENROUTER_API_KEY=LOCAL_KEY)
    # Whoever reads it now fails: it is neither text nor a list of variables.
    (sample.root / ".env").write_bytes(b'OPENROUTER_API_KEY="\xff\xfe')


@then("the container receives OPENROUTER_API_KEY from `.env.local`")
def _(execution: Noted, model: ScriptedModel) -> None:
    assert execution.inside("printenv", "OPENROUTER_API_KEY") == LOCAL_KEY
    assert {request.kind for request in model.requests} >= {"dspy", "agent"}
    assert {request.authorization for request in model.requests} == {f"Bearer {LOCAL_KEY}"}


@then("the command succeeds without referencing `.env`")
def _(execution: Noted) -> None:
    assert execution.end() == 0
    assert re.findall(r'env_file: "(.*)"', (execution.run / "compose.yml").read_text()) == [
        "../../../../.env.local"
    ]


# Repository-specific Docker image reuse, and its rebuild rationale


@given(
    "`.lw_coder/code.Dockerfile` and `.lw_coder/config.toml` have not changed since the last run",
    target_fixture="last",
)
def _(first: Noted) -> Noted:
    assert first.end() == 0
    return first


@then("the command runs `docker build` for `lw_coder_droid:<repo_hash>`")
def _(execution: Noted) -> None:
    assert re.fullmatch(r"lw_coder_droid:[0-9a-f]{12}", execution.image)
    assert f"naming to docker.io/library/{execution.image}" in execution.build_log
    assert execution.tagged == _record(execution.run)["images"]["repo"]


@then("Docker reuses cached layers so the build completes quickly")
def _(execution: Noted, last: Noted) -> None:
    log = execution.build_log
    # A step that is being built elsewhere as well can have its name there, such as [repo stage-0  2/10].
    steps = re.findall(r"^#(\d+) \[[^\]]*\d+/\d+\] (?:RUN|COPY)", log, re.MULTILINE)
    assert steps, log
    assert [step for step in steps if f"\n#{step} CACHED\n" not in log] == []
    assert _images(execution) == _images(last)


@then("the logs show the image build invocation before the interactive session starts")
@then("the logs note that the image build is running before launching droid")
def _(execution: Noted) -> None:
    shown = execution.terminal.text
    assert shown.index(f"Image: building {execution.image}") < shown.index(SESSION_SHOWS)


@given("`.lw_coder/code.Dockerfile` was modified since the last run", target_fixture="last")
def _(second: Noted, request: pytest.FixtureRequest) -> Noted:
    assert second.end() == 0
    assert request.getfixturevalue("third").end() == 0
    return second


@then("the command rebuilds the docker image `lw_coder_droid:<repo_hash>`")
def _(execution: Noted, last: Noted) -> None:
    assert execution.image == last.image
    assert execution.tagged == _images(execution)["repo"] != _images(last)["repo"]
    assert execution.find_inside([Path(MARKER).name]) == [MARKER]


# Base image built on demand


@pytest.fixture
def base_image_comes_back() -> Iterator[None]:
    kept = f"{BASE_TAG}-kept-by-a-test"
    if docker("image", "ls", "--quiet", BASE_TAG):
        docker("tag", BASE_TAG, kept)
    yield
    if docker("image", "ls", "--quiet", kept):
        if not docker("image", "ls", "--quiet", BASE_TAG):
            docker("tag", kept, BASE_TAG)
        docker("image", "rm", kept)


@given("`lw_coder_droid:latest` is not present locally")
def _() -> None:
    docker("image", "rm", "--force", BASE_TAG)
    assert not docker("image", "ls", "--quiet", BASE_TAG)


@then("the CLI builds `docker/droid/Dockerfile` into `lw_coder_droid:latest`")
def _(execution: Noted) -> None:
    shown = execution.terminal.text
    announced = shown.index(f"Image: building {BASE_TAG}, which is missing or out of date")
    assert announced < shown.index(f"Image: building {execution.image}") < shown.index(SESSION_SHOWS)
    assert f"naming to docker.io/library/{BASE_TAG}" in execution.build_log
    label = f'{{{{index .Config.Labels "{BASE_LABEL}"}}}}'
    assert docker("image", "inspect", "--format", label, BASE_TAG) == base_fingerprint()


@then("the subsequent repo-specific build succeeds using that base tag")
def _(execution: Noted) -> None:
    base, repo = _layers(BASE_TAG), _layers(execution.image)
    assert repo[: len(base)] == base
    assert len(repo) > len(base)
    assert _images(execution) == {"base": _image_id(BASE_TAG), "repo": _image_id(execution.image)}


# Context7 MCP available inside droid container


@when("the docker image is built", target_fixture="execution")
def _(execute: Execute) -> Noted:
    return execute()


@then("the `droid mcp list` command inside the container includes `context7`")
def _(execution: Noted) -> None:
    assert re.search(r"^\s*context7\s+http\s", execution.inside("droid", "mcp", "list"), re.MULTILINE)


# Today's droid has no `mcp describe`. What it would say: address and transport, with nothing left to set up.
# The list asks every server, and says "failed: ..." of this one where the network does not lead to it.
@then("running `droid mcp describe context7` succeeds without additional setup")
def _(execution: Noted) -> None:
    assert "describe" not in execution.inside("droid", "mcp", "--help")  # else this step has to use it
    (server,) = json.loads(execution.inside("cat", MCP))["mcpServers"].items()
    assert server == (
        "context7",
        {"type": "http", "url": "https://mcp.context7.com/mcp", "disabled": False},
    )
    assert re.search(r"context7\s+http\s+(connected|failed: )", execution.inside("droid", "mcp", "list"))


# Pytest executable available in repo image. The repository is this one, by a clone.


@when("I build the repo-specific docker image", target_fixture="own")
def _(own_session: Execution) -> Execution:
    assert own_session.status is None, own_session.terminal.text
    return own_session


@when("I run `uv run pytest --version` inside the container", target_fixture="printed")
def _(own: Execution) -> str:
    return own.inside("uv", "run", "pytest", "--version")  # raises unless it exits with 0


@then("the command exits successfully and prints the pytest version")
def _(printed: str) -> None:
    assert re.fullmatch(r"pytest \d+\.\d+\.\d+", printed)


# Worktree separation is preserved


@then("the command uses `ensure_worktree` to prepare the coding worktree")
def _(execution: Noted, sample: SampleRepository) -> None:
    ensured = _finds_the_very_worktree(sample)  # as it did while the session was up
    assert (ensured.path, ensured.branch) == (_plan_worktree(sample), f"lw/task/{PLAN_ID}")
    assert execution.mounts["/workspace"] == str(ensured.path)


def _finds_the_very_worktree(sample: SampleRepository) -> Worktree:
    """Have the plan's worktree ensured, which makes nothing."""
    listed = sample.git("worktree", "list", "--porcelain")
    ensured = ensure_worktree(find_repository(sample.root), read_plan(sample.plan).metadata)
    assert sample.git("worktree", "list", "--porcelain") == listed
    return ensured


@then("no temporary worktree created by `create_temp_worktree` is removed")
def _(execution: Noted, sample: SampleRepository, somebodys_temp_worktree: Worktree) -> None:
    assert execution.end() == 0
    assert (somebodys_temp_worktree.path / "greeting.py").is_file()
    assert somebodys_temp_worktree.has_own_pointer()
    assert str(somebodys_temp_worktree.path) in sample.git("worktree", "list", "--porcelain")


@then("the worktree path remains after the command exits")
def _(execution: Noted, sample: SampleRepository) -> None:
    assert execution.status == 0
    assert "world" in (_plan_worktree(sample) / "greeting.py").read_text()  # the agent's change
    assert f"Worktree: .lw_coder/worktrees/{PLAN_ID}" in execution.terminal.text


# Missing OpenRouter configuration fails fast


@given("`.env` is missing `OPENROUTER_API_KEY`")
def _(sample: SampleRepository) -> None:
    lines = (sample.root / ".env").read_text().splitlines()
    assert f"OPENROUTER_API_KEY={KEY}" in lines
    (sample.root / ".env").write_text("\n".join(line for line in lines if KEY not in line) + "\n")


@then("the command exits with a non-zero status")
def _(execution: Noted, sample: SampleRepository, model: ScriptedModel) -> None:
    assert execution.status == 1
    assert sorted(path.name for path in (sample.root / ".lw_coder").iterdir()) == [
        "code.Dockerfile",
        "config.toml",
        "tasks",
    ]
    assert sample.git("branch", "--format=%(refname:short)") == "main"
    assert not model.requests


@then("it logs guidance for configuring OpenRouter credentials")
def _(execution: Noted) -> None:
    shown = " ".join(execution.terminal.text.split())
    assert "error: OPENROUTER_API_KEY: is set neither in .env nor in the environment" in shown
    assert "put OPENROUTER_API_KEY=<your key from openrouter.ai/keys> into .env" in shown


# DSPy caching active during tests. In this repository's own image and without a network, so that no call
# could have been made; the tests have the cache that is shipped for the sample plan.


@given("the DSPy cache directory is pre-populated for sample-plan")
def _(home: Path) -> None:
    assert unpack_prompt_cache(home / ".cache") == prompt_cache_folder()
    assert list(prompt_cache_folder().rglob("cache.db"))


@when("I run the unit test suite", target_fixture="suite")
def _(unit_suite: str) -> str:
    return unit_suite


@then("the tests execute without making external OpenRouter calls")
def _(suite: str, own_session: Execution) -> None:
    assert re.search(r"\d{3,} passed", suite)
    looked_up = own_session.inside("sh", "-c", "curl --silent --head https://openrouter.ai; echo $?")
    assert looked_up == "6"  # curl's "could not resolve host": there is no way out


@then("they assert the cached responses were utilized")
def _(suite: str, person: Person, model: ScriptedModel) -> None:
    assert re.search(rf"tests/unit/{CACHE_TEST} PASSED", suite)
    # And what they assert of the function holds for the command, in the folder that was filled above.
    with person.types(LW_CODER, "code", PLAN_ID) as terminal:
        terminal.wait_for("Prompts: from the cache.")
        terminal.wait_for(SUMMARY)
        assert terminal.leave() == 0
    assert model.count("dspy") == 0


def _name_of_age(days: int) -> str:
    # A minute more: the limit itself is the unit tests' concern.
    return f"{datetime.now(UTC) - timedelta(days=days, minutes=1):%Y%m%dT%H%M%SZ}"


def _plan_worktree(sample: SampleRepository) -> Path:
    return sample.root / ".lw_coder/worktrees" / PLAN_ID


def _record(run: Path) -> dict[str, Any]:
    return dict(json.loads((run / "run.json").read_text()))


def _images(execution: Noted) -> dict[str, str]:
    return dict(_record(execution.run)["images"])


def _image_id(name: str) -> str:
    return docker("image", "inspect", "--format", "{{.Id}}", name)


def _layers(name: str) -> list[str]:
    return list(json.loads(docker("image", "inspect", "--format", "{{json .RootFS.Layers}}", name)))


def _build_log(execution: Noted, home: Path) -> str:
    logs = home.glob(f".local/state/lw_coder/log/build-{execution.identity}-*.log")
    return max(logs, key=lambda log: log.stat().st_mtime).read_text()
