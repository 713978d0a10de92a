"""A script for the model made of commands: the agent runs them one by one, then says its last words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from threading import Event
from typing import Any

from tests.support.agent_script import execute, prompt_answer
from tests.support.patience import PATIENCE
from tests.support.scripted_model import Conversation, Reply, Script, ToolCall

DONE = "All of it is done now."


def shell_agent(
    steps: Sequence[str | ToolCall],
    last_words: str = DONE,
    *,
    thinking: float = 0.0,
    allowed: Event | None = None,
    answers: Mapping[str, Any] | None = None,
) -> Script:
    """Make a script for droid and for DSPy.

    Args:
        steps: what the agent does: a text is run by droid's Execute, a call of another tool is made as it is.
        last_words: what the agent says then.
        thinking: seconds before DSPy gets its answer.
        allowed: what DSPy's answer waits for, if for anything.
        answers: what DSPy is answered, by output field, where it differs from the demo's.
    """

    def play(conversation: Conversation) -> Reply:
        if conversation.kind == "dspy":
            if allowed:
                assert allowed.wait(PATIENCE)
            return replace(prompt_answer(conversation, answers), delay=thinking)
        if conversation.kind == "other" or conversation.rounds >= len(steps):
            return Reply(last_words)
        return Reply(tool_calls=(_call(conversation, steps[conversation.rounds]),))

    return play


def _call(conversation: Conversation, step: str | ToolCall) -> ToolCall:
    return execute(conversation, "The next step", step) if isinstance(step, str) else step
