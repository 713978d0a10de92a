"""Generate the prompts of a run: from a cached answer, or with the language model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lw_coder.foundation.report import say, waiting
from lw_coder.foundation.state import prompt_cache_folder
from lw_coder.prompts import prompt_memo

if TYPE_CHECKING:
    from lw_coder.dspy.generated_prompts import GeneratedPrompts
    from lw_coder.foundation.background import Background
    from lw_coder.plans.plan_file import PlanMetadata
    from lw_coder.settings.model_access import ModelAccess


def generate_prompts(
    plan: PlanMetadata, model: ModelAccess, program: Path | None, *beside: Background[Any]
) -> GeneratedPrompts:
    """Return the prompts that the language model writes for the plan, or wrote for it earlier.

    Args:
        plan: the plan to carry out.
        model: access to the language model.
        program: a saved prompt program, or None for the built-in one.
        beside: other background work; if it fails, the wait for the model ends.

    Raises:
        LwCoderError: the model could not be called or returned nothing usable, or the other work failed.
    """
    memo = prompt_memo.memo_path(prompt_cache_folder(), plan, model, program)
    prompts = prompt_memo.recall(memo)
    if prompts is None:
        prompts = _ask_model(plan, model, program, beside)
        prompt_memo.keep(memo, prompts)
    say("Prompts: from the cache." if prompts.cache_hit else "Prompts: written.")
    return prompts


def _ask_model(
    plan: PlanMetadata, model: ModelAccess, program: Path | None, beside: tuple[Background[Any], ...]
) -> GeneratedPrompts:
    """Ask in a child process, so that DSPy's memory is freed when it ends."""
    from lw_coder.foundation.background import Background, wait_for

    def generate() -> GeneratedPrompts:
        from lw_coder.dspy import prompt_orchestrator

        folder = prompt_cache_folder()
        return prompt_orchestrator.generate_prompts(plan, model, folder, program, on_progress=say)

    with Background(generate) as asking, waiting(f"Writing the prompts with {model.model} ..."):
        return wait_for(asking, *beside)
