"""The texts that init writes: they are valid, complete, and name nothing that does not exist."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from lw_coder.containers.images import read_build_files
from lw_coder.plans.plan_file import read_plan
from lw_coder.scaffold import texts
from lw_coder.scaffold.changes import DOCKERFILE, SAMPLE_ID, TASKS
from lw_coder.scaffold.kinds import KINDS
from lw_coder.scaffold.texts import Choices
from lw_coder.settings.config import CONFIG_FILE, CodeConfig, load_config
from lw_coder.settings.limits import Limits

SHA = "0123456789abcdef0123456789abcdef01234567"
CERTIFICATES = "--mount=type=secret,id=ca_bundle"
DOWNLOADS = re.compile(
    r"\b(pip install|uv sync|poetry install|npm (\"\$install\"|install)|pnpm install|go mod|cargo fetch)"
)


def steps(text: str) -> list[str]:
    """Split into instructions; comments within them are left out."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    return "\n".join(lines).replace("\\\n", " ").splitlines()


def written(folder: Path, choices: Choices) -> CodeConfig:
    (folder / CONFIG_FILE).parent.mkdir(exist_ok=True)
    (folder / CONFIG_FILE).write_text(texts.config(choices), encoding="ascii")
    return load_config(folder)


def test_the_config_has_the_safe_choices_and_nothing_else(tmp_path: Path) -> None:
    check = """python -c 'print("a")'"""
    config = written(tmp_path, Choices((check, "make test")))
    limits = Limits(minutes=120, requests=1000, tokens=10_000_000)
    assert config == CodeConfig(gateway=True, limits=limits, checks=(check, "make test"))
    assert config.warnings() == []


def test_what_cannot_be_chosen_is_a_comment_with_an_example(tmp_path: Path) -> None:
    choices = Choices(against_gateway="it rains")
    assert written(tmp_path, choices) == CodeConfig(limits=Limits(minutes=120))
    text = texts.config(choices)
    assert "# Not here: it rains.\n# gateway = true\n" in text
    assert '# checks = ["make test"]\n' in text


@pytest.mark.parametrize("choices", [Choices(), Choices(("make test",)), Choices(against_gateway="it rains")])
def test_each_setting_of_the_config_can_be_switched_on(choices: Choices) -> None:
    settings = re.sub(r"^# (\w+ = )", r"\1", texts.config(choices), flags=re.MULTILINE)
    switched_on = tomllib.loads(settings)["code"]
    assert len(switched_on) >= 10
    assert switched_on.keys() <= set(CodeConfig.__struct_fields__)


def test_the_sample_plan_is_valid(tmp_path: Path) -> None:
    (tmp_path / "plan.md").write_text(texts.sample_plan(SHA), encoding="ascii")
    plan = read_plan(tmp_path / "plan.md").metadata
    assert (plan.plan_id, plan.git_sha, plan.status) == (SAMPLE_ID, SHA, "draft")


@pytest.mark.parametrize("kind", KINDS)
def test_a_dockerfile(kind: str, tmp_path: Path) -> None:
    text = texts.dockerfile([kind])
    (tmp_path / DOCKERFILE).parent.mkdir()
    (tmp_path / DOCKERFILE).write_text(text, encoding="ascii")
    assert read_build_files(tmp_path, None).dockerfile == text
    assert "FROM lw_coder_droid:latest" in text.splitlines()
    assert max(map(len, text.splitlines())) <= 120
    for step in steps(text):
        if DOWNLOADS.search(step):
            assert CERTIFICATES in step, step
        if "apt-get install" in step:
            assert "apt-get update" in step, step
    # No syntax line: it would be fetched from a registry.
    assert "syntax=" not in text


def test_several_kinds_in_one_dockerfile() -> None:
    text = texts.dockerfile(["uv", "npm", "cargo", "make"])
    for part in ("uv sync", "npm --version", "cargo fetch", "build-essential"):
        assert part in text
    froms = re.findall(r"^FROM .*$", text, re.MULTILINE)
    assert froms == [
        "FROM lw_coder_droid:latest AS node_manifests",
        "FROM lw_coder_droid:latest AS cargo_manifests",
        "FROM lw_coder_droid:latest",
    ]
    assert text.count("ENV SSL_CERT_FILE") == 1
    assert text.index("FROM lw_coder_droid:latest\n") < text.index("ENV SSL_CERT_FILE")


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("uv", 'ARG UV_SYNC_FLAGS="--all-groups --extra dev --extra test"'),
        ("pip", 'ARG EXTRAS="[dev,test]"'),
        ("poetry", 'ARG POETRY_FLAGS="--extra dev --extra test"'),
    ],
)
def test_extras_are_installed(kind: str, line: str) -> None:
    assert line in texts.dockerfile([kind], ["dev", "test"]).splitlines()
    assert line not in texts.dockerfile([kind]).splitlines()


def test_build_results_are_left_out_where_they_are_none_elsewhere() -> None:
    assert "**/target" in texts.context_ignore_rules(["cargo"]).splitlines()
    assert "**/target" not in texts.context_ignore_rules(["uv"]).splitlines()
    assert texts.context_ignore_rules(["cargo", "maven"]).splitlines().count("**/target") == 1


def test_where_plans_are() -> None:
    from lw_coder.plans import plan_file

    assert plan_file.TASKS_FOLDER == TASKS
