"""Prompts as an earlier start would have kept them: no start then imports DSPy, which takes a second."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path

from lw_coder.dspy.generated_prompts import GeneratedPrompts
from lw_coder.plans.plan_file import PlanMetadata, read_plan
from lw_coder.prompts import prompt_memo
from lw_coder.settings.environment import DEFAULT_MODEL
from lw_coder.settings.model_access import ModelAccess
from tests.support.agent_script import prompt_answer
from tests.support.sample_repository import SampleRepository
from tests.support.scripted_model import ScriptedModel


def know_prompts(home: Path, sample: SampleRepository, base_url: str) -> None:
    """Have the prompts for the sample's plan in somebody's cache, as this address's model writes them."""
    know_plan_prompts(home, read_plan(sample.plan).metadata, base_url)


def know_plan_prompts(home: Path, plan: PlanMetadata, base_url: str) -> None:
    """Have the prompts for a plan in somebody's cache, likewise."""
    access = ModelAccess(DEFAULT_MODEL, base_url, "no key")
    memo = prompt_memo.memo_path(home / ".cache/lw_coder/dspy", plan, access, None)
    prompt_memo.keep(memo, _written(plan))


_WRITTEN: dict[str, GeneratedPrompts] = {}


def _written(plan: PlanMetadata) -> GeneratedPrompts:
    text = json.dumps(asdict(plan), sort_keys=True)
    if text not in _WRITTEN:
        _WRITTEN[text] = _ask(plan)
    return _WRITTEN[text]


def _ask(plan: PlanMetadata) -> GeneratedPrompts:
    from lw_coder.dspy.prompt_orchestrator import generate_prompts

    with ScriptedModel(prompt_answer) as model, tempfile.TemporaryDirectory(prefix="lw_coder-") as folder:
        return generate_prompts(plan, ModelAccess(DEFAULT_MODEL, model.base_url, "no key"), Path(folder))
