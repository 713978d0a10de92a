"""The main prompt of a run that goes on with an earlier conversation."""

from __future__ import annotations

from collections.abc import Mapping
from string import Template
from typing import TYPE_CHECKING

from lw_coder.foundation.shipped import PACKAGE
from lw_coder.prompts.prompt_files import MAIN_PROMPT_FILE

if TYPE_CHECKING:
    from lw_coder.plans.plan_file import PlanMetadata

_NO_MESSAGE = "Go on where you stopped, until each of your duties is done."
_MESSAGE = "The person says about it:\n\n<message>\n{}\n</message>"


def for_continuing(texts: Mapping[str, str], plan: PlanMetadata, message: str | None) -> dict[str, str]:
    """Return a run's prompt files, by their paths, with a main prompt that goes on.

    Args:
        texts: the files of a run that begins.
        plan: the plan.
        message: what the person has to say, or None.
    """
    frame = Template(PACKAGE.joinpath("prompts/continued.md").read_text(encoding="utf-8"))
    said = _MESSAGE.format(message.strip()) if message else _NO_MESSAGE
    text = frame.substitute(plan_id=plan.plan_id, git_sha=plan.git_sha, message=said)
    return {**texts, MAIN_PROMPT_FILE: text}
