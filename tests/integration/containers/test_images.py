"""The images as a person has them: what is built when, what a build gets to see, and what a flag does."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import certifi
import pytest

from lw_coder.containers.image_names import BASE_LABEL, BASE_TAG
from lw_coder.containers.images import base_fingerprint
from lw_coder.foundation.errors import ExitCode
from lw_coder.sessions.container_paths import CA_BUNDLE
from tests.integration.conftest import LW_CODER, Person
from tests.integration.execution import AtWork
from tests.integration.headless_session import Headless, beside, headless
from tests.support.engine import docker
from tests.support.patience import PATIENCE
from tests.support.refusal import assert_refused, shown_lines
from tests.support.sample_repository import KEY, PLAN_ID, SampleRepository
from tests.support.snapshot import changes, snapshot

# A build that looks at everything it is given. A secret is no reason to run a step again: a name that no
# earlier build has heard of is.
DOCKERFILE = """FROM lw_coder_droid:latest
ARG GREETING
RUN echo "$GREETING" > /greeting
RUN --mount=type=secret,id=ca_bundle sha256sum < /run/secrets/ca_bundle > /certificates # {volume}
COPY . /context
"""
# A session that ends at once: what is looked at is its image.
AT_ONCE = """FROM lw_coder_droid:latest
ARG GREETING=none
RUN echo "$GREETING" > /greeting
RUN printf '#!/bin/sh\\necho The session is here.\\n' > "$(command -v start-session)"
"""
# Fails as often as is asked for, in the words that the engine has where an image is removed during a build.
# The id is in the command as well: BuildKit does not count a mount's id when it looks a step up in its cache.
REMOVED_MEANWHILE = """RUN --mount=type=cache,id={id},target=/kept : {id} failed to get digest sha256:0 \\
    && echo >> /kept/attempts && [ "$(wc -l < /kept/attempts)" -gt {failures} ]
