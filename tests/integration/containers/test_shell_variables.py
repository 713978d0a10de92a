"""A person's shell holds variables that docker's clients read: none changes what is built or run."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from lw_coder.containers.labels import PROXY_LABEL
from lw_coder.settings.docker_variables import RULES, Use
from tests.integration.conftest import LW_CODER, Person
from tests.support.engine import docker
from tests.support.refusal import assert_refused, shown_lines
from tests.support.sample_repository import KEY, PLAN_ID, SampleRepository
from tests.support.snapshot import changes, snapshot

# Looks at all that it is given. Its session ends at once, and tells which key it got.
DOCKERFILE = """FROM lw_coder_droid:latest
COPY . /context
RUN printf '#!/bin/sh\\necho "The key is $OPENROUTER_API_KEY."\\n' > "$(command -v start-session)"
"""
ENV_FILES = (".env", ".env.local", "inner/.env")
VALUES = {
    "COMPOSE_PARALLEL_LIMIT": "1",
    "COMPOSE_PATH_SEPARATOR": ";",
    "DOCKER_DEFAULT_PLATFORM": "linux/arm64",
}
CLASSIC = ({"DOCKER_BUILDKIT": "0"}, {"DOCKER_BUILDKIT": "0", "COMPOSE_BAKE": "false"})
BUILDKIT = ({"COMPOSE_BAKE": "true"}, {"COMPOSE_BAKE": "false"}, {"DOCKER_BUILDKIT": "1"})

pytestmark = pytest.mark.usefixtures("known_prompts")


@pytest.fixture(autouse=True)
def equipped(sample: SampleRepository) -> None:
    (sample.root / ".lw_coder/code.Dockerfile").write_text(DOCKERFILE, encoding="ascii")
    (sample.root / "inner").mkdir()
    for name in ENV_FILES[1:]:
        (sample.root / name).write_text(f"OPENROUTER_API_KEY={KEY}\n", encoding="ascii")


def steering_variables() -> dict[str, str]:
    """Name each variable of the table that is not handed on, with a value that would change something."""
    names = [name for rule in RULES if rule.use is not Use.KEPT for name in rule.names if "*" not in name]
    return {name: VALUES.get(name, "0" if name.endswith("BUILDKIT") else "1") for name in names}


def built_image(person: Person, sample: SampleRepository) -> str:
    status, text = person.runs_to_the_end("code", PLAN_ID)
    assert status == 0, text
    assert f"The key is {KEY}." in text
    return _image_of(sample)


def _image_of(sample: SampleRepository) -> str:
    newest = max(sample.root.glob(f".lw_coder/runs/{PLAN_ID}/*/services.yml"))
    droid = newest.read_text(encoding="utf-8").partition("  droid:\n")[2]
    return next(line.split('"')[1] for line in droid.splitlines() if line.startswith("    image: "))


def secrets_in(image: str) -> str:
    """Look for env files, git and the key in all of the image's files."""
    look = f"find / -xdev -name '.env*' ! -path '/proc/*'; ls -d /context/.git; grep -rl {KEY} /context /root"
    return docker("run", "--rm", "--entrypoint", "sh", image, "-c", f"{look}; true")


def test_no_image_holds_an_env_file_whatever_the_shell_says(sample: SampleRepository, person: Person) -> None:
    """All variables at once, one that nobody knows, and each without each of the others."""
    known = steering_variables()
    others = sample.root.parent / "others.env"
    others.write_text("OPENROUTER_API_KEY=another\n", encoding="ascii")
    found: dict[str, tuple[str, str]] = {}  # by the image's own id: what is the same image is looked at once
    for variables in (
        *_apart(known),
        {"DOCKER_OF_TOMORROW": "0"},
        {**known, "COMPOSE_ENV_FILES": str(others)},
    ):
        person.extra = dict(variables)
        image = built_image(person, sample)
        assert image.startswith("sha256:")
        if image not in found:
            architecture = docker("image", "inspect", "--format", "{{.Architecture}}", image)
            found[image] = (secrets_in(image), architecture)
        assert (variables, *found[image]) == (variables, "", _own_architecture())


def _apart(variables: Mapping[str, str]) -> list[dict[str, str]]:
    """Divide the variables in halves, so often that for any two of them one half has the first alone.

    No variable's effect can then be hidden by another one's, and few sessions are needed.
    """
    numbered = list(enumerate(variables.items()))
    bits = range(len(numbered).bit_length())
    return [
        dict(pair for number, pair in numbered if number >> bit & 1 == value)
        for bit in bits
        for value in (0, 1)
    ]


