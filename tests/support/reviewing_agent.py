"""A script for an agent that runs commands and then has both of lw_coder's reviewers review."""

from __future__ import annotations

from collections.abc import Sequence

from tests.support.agent_script import REPEATS, SUBAGENTS, prompt_answer
from tests.support.scripted_model import Conversation, Reply, Script, ToolCall
from tests.support.shell_agent import shell_agent


def reviewing_agent(steps: Sequence[str]) -> Script:
    """Make a script: the steps, then both reviewers."""
    calls = [
        ToolCall("Task", {"subagent_type": name, "description": "Review", "prompt": "Go.", "await": True})
        for name in SUBAGENTS
    ]
    main = shell_agent([*steps, *calls])
    begun = len(steps) + len(calls)

    def play(conversation: Conversation) -> Reply:
        if conversation.kind == "dspy":
            return prompt_answer(conversation)
        if is_reviewer(conversation):
            return Reply("Reviewed.")
        missing = _without_a_review(conversation)
        if missing and begun <= conversation.rounds < begun + REPEATS:
            again = (call for call in calls if call.arguments["subagent_type"] in missing)
            return Reply(tool_calls=tuple(again))
        return main(conversation)

    return play


def _without_a_review(conversation: Conversation) -> set[str]:
    """Return the reviewers that were called and have not answered: droid gives each a minute to start."""
    called = [step for step in conversation.steps if step.call.name == "Task"]
    answered = {step.call.arguments["subagent_type"] for step in called if "Reviewed." in step.result}
    return {step.call.arguments["subagent_type"] for step in called} - answered


def is_reviewer(conversation: Conversation) -> bool:
    """Return whether a request comes from a reviewer, who has no Task tool."""
    return conversation.kind == "agent" and "Task" not in conversation.tool_names
