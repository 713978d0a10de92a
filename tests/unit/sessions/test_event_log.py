"""What is kept of an agent's words is private, and has an end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from lw_coder.sessions.event_log import (
    EVENTS_FILE,
    LONGEST_EVENT,
    LONGEST_SUMMARY,
    LONGEST_TEXT,
    SUMMARY_FILE,
    EventLog,
    write_summary,
)

if TYPE_CHECKING:
    import pytest


def kept(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / EVENTS_FILE).read_text().split("\n") if line]


def test_each_event_is_a_line_that_only_its_owner_can_read(tmp_path: Path) -> None:
    with EventLog(tmp_path) as log:
        log.write({"type": "message", "text": "two\nlines \u6f22 \ud800"})
        log.write({"type": "completion"})
    assert kept(tmp_path) == [{"type": "message", "text": "two\nlines \u6f22 \ud800"}, {"type": "completion"}]
    assert (tmp_path / EVENTS_FILE).stat().st_mode & 0o777 == 0o600


def test_long_texts_and_long_events_are_cut(tmp_path: Path) -> None:
    with EventLog(tmp_path) as log:
        log.write({"type": "message", "text": ["x" * (LONGEST_TEXT + 1)]})
        log.write({"type": "message", "text": ["x" * LONGEST_TEXT] * 20})
    first, second = kept(tmp_path)
    assert str(first["text"]).endswith(f"x[cut here: {LONGEST_TEXT + 1} characters]']")
    assert second["type"] == "message"
    assert int(str(second["lw_coder_cut"])) > LONGEST_EVENT


def test_a_full_log_says_so_and_ends(tmp_path: Path) -> None:
    with EventLog(tmp_path, most=60) as log:
        for _ in range(5):
            log.write({"type": "message", "text": "1234"})
    assert [event["type"] for event in kept(tmp_path)] == ["message", "lw_coder_cut"]


def test_a_log_that_cannot_be_written_is_one_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / EVENTS_FILE).symlink_to("/etc/passwd")
    with EventLog(tmp_path) as log:
        log.write({"type": "message"})
        log.write({"type": "message"})
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot be written" in line


def test_a_long_summary_is_cut_within_no_character(tmp_path: Path) -> None:
    write_summary(tmp_path, "x" + "\u6f22" * LONGEST_SUMMARY)
    text = (tmp_path / SUMMARY_FILE).read_text(encoding="utf-8")
    assert text.endswith(f"\u6f22\n\n[cut here: the message had {3 * LONGEST_SUMMARY + 1} bytes]\n")
    assert (tmp_path / SUMMARY_FILE).stat().st_mode & 0o777 == 0o600