def _own_architecture() -> str:
    return docker("version", "--format", "{{.Server.Arch}}")


@pytest.mark.parametrize("name", ["keys/[prod]*.txt", "!keys?.txt", "#keys.txt", "back\\slash"])
def test_no_image_holds_an_env_file_of_any_name(sample: SampleRepository, person: Person, name: str) -> None:
    """What is a mark in an ignore file is a part of a name here."""
    (sample.root / name).parent.mkdir(exist_ok=True)
    shutil.copy(sample.root / ".env", sample.root / name)
    (sample.root / ".lw_coder/config.toml").write_text(f"[code]\nenv_file = '{name}'\n", encoding="ascii")
    assert secrets_in(built_image(person, sample)) == ""


def test_the_builder_is_the_engines_own(sample: SampleRepository, person: Person) -> None:
    """Another one, chosen for good by `docker buildx use`, does not see the base image."""
    person.extra = {"DOCKER_CONFIG": str(sample.root.parent / "docker")}
    there = "tcp://127.0.0.1:9"
    create = ("docker", "buildx", "create", "--name", "elsewhere", "--driver", "remote", "--use", there)
    assert _by_hand(person, create, {}).returncode == 0
    built_image(person, sample)


@pytest.mark.parametrize("service", ["repo", "base"])
def test_a_build_by_hand_fails_where_the_ignore_file_is_not_read(
    sample: SampleRepository, person: Person, service: str
) -> None:
    image = built_image(person, sample)
    docker("image", "rm", "--force", *_tags(sample)[:1])
    for variables in CLASSIC:
        result = _build(person, sample, service, variables)
        assert result.returncode != 0
        assert "classic builder" in result.stderr
        assert not _tags(sample)
    for variables in BUILDKIT if service == "repo" else ():
        assert _build(person, sample, service, variables).returncode == 0
        assert secrets_in(_tags(sample)[0]) == ""
    assert image


def _tags(sample: SampleRepository) -> list[str]:
    from lw_coder.containers.image_names import repo_hash, repo_tag
    from lw_coder.repository.git import find_repository, root_commit

    repository = find_repository(sample.root)
    tag = repo_tag(repo_hash(root_commit(repository), repository.common_dir))
    return [tag] if docker("images", "--quiet", tag) else []


