"""How much a session may leave beside its commits."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from lw_coder.sessions.transcript_watch import LIMITS, Limits, is_flooded, stopped_if_flooded
from tests.support.patience import PATIENCE

if TYPE_CHECKING:
    import pytest


def grow(path: Path, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size)


def test_what_a_session_leaves_is_no_flood(tmp_path: Path) -> None:
    grow(tmp_path / "-workspace/one.jsonl", LIMITS.size // 2)
    (tmp_path / "link").symlink_to("/")
    assert not is_flooded(tmp_path)
    assert not is_flooded(tmp_path / "never-was")


def test_large_files_are_a_flood_wherever_they_are(tmp_path: Path) -> None:
    for name in ("a", "b/c"):
        grow(tmp_path / name, LIMITS.size // 2 + 1)
    assert is_flooded(tmp_path)


def test_many_files_are_a_flood(tmp_path: Path) -> None:
    for number in range(11):
        (tmp_path / str(number)).touch()
    assert is_flooded(tmp_path, Limits(entries=10))
    assert not is_flooded(tmp_path, Limits(entries=11))


def test_a_flood_ends_the_session_and_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stopped = threading.Event()
    with stopped_if_flooded(tmp_path, stopped.set, Limits(interval=0.01)):
        assert not stopped.wait(0.1)
        grow(tmp_path / "flood", LIMITS.size + 1)
        assert stopped.wait(PATIENCE)
    assert "the session was stopped" in capsys.readouterr().err
