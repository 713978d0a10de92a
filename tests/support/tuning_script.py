"""What the model says while GEPA tunes the prompt program, and the code of the page that describes it."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.support.scripted_model import Conversation, Reply

PAGE = Path(__file__).parents[2] / "docs/how-to/improve-the-prompts.md"
FEEDBACK = "It works, but no test covers the empty name."  # as the page has it
TUNED = "Write the prompts. Have each edge case of the plan tested."
BETTER = "Test each edge case first, then carry out the plan step by step."
SECTION = {"heading": "Review", "findings": "All.", "actions_taken": "Each.", "left_open": "Why."}
OUTPUTS = {
    "main_prompt": "Read the source first, then carry out the plan step by step.",
    "code_review_prompt": "Look for branches that no test covers.",
    "plan_alignment_prompt": "Check that each requirement is met.",
    "feedback_summary": {"title": "T", "code_review": SECTION, "plan_alignment": SECTION, "closing": "C"},
}


def scripted_tuning(conversation: Conversation) -> Reply:
    """Write prompts, which are better with the tuned instructions; judge them; propose those instructions."""
    if "new_instruction" in conversation.system:
        return Reply(json.dumps({"new_instruction": TUNED}))
    if "critique" in conversation.system:
        is_better = BETTER in conversation.messages[-1].text.partition("earlier_prompts")[0]
        judged = {"critique": "Name the edge cases.", "score": 0.9 if is_better else 0.4}
        return Reply(json.dumps(judged))
    return Reply(json.dumps({**OUTPUTS, "main_prompt": BETTER} if TUNED in conversation.system else OUTPUTS))


def blocks_of_page(language: str) -> list[str]:
    """Return the page's blocks of code in a language, in their order."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
