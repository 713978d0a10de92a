"""The script of the demo: what the model says as the coding agent, as its two subagents and to DSPy.

Nothing here keeps state: the next step follows from the tool calls that the conversation already holds,
so a replay, or two sessions at once, go the same way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from tests.support.patience import PATIENCE
from tests.support.scripted_model import Conversation, Json, Reply, Step, ToolCall

REVIEWER = "code-review-auditor"
CHECKER = "plan-alignment-checker"
SUBAGENTS = (REVIEWER, CHECKER)

SOURCE_FILE = "greeting.py"
OLD_LINE = 'return "Hello " + name'
NEW_LINE = 'return "Hello, " + (name or "world")'
TEST_COMMAND = "python3 -m unittest -q"
COMMIT_MESSAGE = "Greet the world when no name is given"
COMMIT_COMMAND = f'git add {SOURCE_FILE} && git commit -q -m "{COMMIT_MESSAGE}" && git log -1 --oneline'

# droid itself opens a subagent's task with these lines, whatever its file and the caller's prompt say
ROLE = re.compile(r"^# Task Tool Invocation\n\nSubagent type: (\S+)", re.MULTILINE)
# A subagent is a process that droid gives a minute to start; on a very busy machine its task fails, and the
# agent is to call it again, as a model does.
REPEATS = 5
TASK = "Inspect the last commit and report what you find."
INSPECT_COMMAND = "git show --stat HEAD"
FINDINGS = {
    REVIEWER: "the commit changes one expression, keeps the interface, and covers the empty name.",
    CHECKER: 'greet("") gives "Hello, world" and greet("Ada") gives "Hello, Ada", as the plan says.',
}
NO_FINDING = "nothing to report."
ACTIONS = {
    REVIEWER: "none needed: the review asks for no change.",
    CHECKER: "none needed: the change does what the plan says.",
}
SUMMARY_TITLE = "# Summary of the session"
SIDE_ANSWER = "Greet the world"

PROMPT_ANSWERS: Mapping[str, str] = {
    "main_prompt": (
        "Carry out the plan in small steps. Read a file before you change it, make the smallest change that "
        "does what the plan says, run the tests, and commit with a message that says what changed."
    ),
    "code_review_prompt": (
        f"You are {REVIEWER}. Read the last commit. Look for wrong results, missing tests and needless "
        "changes. Report each finding with its file and line, and say plainly when there is none."
    ),
    "plan_alignment_prompt": (
        f"You are {CHECKER}. Compare the last commit with the plan, requirement by requirement. Report what "
        "is missing, what goes beyond the plan, and what is as it should be."
    ),
}


def scripted_demo(conversation: Conversation) -> Reply:
    """Play whichever part the request asks for."""
    parts: Mapping[str, Callable[[Conversation], Reply]] = {
        "agent": coding_agent,
        "dspy": prompt_answer,
        "other": _side_answer,
    }
    return parts[conversation.kind](conversation)


def scripted_alone(conversation: Conversation) -> Reply:
    """Play the same without the subagents, each of which is a droid of its own, for a machine to start."""
    if conversation.kind != "agent":
        return scripted_demo(conversation)
    steps = _MAIN_STEPS[:-1]
    if conversation.rounds < len(steps):
        return Reply(tool_calls=steps[conversation.rounds](conversation))
    return Reply(f"{SUMMARY_TITLE}\n\n{_done(conversation.steps)}\n\nAction: {ACTIONS[CHECKER]}")


def _side_answer(_: Conversation) -> Reply:
    return Reply(SIDE_ANSWER)


# The coding agent


def coding_agent(conversation: Conversation) -> Reply:
    """Play droid's main agent, or the subagent that the request comes from."""
    role = subagent_role(conversation)
    if role:
        return _subagent(role, conversation)
    if conversation.rounds < len(_MAIN_STEPS):
        return Reply(tool_calls=_MAIN_STEPS[conversation.rounds](conversation))
    missing = [role for role in SUBAGENTS if role not in _reports(conversation.steps)]
    if missing and conversation.rounds < len(_MAIN_STEPS) + REPEATS:
        return Reply(tool_calls=tuple(_task(role) for role in missing))
    return Reply(_summary(conversation.steps))


def subagent_role(conversation: Conversation) -> str | None:
    """Name the subagent; None for the main agent, which alone is offered the Task tool."""
    found = None if "Task" in conversation.tool_names else ROLE.search(conversation.text)
    return found[1] if found else None


def _read(conversation: Conversation) -> tuple[ToolCall, ...]:
    # droid refuses to edit a file that was not read first
    return (ToolCall("Read", {"file_path": _path(conversation)}),)


def _edit(conversation: Conversation) -> tuple[ToolCall, ...]:
    change = {"file_path": _path(conversation), "old_str": OLD_LINE, "new_str": NEW_LINE}
    return (ToolCall("Edit", change),)


def _test(conversation: Conversation) -> tuple[ToolCall, ...]:
    return (execute(conversation, "Run the unit tests", TEST_COMMAND),)


def _commit(conversation: Conversation) -> tuple[ToolCall, ...]:
    return (execute(conversation, "Commit the changed file", COMMIT_COMMAND),)


def _ask_subagents(_: Conversation) -> tuple[ToolCall, ...]:
    return tuple(_task(role) for role in SUBAGENTS)


_MAIN_STEPS = (_read, _edit, _test, _commit, _ask_subagents)


def _path(conversation: Conversation) -> str:
    """Give the absolute path that droid asks for; its first message shows `pwd`."""
    found = re.search(r"^% pwd\n(/.*)$", conversation.text, re.MULTILINE)
    return f"{found[1] if found else '/workspace'}/{SOURCE_FILE}"


