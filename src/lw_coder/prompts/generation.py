"""Have the prompts of a run written: from an answer that was kept, or by the language model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lw_coder.foundation.background import Background, wait_for
from lw_coder.foundation.report import say, waiting
from lw_coder.foundation.state import prompt_cache_folder
from lw_coder.prompts import prompt_memo

if TYPE_CHECKING:
    from lw_coder.dspy.generated_prompts import GeneratedPrompts
    from lw_coder.plans.plan_file import PlanMetadata
    from lw_coder.settings.model_access import ModelAccess


def generate_prompts(
    plan: PlanMetadata, model: ModelAccess, program: Path | None, *beside: Background[Any]
) -> GeneratedPrompts:
    """Return the prompts that the language model writes for the plan, or has written for it before.

    Args:
        plan: what is carried out.
        model: how the language model is reached.
        program: a saved prompt program, or None for the built-in one.
        beside: work under way meanwhile; its failure ends the wait for the model.

    Raises:
        LwCoderError: the model could not be asked or gave nothing usable, or the other work failed.
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
    """Ask in a child process, whose end frees the memory that DSPy took."""

    def generate() -> GeneratedPrompts:
        from lw_coder.dspy import prompt_orchestrator

        folder = prompt_cache_folder()
        return prompt_orchestrator.generate_prompts(plan, model, folder, program, on_progress=say)

    with Background(generate) as asking, waiting(f"Writing the prompts with {model.model} ..."):
        return wait_for(asking, *beside)