"""
CONFIG = """[code]
docker_build_args = ["--build-arg", "GREETING=hello $there"]
docker_run_args = ["--volume", "{volume}:/cache", "--hostname", "work-room", "--shm-size=128m"]
ca_bundle = "certificates.pem"
"""
# What must never be in an image cannot be asked for either.
IGNORE = "unwanted.txt\n*.log\n!.env\n!**/.env\n!.git\n!.lw_coder/runs\n!.lw_coder/worktrees\n"
NEVER = (".git", ".env", ".env.local", "inner/.env", ".lw_coder/runs", ".lw_coder/worktrees")
OTHER_INSTRUCTIONS = "Write the prompts for a carpenter, who likes them short."
BASE_OF_THE_BASE = "debian:trixie-slim"
STAND_IN = f"FROM {BASE_TAG}\nLABEL {BASE_LABEL}=of-another-day\n"
STAND_IN_FOR_NONE = f"FROM scratch\nLABEL {BASE_LABEL}=of-another-day\n"


@pytest.fixture
def volume() -> Iterator[str]:
    name = f"lw_coder-test-{uuid.uuid4().hex[:12]}"
    yield name
    docker("volume", "rm", "--force", name)


@pytest.fixture
def base_of_another_day() -> Iterator[None]:
    """In the place of the base image an image that was built of something else."""
    dockerfile = STAND_IN if docker("image", "ls", "--quiet", BASE_TAG) else STAND_IN_FOR_NONE
    command = ("docker", "build", "--quiet", "--tag", BASE_TAG, "-")
    built = subprocess.run(
        command, input=dockerfile, text=True, check=True, capture_output=True, timeout=PATIENCE
    )
    yield
    docker("image", "rm", "--force", built.stdout.strip())


@pytest.mark.usefixtures("base_of_another_day")
def test_images_are_built_of_what_they_may_hold(
    sample: SampleRepository, person: Person, volume: str
) -> None:
    equip(sample, volume)
    at = AtWork(sample.root, PLAN_ID)

    def look() -> None:
        assert _in_image(at, "unwanted.txt", "noise.log", *NEVER) == []
        _got_its_arguments(at, volume)
        _trusts(at, sample.root / "certificates.pem")

    script, meanwhile = beside(look, "touch /cache/mark && env | grep ^SSL")
    ended = headless(person, sample, script, meanwhile=meanwhile)
    assert ended.status == ExitCode.OK, ended.stderr
    assert f"Image: building {BASE_TAG}, which is missing or out of date" in ended.stderr
    assert "code 0" in ended.results[0]
    assert f"SSL_CERT_FILE={CA_BUNDLE}" in ended.results[0].splitlines()
    _is_current_base(ended)

    (sample.root / ".lw_coder/.dockerignore").unlink()
    _change_instructions(sample)
    seen: list[str] = []
    script, meanwhile = beside(
        lambda: seen.extend(_in_image(at, "unwanted.txt", "noise.log", *NEVER)), "test -e /cache/mark"
    )
    again = headless(person, sample, script, meanwhile=meanwhile)
    assert again.status == ExitCode.OK, again.stderr
    assert f"Image: building {BASE_TAG}" not in again.stderr
    assert f"Image: building {at.image}" in again.stderr
    assert seen == ["unwanted.txt", "noise.log"]
    assert "code 0" in again.results[0]
    _was_instructed(again)


@pytest.mark.usefixtures("known_prompts")
def test_a_change_of_the_config_alone_makes_another_image(sample: SampleRepository, person: Person) -> None:
    (sample.root / ".lw_coder/code.Dockerfile").write_text(AT_ONCE, encoding="ascii")
    first = _image_of_a_run(sample, person)
    assert _image_of_a_run(sample, person) == first
    arguments = '["--build-arg", "GREETING=hello"]'
    (sample.root / ".lw_coder/config.toml").write_text(f"[code]\ndocker_build_args = {arguments}\n")
    assert _image_of_a_run(sample, person) != first


@pytest.mark.usefixtures("known_prompts")
@pytest.mark.parametrize("failures", [1, 2])
def test_a_build_that_meets_a_removal_is_made_once_more(
    sample: SampleRepository, person: Person, failures: int
) -> None:
    """The real thing is a matter of a millisecond; what the engine then says is all that is played."""
    step = REMOVED_MEANWHILE.format(id=uuid.uuid4().hex, failures=failures)
    (sample.root / ".lw_coder/code.Dockerfile").write_text(AT_ONCE + step, encoding="ascii")
    with person.types(LW_CODER, "code", PLAN_ID) as terminal:
        status = terminal.wait()
    lines = shown_lines(terminal)
    again = "Image: building repo once more: an image was removed during the build"
    assert len([line for line in lines if line.endswith(again)]) == 1
    assert status == failures - 1
    if failures == 1:
        assert "The session is here." in terminal.text
    else:
        assert_refused(lines, ["the repo image could not be built", "failed to get digest"], "build-")


@pytest.mark.usefixtures("known_prompts")
def test_a_headless_session_builds_its_image_again_if_what_it_is_made_of_has_changed(
    sample: SampleRepository, person: Person
) -> None:
    """Whoever types the build of a run in between builds from other files than that run did."""
    copies = f"{AT_ONCE}COPY needed.txt /needed.txt\n"
    (sample.root / ".lw_coder/code.Dockerfile").write_text(copies, encoding="ascii")
    (sample.root / "needed.txt").write_text("first", encoding="ascii")
    first = _image_of_a_run(sample, person)
    (sample.root / "unneeded.txt").write_text("second", encoding="ascii")
    assert _image_of_a_run(sample, person, "lw_coder_droid:[0-9a-f]{12} is current", "--headless") == first
    (sample.root / "needed.txt").write_text("second", encoding="ascii")
    assert _needed(_image_of_a_run(sample, person, "building lw_coder_droid:", "--headless")) == "second"

    compose = str(max(sample.root.glob(f".lw_coder/runs/{PLAN_ID}/2*")) / "compose.yml")
    (sample.root / "needed.txt").write_text("third", encoding="ascii")
    docker("compose", "--file", compose, "--profile", "build", "build", "repo")
    (sample.root / "needed.txt").write_text("second", encoding="ascii")
    assert _needed(_image_of_a_run(sample, person, "building lw_coder_droid:", "--headless")) == "second"


def _needed(image: str) -> str:
    return docker("run", "--rm", image, "cat", "/needed.txt")


@pytest.mark.usefixtures("known_prompts")
def test_an_image_that_was_removed_is_built_again(sample: SampleRepository, person: Person) -> None:
    (sample.root / ".lw_coder/code.Dockerfile").write_text(AT_ONCE, encoding="ascii")
    docker("image", "rm", "--force", _image_of_a_run(sample, person))
    _image_of_a_run(sample, person, "building lw_coder_droid:", "--headless")


def _image_of_a_run(
    sample: SampleRepository, person: Person, told: str = "building lw_coder_droid:", *options: str
) -> str:
    """Carry the plan out, see that its image is announced before the session, and return the image's id."""
    status, text = person.runs_to_the_end("code", PLAN_ID, *options)
    assert status == (ExitCode.SESSION if options else ExitCode.OK), text  # what is no droid reports no end
    begins = text.index("Session:  ends at" if options else "The session is here.")
    assert re.search(rf"Image: {told}", text[:begins])
    record = max(
        sample.root.glob(f".lw_coder/runs/{PLAN_ID}/*/run.json"), key=lambda path: path.stat().st_mtime
    )
    return str(json.loads(record.read_text(encoding="ascii"))["images"]["repo"])


