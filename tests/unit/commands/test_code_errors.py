"""`lw_coder code`, refused before anything is made, and `doctor`: what they print without an engine."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.forked import forked
from tests.support.json_schemas import validated
from tests.support.result_schema import result_of
from tests.support.sample_repository import PLAN_ID, SampleRepository, make_sample_repository

WITHOUT_DOCKER = {"PATH": "/usr/bin:/bin", "DOCKER_HOST": "unix:///nowhere.sock"}


@pytest.fixture
def sample(tmp_path: Path) -> SampleRepository:
    made = make_sample_repository(tmp_path / "sample")
    made.write_env("http://127.0.0.1:9/v1")
    return made


def code(sample: SampleRepository, *words: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **WITHOUT_DOCKER}
    return forked("code", "--headless", "--json", *words, cwd=sample.root, env=env)


def add_run(sample: SampleRepository, run: str) -> None:
    (sample.root / ".lw_coder/runs" / run).mkdir(parents=True)


def test_the_plans_id_is_in_the_document_as_far_as_it_is_known(sample: SampleRepository) -> None:
    text = sample.plan.read_text(encoding="utf-8")
    for wrong, plan_id in (("status: finished", PLAN_ID), ("plan_id: hl\nstatus: ready", None)):
        kept = text if plan_id else text.replace(f"plan_id: {PLAN_ID}\n", "")
        sample.plan.write_text(kept.replace("status: ready", wrong), encoding="utf-8")
        refused = code(sample, str(sample.plan))
        result = result_of(refused.stdout)
        assert (refused.returncode, result["outcome"], result["plan_id"]) == (1, "error", plan_id)
    assert "'hl' is not a valid id: it has 2 characters, fewer than 3" in result["error"]["message"]


def test_a_run_to_go_on_with_names_its_plan(sample: SampleRepository) -> None:
    add_run(sample, f"{PLAN_ID}/20250101T000000Z")
    add_run(sample, "other/20250102T000000Z")
    sample.plan.write_text(sample.plan.read_text().replace("status: ready", "status: x"), encoding="utf-8")
    for run in (PLAN_ID, PLAN_ID[:5], "20250101", f"{PLAN_ID}/2025"):
        result = result_of(code(sample, "--continue", run).stdout)
        assert result["plan_id"] == PLAN_ID
        assert "'x' is unknown" in str(result["error"])
    latest = result_of(code(sample, "--continue", "latest").stdout)["error"]["message"]
    assert latest.startswith("other: no such file, and no plan with that id")


def test_a_run_that_is_none_or_several(sample: SampleRepository) -> None:
    for run in ("a-plan/20250101T000000Z", "a-task/20250101T000000Z"):
        add_run(sample, run)
    for typed, said in (("a-", "is the beginning of several runs"), ("b", "no such run")):
        refused = code(sample, "--continue", typed)
        (line,) = refused.stderr.splitlines()
        assert line.startswith(f"error: {typed}: {said}")
        result = result_of(refused.stdout)
        assert (refused.returncode, result["plan_id"]) == (1, None)


def test_the_findings_of_doctor_where_no_engine_answers(sample: SampleRepository) -> None:
    done = forked("doctor", "--json", cwd=sample.root, env={**os.environ, **WITHOUT_DOCKER})
    findings = validated("doctor", done.stdout)
    assert (done.returncode, done.stderr) == (1, "")
    assert next(finding["subject"] for finding in findings if finding["remedy"]) == "docker"
