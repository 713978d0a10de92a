"""The planner's script: what the model says as the agent of `lw_coder plan`, and as its reviewer.

What it does follows from the idea in the prompt and from the calls that the conversation holds.
"""

from __future__ import annotations

import re

from tests.support.agent_script import REPEATS, execute, subagent_role
from tests.support.scripted_model import Conversation, Reply, ToolCall

REVIEWER = "maintainability-reviewer"
PLAN_ID = "shout-the-greeting"
SUMMARY_TITLE = "# The plan, for you to read"
FINDING = f"FINDING {REVIEWER}: one function is enough; leave the options out."
QUESTION = "What shall be planned for this repository?"

# Ideas that make the agent clumsy or worse.
BROKEN = "Write it without a commit."
OVERWRITE = "Overwrite what is there."
PLANT = "Plant a link and a pipe."
ASTRAY = "Put it where the other plans are."
# The reviewer is a droid of its own, for a machine to start.
REVIEWED = "Have it reviewed."

_COMMANDS = {
    OVERWRITE: "echo overwritten > /output/sample-plan.md",
    PLANT: "ln -s /etc/passwd /output/link.md; mkfifo /output/pipe.md",
    ASTRAY: "cp /output/shout-the-greeting.md /workspace/.lw_coder/tasks/astray.md"
    " && sed -i s/shout-the-greeting/astray/ /workspace/.lw_coder/tasks/astray.md"
    " && mkdir -p /workspace/ideas && cp /output/shout-the-greeting.md /workspace/ideas/PLAN.md"
    " && git commit -q --allow-empty -m 'Not wanted'",
}


def scripted_planner(conversation: Conversation) -> Reply:
    """Play the planning agent, its reviewer, or whatever droid asks for by the way."""
    if conversation.kind != "agent":
        return Reply("Plan the greeting")
    if subagent_role(conversation):
        return _review(conversation)
    if "The person has not said yet." in conversation.text:
        return Reply(QUESTION)
    steps = (_write, _misbehave)
    if conversation.rounds < len(steps):
        return Reply(tool_calls=(steps[conversation.rounds](conversation),))
    is_missing = REVIEWED in conversation.text and FINDING not in _findings(conversation)
    if is_missing and conversation.rounds < len(steps) + REPEATS:
        return Reply(tool_calls=(_ask_reviewer(conversation),))
    return Reply(f"{SUMMARY_TITLE}\n\n{_findings(conversation)}\n\nIt stands in /output/{PLAN_ID}.md.")


def plan_text(git_sha: str) -> str:
    """Give the plan that the agent writes."""
    sha = f"git_sha: {git_sha}\n" if git_sha else ""
    front = f"---\nplan_id: {PLAN_ID}\n{sha}status: draft\nevaluation_notes: []\n---\n"
    return f"{front}\n# Shout the greeting\n\n## Objectives\n\n`greet` answers in capitals.\n"


def _write(conversation: Conversation) -> ToolCall:
    found = re.search(r"^git_sha: ([0-9a-f]{40})$", conversation.text, re.MULTILINE)
    sha = found[1] if found and BROKEN not in conversation.text else ""
    return ToolCall("Create", {"file_path": f"/output/{PLAN_ID}.md", "content": plan_text(sha)})


def _misbehave(conversation: Conversation) -> ToolCall:
    commands = [command for idea, command in _COMMANDS.items() if idea in conversation.text]
    return execute(conversation, "See what is there", "; ".join(commands) or "ls /output")


def _ask_reviewer(_: Conversation) -> ToolCall:
    prompt = f"Review the draft /output/{PLAN_ID}.md and report."
    call = {"subagent_type": REVIEWER, "description": "Review the draft", "prompt": prompt, "await": True}
    return ToolCall("Task", call)


def _review(conversation: Conversation) -> Reply:
    if not conversation.rounds:
        command = f"cat /output/{PLAN_ID}.md"
        return Reply(tool_calls=(execute(conversation, "Read the draft", command),))
    seen = "# Shout the greeting" in conversation.steps[-1].result
    return Reply(FINDING if seen else "I did not see the draft.")


def _findings(conversation: Conversation) -> str:
    reports = [step.result for step in conversation.steps if step.call.name == "Task"]
    return "\n".join(FINDING for report in reports if FINDING in report) or "No finding came back."