@pytest.fixture
def nothing_to_build_from() -> Iterator[None]:
    """Neither the base image nor what it starts from is here; no registry that has it can be reached."""
    kept = [f"{tag}-kept-by-a-test" for tag in (BASE_TAG, BASE_OF_THE_BASE)]
    for name in kept:
        docker("tag", name.removesuffix("-kept-by-a-test"), name)
    docker("image", "rm", "--force", BASE_TAG, BASE_OF_THE_BASE)
    yield
    for name in kept:
        docker("tag", name, name.removesuffix("-kept-by-a-test"))
        docker("image", "rm", name)


@pytest.mark.alone
@pytest.mark.usefixtures("nothing_to_build_from")
def test_a_base_that_cannot_be_pulled(sample: SampleRepository, person: Person) -> None:
    before = snapshot(sample.root)
    with person.types(LW_CODER, "code", PLAN_ID) as terminal:
        assert terminal.wait() == 1
    assert_refused(shown_lines(terminal), ["the base image could not be built"], "import-base.sh")
    assert changes(before, snapshot(sample.root)) == []


def test_a_prompt_program_that_is_none(sample: SampleRepository, person: Person) -> None:
    (sample.root / ".lw_coder/config.toml").write_text('[code]\nprompt_program = "none/program.json"\n')
    with person.types(LW_CODER, "code", PLAN_ID) as terminal:
        assert terminal.wait() == 1
    assert_refused(shown_lines(terminal), ["none/program.json", "file not found"], "CodePromptProgram.save")
    assert not list(sample.root.glob(".lw_coder/runs/*"))


def equip(sample: SampleRepository, volume: str) -> None:
    """Give the repository a build that looks around, and what it may or must not see."""
    files = {
        ".lw_coder/code.Dockerfile": DOCKERFILE.format(volume=volume),
        ".lw_coder/config.toml": CONFIG.format(volume=volume),
        ".lw_coder/.dockerignore": IGNORE,
        "unwanted.txt": "not wanted\n",
        "noise.log": "noise\n",
        "inner/.env": f"OPENROUTER_API_KEY={KEY}\n",
        ".env.local": f"OPENROUTER_API_KEY={KEY}\n",
    }
    for name, text in files.items():
        (sample.root / name).parent.mkdir(exist_ok=True)
        (sample.root / name).write_text(text, encoding="utf-8")
    one, end, _ = Path(certifi.where()).read_text(encoding="utf-8").partition("-----END CERTIFICATE-----\n")
    (sample.root / "certificates.pem").write_text(one + end, encoding="utf-8")


def _is_current_base(ended: Headless) -> None:
    for image in ended.record["images"].values():
        label = f'{{{{index .Config.Labels "{BASE_LABEL}"}}}}'
        assert docker("image", "inspect", "--format", label, image) == base_fingerprint()


def _in_image(at: AtWork, *names: str) -> list[str]:
    """List those of these names that the build got to see."""
    seen = at.inside("find", "/context", "-mindepth", "1").splitlines()
    assert "/context/greeting.py" in seen
    return [name for name in names if f"/context/{name}" in seen]


def _got_its_arguments(at: AtWork, volume: str) -> None:
    assert at.inside("cat", "/greeting") == "hello $there"
    (told,) = json.loads(docker("inspect", at.container))
    assert (told["Config"]["Hostname"], told["HostConfig"]["ShmSize"]) == ("work-room", 128 << 20)
    assert [mount["Destination"] for mount in told["Mounts"] if mount.get("Name") == volume] == ["/cache"]


def _trusts(at: AtWork, certificates: Path) -> None:
    digest = hashlib.sha256(certificates.read_bytes()).hexdigest()
    assert at.inside("cut", "-c1-64", "/certificates") == digest
    assert at.inside("sha256sum", CA_BUNDLE).split()[0] == digest


def _change_instructions(sample: SampleRepository) -> None:
    # It imports DSPy, which takes each of the tests' processes 5 s if this file does.
    from lw_coder.dspy.code_prompt_signature import CodePromptProgram

    program = CodePromptProgram()
    program.generate.signature = program.generate.signature.with_instructions(OTHER_INSTRUCTIONS)
    program.save(sample.root / "program.json")
    with (sample.root / ".lw_coder/config.toml").open("a", encoding="utf-8") as config:
        config.write('prompt_program = "program.json"\n')


def _was_instructed(ended: Headless) -> None:
    (asked,) = [request.conversation for request in ended.model.requests if request.kind == "dspy"]
    assert OTHER_INSTRUCTIONS in asked.text
    assert OTHER_INSTRUCTIONS in json.dumps(ended.record["program_state"])