def _build(
    person: Person, sample: SampleRepository, service: str, variables: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    command = ("docker", "compose", "-f", str(_newest(sample)), "--profile", "build", "build", service)
    return _by_hand(person, command, variables)


def _newest(sample: SampleRepository) -> Path:
    return max(sample.root.glob(f".lw_coder/runs/{PLAN_ID}/*/compose.yml"))


def _by_hand(
    person: Person, command: tuple[str, ...], variables: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=person.cwd,
        env={**person.env, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_the_person_is_told_and_the_replay_line_unsets(person: Person) -> None:
    person.extra = {"COMPOSE_ENV_FILES": "/nowhere", "DOCKER_BUILDKIT": "0", "COMPOSE_MENU": "1"}
    status, text = person.runs_to_the_end("code", PLAN_ID)
    assert (status, f"The key is {KEY}." in text) == (0, True)
    assert "COMPOSE_ENV_FILES, DOCKER_BUILDKIT: set in this shell, but not passed to docker" in text
    line = next(one for one in text.splitlines() if one.startswith("Replay:")).removeprefix("Replay:").split()
    assert line[:5] == ["env", "-u", "COMPOSE_ENV_FILES", "-u", "DOCKER_BUILDKIT"]
    with person.types(*line) as terminal:
        assert terminal.wait() == 0
        assert f"The key is {KEY}." in terminal.text
    _, told = person.runs_to_the_end("doctor")
    assert "COMPOSE_ENV_FILES, DOCKER_BUILDKIT: set in this shell" in told


@pytest.fixture
def shared_project() -> Iterator[str]:
    name = f"shared-{os.getpid()}"
    yield name
    label = f"label=com.docker.compose.project={name}"
    for kind, remove in (("container", ("rm", "--force")), ("network", ("rm",))):
        found = docker(kind, "ls", "--quiet", *(("--all",) if kind == "container" else ()), "--filter", label)
        if found:
            docker(kind, *remove, *found.split())


def test_two_replays_in_one_project_have_a_proxy_each(
    sample: SampleRepository, person: Person, shared_project: str
) -> None:
    """COMPOSE_PROJECT_NAME beats the name in a run's file, where a replay is typed by hand."""
    files = []
    for hosts in ('["one.test"]', '["two.test"]'):
        (sample.root / ".lw_coder/config.toml").write_text(
            f"[code]\nallow_hosts = {hosts}\n", encoding="ascii"
        )
        built_image(person, sample)
        files.append(_newest(sample))
    before: set[str] = set()
    for file in files:
        command = ("docker", "compose", "-f", str(file), "run", "--rm", "-T", "droid")
        assert _by_hand(person, command, {"COMPOSE_PROJECT_NAME": shared_project}).returncode == 0
        proxies = _proxies(shared_project)
        assert before < proxies
        before = proxies
    lists = {docker("exec", one, "cat", "/etc/allow_hosts.filter") for one in before}
    assert sorted(("one" in one, "two" in one) for one in lists) == [(False, True), (True, False)]


def _proxies(project: str) -> set[str]:
    filters = (f"label=com.docker.compose.project={project}", f"label={PROXY_LABEL}")
    return set(docker("ps", "--quiet", *(word for one in filters for word in ("--filter", one))).split())


def refused(person: Person, sample: SampleRepository, what: str, remedy: str) -> None:
    """`lw_coder code` ends with one line, and has made nothing."""
    before = snapshot(sample.root)
    with person.types(LW_CODER, "code", PLAN_ID) as terminal:
        assert terminal.wait(120) == 1, terminal.text
    assert_refused(shown_lines(terminal), [what], remedy)
    assert changes(before, snapshot(sample.root)) == []


BUILD_CONFIG = """[code]
docker_build_args = [
    "--build-arg", "COLOUR", "--secret", "id=npm,env=NPM_TOKEN", "--secret", "id=PIP_TOKEN,type=env",
]
"""
SHOW = """ARG COLOUR
RUN --mount=type=secret,id=npm --mount=type=secret,id=PIP_TOKEN \\
    cat /run/secrets/npm /run/secrets/PIP_TOKEN | sha256sum > /secrets && echo "$COLOUR" > /colour
RUN printf '#!/bin/sh\\necho "Got $(cut -c1-12 /secrets) and $(cat /colour)."\\n' \\
    > "$(command -v start-session)"
"""


def test_a_build_gets_what_only_the_env_file_has(sample: SampleRepository, person: Person) -> None:
    (sample.root / ".lw_coder/config.toml").write_text(BUILD_CONFIG, encoding="ascii")
    (sample.root / ".lw_coder/code.Dockerfile").write_text(DOCKERFILE + SHOW, encoding="ascii")
    with (sample.root / ".env").open("a", encoding="ascii") as file:
        file.write("COLOUR='light $blue'\nNPM_TOKEN='n$pm'\n")
    what = "docker_build_args: PIP_TOKEN: is set neither in .env"
    refused(person, sample, what, "put PIP_TOKEN=... into")
    assert person.runs_to_the_end("doctor")[0] == 1

    person.extra = {"PIP_TOKEN": "of the shell"}
    status, text = person.runs_to_the_end("code", PLAN_ID)
    assert status == 0, text
    assert "Got 1365422ae9e9" in text
    assert "and light $blue." in text
    history = docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", _image_of(sample))
    assert not any(secret in history for secret in ("n$pm", "of the shell"))


@pytest.mark.parametrize(
    ("arguments", "line", "shell"),
    [
        ('["--build-arg", "DOCKER_BUILDKIT"]', "", {"DOCKER_BUILDKIT": "0"}),
        ('["--secret", "id=x,env=DOCKER_HOST"]', "DOCKER_HOST=tcp://127.0.0.1:9", {}),
        ('["--build-arg", "LD_PRELOAD"]', "LD_PRELOAD=/nowhere.so", {}),
    ],
)
def test_what_would_steer_docker_is_no_build_variable(
    sample: SampleRepository, person: Person, arguments: str, line: str, shell: dict[str, str]
) -> None:
    (sample.root / ".lw_coder/config.toml").write_text(
        f"[code]\ndocker_build_args = {arguments}\n", encoding="ascii"
    )
    with (sample.root / ".env").open("a", encoding="ascii") as file:
        file.write(f"{line}\n")
    person.extra = shell
    refused(person, sample, "changes what docker does", "another name")


def test_what_would_steer_docker_is_not_forwarded_from_the_shell(
    sample: SampleRepository, person: Person
) -> None:
    config = '[code]\nforward_env = ["OPENROUTER_*", "COMPOSE_PROFILES"]\n'
    (sample.root / ".lw_coder/config.toml").write_text(config, encoding="ascii")
    person.extra = {"COMPOSE_PROFILES": "build"}
    refused(person, sample, "COMPOSE_PROFILES: changes what docker does", "write its value")
