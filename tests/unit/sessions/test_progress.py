"""What is told of a headless agent's steps and commits where there is no terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lw_coder.foundation.redaction import Redaction
from lw_coder.sessions.droid_events import Event
from lw_coder.sessions.progress import Progress

if TYPE_CHECKING:
    import pytest

BRANCH = "lw/task/a-plan"
OLD, NEW = "1" * 40, "2" * 40


def reflog(folder: Path) -> Path:
    path = folder / "git/logs/refs/heads" / BRANCH
    path.parent.mkdir(parents=True)
    return path


def entry(what: str) -> str:
    return f"{OLD} {NEW} A Person <a@example.com> 1700000000 +0000\t{what}\n"


def call(**parameters: Any) -> Event:
    return Event({"type": "tool_call", "toolName": "Execute", "parameters": parameters})


def test_each_step_is_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(tmp_path, BRANCH, Redaction({}))
    progress.show(call(command="pytest -q\nmore"))
    progress.show(call(command="x" * 200 + "\x1b[2J"))
    progress.show(
        Event({"type": "tool_call", "toolName": "Task", "parameters": {"subagent_type": "auditor"}})
    )
    progress.show(Event({"type": "error", "message": "401\x07"}))
    progress.show(Event({"type": "message", "text": "not shown"}))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Agent:    Execute pytest -q"
    assert lines[1] == f"Agent:    Execute {'x' * 92} ..."
    assert lines[2:] == ["Agent:    subagent auditor", "Agent:    error: 401\\x07"]


def test_each_commit_is_told_once_when_its_entry_is_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, progress = reflog(tmp_path), Progress(tmp_path, BRANCH, Redaction({"KEY": "sk-12345678"}))
    progress.tick(0)
    path.write_text(
        entry("commit: Use sk-12345678") + entry("checkout: moving") + entry("commit (amend): B")[:60]
    )
    progress.tick(1)
    path.write_text(path.read_text()[:-60] + entry("commit (amend): B"))
    progress.tick(2)
    progress.tick(3)
    told = capsys.readouterr().err.splitlines()
    assert told == [f"Agent:    commit {NEW[:12]} Use [KEY]", f"Agent:    commit {NEW[:12]} B"]


def test_a_reflog_that_is_a_link_is_not_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text(entry("commit: Not ours"))
    reflog(tmp_path).symlink_to(elsewhere)
    Progress(tmp_path, BRANCH, Redaction({})).tick(0)
    assert capsys.readouterr().err == ""
