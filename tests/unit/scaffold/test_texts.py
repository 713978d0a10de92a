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
from lw_coder.settings.config import CONFIG_FILE, CodeConfig, load_config

SHA = "0123456789abcdef0123456789abcdef01234567"
CERTIFICATES = "--mount=type=secret,id=ca_bundle"
DOWNLOADS = re.compile(
    r"\b(pip install|uv sync|poetry install|npm (\"\$install\"|install)|pnpm install|go mod|cargo fetch)"
)


def steps(text: str) -> list[str]:
    """Split into instructions; comments within them are left out."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    return "\n".join(lines).replace("\\\n", " ").splitlines()


def test_the_config_is_valid_and_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / CONFIG_FILE).parent.mkdir()
    (tmp_path / CONFIG_FILE).write_text(texts.config(), encoding="ascii")
    assert load_config(tmp_path) == CodeConfig()


def test_each_setting_of_the_config_can_be_switched_on() -> None:
    settings = re.sub(r"^# (\w+ = )", r"\1", texts.config(), flags=re.MULTILINE)
    switched_on = tomllib.loads(settings)["code"]
    assert len(switched_on) >= 6
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