def execute(conversation: Conversation, summary: str, command: str) -> ToolCall:
    """Call droid's Execute as the conversation's tools describe it."""
    # droid wants the risk in some modes, and does not know the word in others. It ends a command after 60
    # seconds, which are not enough on a busy machine.
    known = next((tool.parameters for tool in conversation.tools if tool.name == "Execute"), frozenset())
    more = {"riskLevelReason": "It stays within the repository.", "riskLevel": "low", "timeout": PATIENCE}
    asked = {name: value for name, value in more.items() if name in known}
    return ToolCall("Execute", {"summary": summary, "command": command, **asked})


def _task(role: str) -> ToolCall:
    call = {"subagent_type": role, "description": "Inspect the last commit", "prompt": TASK, "await": True}
    return ToolCall("Task", call)


def _subagent(role: str, conversation: Conversation) -> Reply:
    if not conversation.rounds:
        return Reply(tool_calls=(execute(conversation, "Show the last commit", INSPECT_COMMAND),))
    seen = conversation.steps[-1].result if conversation.steps else ""
    subject = "saw the commit" if COMMIT_MESSAGE in seen else "did not see the commit"
    return Reply(f"{role} {subject}.\n\nFINDING {role}: {FINDINGS.get(role, NO_FINDING)}")


def _summary(steps: tuple[Step, ...]) -> str:
    reports = _reports(steps)
    sections = (_section(role, reports.get(role, "")) for role in SUBAGENTS)
    return "\n\n".join([SUMMARY_TITLE, _done(steps), *sections])


def _reports(steps: tuple[Step, ...]) -> dict[str, str]:
    """Map each subagent that has reported to its report."""
    tasks = (step for step in steps if step.call.name == "Task" and "FINDING" in step.result)
    return {str(step.call.arguments["subagent_type"]): step.result for step in tasks}


def _done(steps: tuple[Step, ...]) -> str:
    """Tell the outcome by what the tools said, not by what the script meant to do."""
    said = {str(step.call.arguments.get("command")): step.result for step in steps}
    tests = "pass" if re.search(r"^OK", said.get(TEST_COMMAND, ""), re.MULTILINE) else "do not pass"
    commit = "is committed" if COMMIT_MESSAGE in said.get(COMMIT_COMMAND, "") else "is not committed"
    return f"The change to {SOURCE_FILE} {commit}; the tests {tests}."


def _section(role: str, report: str) -> str:
    findings = re.findall(rf"FINDING {role}: .+", report)
    quoted = "\n".join(f"> {line}" for line in findings) or "> (no finding came back)"
    action = ACTIONS[role] if findings else "none: there was nothing to act on."
    return f"## {role}\n\n{quoted}\n\nAction: {action}"


# The prompt writer


def prompt_answer(conversation: Conversation, answers: Mapping[str, Any] | None = None) -> Reply:
    """Answer DSPy's ChatAdapter or JSONAdapter, each output field by `answers`, else by its schema."""
    known = {**PROMPT_ANSWERS, **(answers or {})}
    schemas = output_schemas(conversation.system)
    values = {name: known.get(name, _example(name, schema, schema)) for name, schema in schemas.items()}
    if "Outputs will be a JSON object" in conversation.system:
        return Reply(json.dumps(values))
    return Reply("\n\n".join([*(_field(*item) for item in values.items()), "[[ ## completed ## ]]"]))


def output_schemas(system: str) -> dict[str, Json]:
    """Map the fields that DSPy asks for to their JSON schemas; plain text has the schema of a string."""
    listed = system.partition("Your output fields are:")[2].partition("All interactions")[0]
    return {name: _schema(name, system) for name in re.findall(r"^\d+\. `(\w+)`", listed, re.MULTILINE)}


def _schema(name: str, system: str) -> Json:
    found = re.search(rf"\{{{name}\}}[^\n]*?JSON schema: (.*)", system)
    if not found:
        return {"type": "string"}
    # JSONAdapter writes the note inside a JSON string, where its quotes are escaped
    text = (
        found[1]
        if not found[1].startswith('{\\"')
        else json.loads(f'"{found[1].rstrip(",").rstrip(chr(34))}"')
    )
    schema: Json = json.JSONDecoder().raw_decode(text)[0]
    return schema


def _example(name: str, schema: Json, root: Json) -> Any:
    """Make the smallest value that the schema allows, with text where it wants some."""
    if "$ref" in schema:
        return _example(name, root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    if "anyOf" in schema:
        return _example(name, schema["anyOf"][0], root)
    if "const" in schema or "enum" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    return _EXAMPLES[schema.get("type", "string")](name, schema, root)


def _object(_: str, schema: Json, root: Json) -> Json:
    return {key: _example(key, value, root) for key, value in schema.get("properties", {}).items()}


def _array(name: str, schema: Json, root: Json) -> list[Any]:
    return [_example(name, schema.get("items", {}), root)] * max(1, schema.get("minItems", 1))


_EXAMPLES: Mapping[str, Callable[[str, Json, Json], Any]] = {
    "object": _object,
    "array": _array,
    "string": lambda name, _, __: f"Scripted text for {name.replace('_', ' ')}.",
    "integer": lambda _, schema, __: schema.get("minimum", 1),
    "number": lambda _, schema, __: schema.get("minimum", 1.0),
    "boolean": lambda *_: True,
    "null": lambda *_: None,
}


def _field(name: str, value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return f"[[ ## {name} ## ]]\n{text}"
