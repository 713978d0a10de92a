"""A run as a session leaves it, made without one: its record, its texts, transcripts as droid writes them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lw_coder.runs.run_folders import Run, open_run, seal_run, write_record
from tests.support.sample_repository import PLAN_ID, SampleRepository

Json = dict[str, Any]
AGENT, REVIEWER = "agent-conversation", "reviewer-conversation"
_TIME = "2026-01-02T03:04:05.000Z"


def text(words: str) -> Json:
    return {"type": "text", "text": words}


def call(number: int, tool: str, **given: Any) -> Json:
    return {"type": "tool_use", "id": f"call_{number}", "name": tool, "input": given}


def result(number: int, words: str, *, is_error: bool = False) -> Json:
    return {"type": "tool_result", "tool_use_id": f"call_{number}", "is_error": is_error, "content": words}


def said(*content: Json) -> str:
    """Return a line of a transcript: what the agent wrote, or which tools it called."""
    return _line("assistant", content)


def heard(*content: Json, **more: Any) -> str:
    """Return a line of a transcript: what was said to the agent, or what its tools gave back."""
    return _line("user", content, **more)


def _line(role: str, content: Iterable[Json], **more: Any) -> str:
    message = {"role": role, "content": list(content)}
    return json.dumps({"type": "message", "id": "m", "timestamp": _TIME, "message": message, **more})


def start(id_: str, title: str, **more: Any) -> str:
    """Return the first line of a transcript."""
    return json.dumps({"type": "session_start", "id": id_, "title": title, **more})


@dataclass
class Recorded:
    """What a run's folder is to have; each may be hostile.

    Attributes:
        body: of the plan.
        agent: lines of the agent's transcript.
        reviewer: lines of a subagent's, which the call 900 began.
        summary: the agent's final message.
        files: more files below the run's folder.
        ended: fields of run.json's `ended`.
        record: other fields of run.json.
    """

    body: str = "# Greet the world\n\nWith a comma.\n"
    agent: list[str] = field(default_factory=list)
    reviewer: list[str] = field(default_factory=list)
    summary: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    ended: Json = field(default_factory=dict)
    record: Json = field(default_factory=dict)


def make_run(sample: SampleRepository, given: Recorded) -> Run:
    """Record a run that ended with what the repository's HEAD has."""
    run = open_run(sample.root, PLAN_ID)
    caller = {"callingSessionId": AGENT, "callingToolUseId": "call_900"}
    files = {
        "prompts/main.md": "# Do it\n",
        "compose.yml": 'name: "lw_coder"\n',
        **given.files,
        f"sessions/-workspace/{AGENT}.jsonl": _lines(start(AGENT, "Greet"), given.agent),
        f"sessions/-workspace/{REVIEWER}.jsonl": _lines(
            start(REVIEWER, "Reviewer", **caller), given.reviewer
        ),
    }
    if given.summary:
        files["summary.md"] = given.summary
    for name, content in files.items():
        path = run.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8", errors="surrogatepass", newline="")
    write_record(run, _record(sample, given))
    return seal_run(run)


def _lines(first: str, others: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in (first, *others))


def _record(sample: SampleRepository, given: Recorded) -> Json:
    times = {"started_at": "2026-01-02T03:04:05+00:00", "ended_at": "2026-01-02T03:05:00+00:00"}
    tip = sample.git("rev-parse", "HEAD")
    return {
        "schema": 1,
        "kind": "code",
        "plan": {"git_sha": sample.sha, "plan_id": PLAN_ID},
        "signature": {"inputs": {"plan": {"plan_id": PLAN_ID, "body": given.body}}},
        "model": "some/model",
        **given.record,
        "ended": {"outcome": "completed", "status": 0, "commits": 1, "tip": tip, **times, **given.ended},
    }
