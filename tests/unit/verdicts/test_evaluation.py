from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from lw_coder.foundation.redaction import Redaction
from lw_coder.verdicts.evaluation import judged_notes, parse_report

NOTES = ("The tests pass", "The README says so", "It looks good")
REPORT = """Some words.

<evaluation-notes>
1. met: tests/test_a.py passes
2. not met: no word of it
3. not judged: no browser
</evaluation-notes>

More words."""


def line(text: str, role: str = "assistant", time: str = "2026-01-01T00:00:00Z") -> str:
    message = {"role": role, "content": [{"type": "text", "text": text}]}
    return json.dumps({"type": "message", "timestamp": time, "message": message}) + "\n"


def write(run: Path, name: str, *lines: str) -> Path:
    path = run / "sessions/-workspace" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(lines))
    return run


def results(run: Path, **values: str) -> list[tuple[str, str]]:
    found = judged_notes(run, NOTES, Redaction(values))
    assert [note.note for note in found] == list(NOTES)
    return [(note.result, note.evidence) for note in found]


SAID = [("met", "tests/test_a.py passes"), ("not met", "no word of it"), ("not judged", "no browser")]
NOTHING = [("not judged", "")] * 3


def test_a_report(tmp_path: Path) -> None:
    assert results(write(tmp_path, "a.jsonl", line("hello"), line(REPORT), line("bye"))) == SAID


def test_the_last_report_counts(tmp_path: Path) -> None:
    later = REPORT.replace("not met: no word of it", "met: it does now")
    write(tmp_path, "b.jsonl", line(REPORT, time="2026-01-01T00:00:01Z"))
    write(tmp_path, "a.jsonl", line(later, time="2026-01-01T00:00:02Z"))
    assert results(tmp_path)[1] == ("met", "it does now")


def test_a_report_without_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "summary.md").write_text(REPORT)
    assert results(tmp_path) == SAID


def test_the_prompt_is_no_report(tmp_path: Path) -> None:
    assert results(write(tmp_path, "a.jsonl", line(REPORT, role="user"))) == NOTHING


def test_without_a_report_nothing_is_judged(tmp_path: Path) -> None:
    assert results(tmp_path) == NOTHING
    assert judged_notes(tmp_path, (), Redaction({})) == ()


def test_values_are_hidden(tmp_path: Path) -> None:
    write(tmp_path, "a.jsonl", line(REPORT.replace("no browser", "the key is sk-12345-6")))
    assert results(tmp_path, A="sk-12345", B="sk-12345-6", C="x")[2] == ("not judged", "the key is [B]")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1. met: a", {1: ("met", "a")}),
        ("1) Met - a", {1: ("met", "a")}),
        ("- **1. NOT MET**: a: b", {1: ("not met", "a: b")}),
        ("> 2: not  judged", {2: ("not judged", "")}),
        ("1. metal: a", {}),
        ("1. perhaps: a", {}),
        ("met: a", {}),
        ("1. met: a\n1. not met: b", {1: ("not met", "b")}),
        ("9999. met: a", {}),
    ],
)
def test_forms(text: str, found: dict[int, Any]) -> None:
    assert parse_report(text) == found


def test_hostile_transcripts(tmp_path: Path) -> None:
    """Each of these is left out; the report beside them is found."""
    deep = "[" * 100_000
    write(
        tmp_path,
        "a.jsonl",
        f"<evaluation-notes>{deep}\n",
        "<evaluation-notes>1\n",
        '{"message": "<evaluation-notes>"}\n',
        '{"message": {"role": "assistant", "content": [1, {"text": 2}], "x": "<evaluation-notes>"}}\n',
        line(REPORT),
    )
    folder = tmp_path / "sessions/-workspace"
    (folder / "link.jsonl").symlink_to("/etc/passwd")
    os.mkfifo(folder / "pipe.jsonl")
    with (folder / "long.jsonl").open("wb") as file:
        file.truncate(1 << 40)
    assert results(tmp_path) == SAID


def test_much_evidence_is_cut(tmp_path: Path) -> None:
    write(tmp_path, "a.jsonl", line(REPORT.replace("no browser", "x" * 10_000)))
    assert len(results(tmp_path)[2][1]) == 500
