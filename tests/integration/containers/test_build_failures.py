"""A build that fails: what the person sees of it without opening the log."""

from __future__ import annotations

import pytest

from tests.integration.conftest import Person
from tests.support.sample_repository import PLAN_ID, SampleRepository

pytestmark = pytest.mark.usefixtures("known_prompts")

TWELVE_LINES = """FROM lw_coder_droid:latest
RUN echo from an earlier step
RUN for number in $(seq 12); do echo "number $number"; done; exit 7
"""
NO_SUCH_PACKAGE = """FROM lw_coder_droid:latest
RUN apt-get install --yes no-such-package-of-lw-coder
"""
TALKATIVE = """FROM lw_coder_droid:latest
RUN --mount=type=secret,id=token echo "the token is $(cat /run/secrets/token)"; exit 7
"""
SECRET = """[code]
docker_build_args = ["--secret", "id=token,env=REGISTRY_TOKEN"]
"""


def failed_build(person: Person, sample: SampleRepository, dockerfile: str) -> list[str]:
    (sample.root / ".lw_coder/code.Dockerfile").write_text(dockerfile, encoding="ascii")
    status, text = person.runs_to_the_end("code", PLAN_ID)
    assert status == 1, text
    return [line.strip() for line in text.splitlines()]


def test_the_last_ten_lines_of_the_failing_step_are_shown(sample: SampleRepository, person: Person) -> None:
    lines = failed_build(person, sample, TWELVE_LINES)
    begin = lines.index("Image: the step that failed printed at its end:") + 1
    assert lines[begin : begin + 10] == [f"| number {number}" for number in range(3, 13)]
    assert lines[begin + 10].startswith("error: the repo image could not be built: ")
    assert not any("earlier step" in line for line in lines)


def test_a_known_cause_has_a_hint(sample: SampleRepository, person: Person) -> None:
    text = "".join(failed_build(person, sample, NO_SUCH_PACKAGE))
    assert "Unable to locate package no-such-package-of-lw-coder" in text
    assert "run apt-get update in the same step" in text


def test_a_value_of_the_env_file_is_not_shown(sample: SampleRepository, person: Person) -> None:
    (sample.root / ".lw_coder/config.toml").write_text(SECRET, encoding="ascii")
    with (sample.root / ".env").open("a", encoding="ascii") as file:
        file.write("REGISTRY_TOKEN=hunter-of-snarks\n")
    lines = failed_build(person, sample, TALKATIVE)
    assert "| the token is [REGISTRY_TOKEN]" in lines
    assert not any("hunter-of-snarks" in line for line in lines)
