"""What the main prompt adds for a session in which nobody can answer."""

from __future__ import annotations

from collections.abc import Mapping

from lw_coder.foundation.shipped import PACKAGE
from lw_coder.prompts.prompt_files import MAIN_PROMPT_FILE


def for_nobody(texts: Mapping[str, str]) -> dict[str, str]:
    """Return a run's prompt files, by their paths, with the main prompt for a session without a person."""
    addition = PACKAGE.joinpath("prompts/unattended.md").read_text(encoding="utf-8")
    return {**texts, MAIN_PROMPT_FILE: texts[MAIN_PROMPT_FILE] + addition}
