"""The shipped prompt cache: the sample plan's prompts without a model, on any machine."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from lw_coder.dspy.generated_prompts import GeneratedPrompts
from lw_coder.dspy.prompt_orchestrator import generate_prompts
from lw_coder.foundation.errors import PromptError
from lw_coder.foundation.state import prompt_cache_folder
from lw_coder.plans.plan_file import read_plan
from lw_coder.settings.environment import DEFAULT_MODEL
from lw_coder.settings.model_access import ModelAccess
from tests.support.prompt_cache import (
    REMAKE,
    StalePromptCacheError,
    make_prompt_cache,
    sample_prompts,
    unpack_prompt_cache,
)
from tests.support.sample_repository import SampleRepository, make_sample_repository

# Nothing listens at port 1: a request would fail, and with it the test.
NOWHERE = ModelAccess(DEFAULT_MODEL, "http://127.0.0.1:1/v1", "no key", backoff=0.01)


def ask(sample: SampleRepository, cache: Path) -> GeneratedPrompts:
    try:
        return generate_prompts(read_plan(sample.plan).metadata, NOWHERE, cache)
    except PromptError as error:
        raise AssertionError(f"the shipped prompt cache does not know this question: {REMAKE}") from error


def test_the_sample_plans_prompts_come_from_the_shipped_cache(tmp_path: Path, home: Path) -> None:
    cache = unpack_prompt_cache(home / ".cache")
    sample = make_sample_repository(tmp_path / "sample")

    prompts = ask(sample, prompt_cache_folder())

    assert cache == prompt_cache_folder()
    assert (prompts.cache_hit, prompts.attempts, prompts.usage) == (True, 1, {})
    assert prompts.outputs == sample_prompts(sample.sha)


def test_the_shipped_prompts_keep_to_the_lengths_that_are_asked_for() -> None:
    prompts = sample_prompts("0" * 40)
    assert len(prompts.pop("main_prompt").split()) <= 700
    assert max(len(str(text).split()) for text in prompts.values()) <= 400


def test_a_cache_made_anew_answers_as_well(tmp_path: Path) -> None:
    make_prompt_cache(tmp_path / "anew.tar.gz")
    sample = make_sample_repository(tmp_path / "sample")
    assert ask(sample, unpack_prompt_cache(tmp_path, tmp_path / "anew.tar.gz")).cache_hit


def test_a_cache_of_another_dspy_says_what_makes_it_anew(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "old.tar.gz", "w:gz") as packed:
        packed.addfile(tarfile.TarInfo("0.0.1/000/cache.db"), io.BytesIO())
    with pytest.raises(StalePromptCacheError, match=r"of DSPy 0\.0\.1,.*`nox -s prompt_cache`"):
        unpack_prompt_cache(tmp_path, tmp_path / "old.tar.gz")


def test_the_sample_has_the_same_commit_whatever_the_machine_is_set_to(home: Path, tmp_path: Path) -> None:
    plain = make_sample_repository(tmp_path / "plain")
    hooks = home / "template/hooks"
    hooks.mkdir(parents=True)
    (hooks / "pre-commit").write_text("#!/bin/sh\nexit 1\n")
    (hooks / "pre-commit").chmod(0o755)
    for setting in (
        "commit.gpgsign=true",
        "init.defaultObjectFormat=sha256",
        "core.autocrlf=true",
        f"init.templateDir={hooks.parent}",
        "i18n.commitEncoding=latin1",
    ):
        subprocess.run(["git", "config", "--global", *setting.split("=")], check=True)
    mask = os.umask(0o077)
    try:
        odd = make_sample_repository(tmp_path / "another name" / "odd")
    finally:
        os.umask(mask)
    assert (odd.sha, odd.plan.read_text()) == (plain.sha, plain.plan.read_text())
