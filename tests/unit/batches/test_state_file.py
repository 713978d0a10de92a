"""The state file of a batch: what is written is read again, and nobody else can read it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from lw_coder.batches.state_file import BATCHES_FOLDER, list_batches, open_batch
from lw_coder.batches.states import Batch, PlanState, State
from lw_coder.foundation.errors import RunError

NOW = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
BATCH = Batch(
    batch="20250102T030405Z",
    started_at=NOW,
    jobs=2,
    plans=(
        PlanState(plan_id="kept", file="kept.md", state=State.KEPT, cost_usd=5.0),
        PlanState(plan_id="first", file="first.md", state=State.PASSED, cost_usd=0.25, started_at=NOW),
        PlanState(plan_id="next", file="next.md", depends_on=("first",), starts_from={"first": "0" * 40}),
    ),
    max_cost_usd=2.0,
)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    folder = open_batch(tmp_path, NOW)
    folder.write(replace(BATCH, plans=()))
    folder.write(BATCH)
    assert folder.read() == BATCH
    assert [found.read() for found in list_batches(tmp_path)] == [BATCH]
    written = json.loads(folder.state_file.read_text())
    assert (written["started_at"], written["plans"][2]["state"]) == ("2025-01-02T03:04:05Z", "waiting")
    kinds = {path: path.stat().st_mode & 0o777 for path in (folder.state_file, folder.folder)}
    assert list(kinds.values()) == [0o600, 0o700]
    assert (tmp_path / BATCHES_FOLDER / ".gitignore").read_text() == "*\n"


def test_two_batches_of_one_second(tmp_path: Path) -> None:
    names = [open_batch(tmp_path, NOW).name for _ in range(2)]
    assert names == ["20250102T030405Z", "20250102T030405Z-2"]


@pytest.mark.parametrize("content", ["", "[]", '{"batch": 1}', "{" * 100_000])
def test_a_damaged_file(tmp_path: Path, content: str) -> None:
    folder = open_batch(tmp_path, NOW)
    folder.state_file.write_text(content)
    with pytest.raises(RunError, match="cannot be read"):
        folder.read()


def test_a_key_of_a_newer_version(tmp_path: Path) -> None:
    folder = open_batch(tmp_path, NOW)
    folder.state_file.write_text(json.dumps({**BATCH.as_json(), "page": "batch.html"}))
    assert folder.read() == BATCH


def test_a_changed_plan(tmp_path: Path) -> None:
    del tmp_path
    changed = BATCH.with_plan(replace(BATCH.plan("next"), state=State.RUNNING))
    assert [plan.state for plan in changed.plans] == [State.KEPT, State.PASSED, State.RUNNING]
    assert changed.in_state(State.RUNNING) == (changed.plan("next"),)
    assert changed.cost_usd == 0.25, "what an earlier batch has paid is not paid again"
    assert changed.plan("first").minutes(NOW + timedelta(minutes=3)) == 3.0
    assert changed.plan("next").minutes(NOW) is None
