"""Which conversation a run goes on with, though an agent can write anything among them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lw_coder.foundation.errors import RunError
from lw_coder.foundation.redaction import Redaction
from lw_coder.runs.run_folders import Run, open_run, seal_run, write_record
from lw_coder.sessions.continuing import copy_conversation, find_conversation

MAIN, OTHER, SUB = (f"{digit * 8}-1111-2222-3333-444444444444" for digit in "abc")
START = {"type": "session_start", "cwd": "/workspace"}


def a_run(root: Path, **agent: str) -> Run:
    run = seal_run(open_run(root, "a-plan"))
    write_record(run, {"schema": 1, "ended": {"status": 0, "agent": agent} if agent else None})
    (run.folder / "sessions/-workspace").mkdir(parents=True)
    return run


def add(run: Run, name: str, *lines: object, age: int = 0) -> Path:
    path = run.folder / f"sessions/-workspace/{name}.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    os.utime(path, (1_000_000_000 - age, 1_000_000_000 - age))
    return path


def test_the_recorded_one_is_taken(tmp_path: Path) -> None:
    run = a_run(tmp_path, conversation=OTHER)
    add(run, MAIN, START)
    add(run, OTHER, START, age=9)
    assert find_conversation([run], "a-plan").name == OTHER


def test_without_a_record_it_is_the_newest_that_no_agent_started(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    add(run, OTHER, START, age=9)
    add(run, MAIN, START, age=5)
    add(run, SUB, {**START, "callingSessionId": MAIN})
    add(run, "not-an-id", START)
    assert find_conversation([run], "a-plan").name == MAIN


def test_the_newest_run_that_has_one_is_taken(tmp_path: Path) -> None:
    older, newer = a_run(tmp_path), a_run(tmp_path)
    add(older, MAIN, START)
    assert find_conversation([older, newer], "a-plan").run == older


@pytest.mark.parametrize("name", ["../../../../etc/passwd", "-rf", "", MAIN])
def test_a_record_or_a_link_that_leads_elsewhere_is_no_conversation(tmp_path: Path, name: str) -> None:
    run = a_run(tmp_path, conversation=name)
    (run.folder / f"sessions/-workspace/{MAIN}.jsonl").symlink_to("/etc/passwd")
    with pytest.raises(RunError, match="no conversation"):
        find_conversation([run], "a-plan")


def test_a_copy_has_no_secrets_and_is_otherwise_the_same(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    same = '{"text":  "as it \\u00e9 is"}'
    path = add(run, MAIN, START, {"text": 'a "quoted" value'})
    path.write_text(f'{path.read_text()}{same}\nno "quoted" JSON\n')
    redaction = Redaction({"KEY": 'a "quoted" value', "WORD": '"quoted" JSON'})
    copy_conversation(find_conversation([run], "a-plan"), tmp_path / "new", redaction)
    copied = (tmp_path / f"new/sessions/-workspace/{MAIN}.jsonl").read_text().split("\n")
    assert copied == [json.dumps(START), '{"text":"[KEY]"}', same, "no [WORD]", ""]
