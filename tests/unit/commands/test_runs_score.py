"""`lw_coder runs score`, typed in a repository that has runs."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lw_coder.runs.run_folders import Run
from tests.support.forked import forked
from tests.support.installed import LW_CODER
from tests.support.old_runs import old_run
from tests.support.sample_repository import PLAN_ID, make_sample_repository

RECORD = {
    "schema": 1,
    "signature": {
        "name": "CodePromptSignature",
        "inputs": {"plan": {}},
        "outputs": {"main_prompt": "Do it."},
    },
    "ended": None,
}
OLDER, NEWER = datetime(2026, 1, 2, 3, tzinfo=UTC), datetime(2026, 1, 2, 4, tzinfo=UTC)


@dataclass(frozen=True)
class Made:
    """A repository with two runs of a plan."""

    root: Path
    older: Run
    newer: Run

    def types(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return forked("runs", *arguments, cwd=self.root)

    def shown(self, run: Run) -> tuple[object, object]:
        known = json.loads(self.types("show", "--json", run.identity).stdout)
        return known["score"], known["feedback"]

    def exported(self) -> list[tuple[object, object]]:
        lines = [json.loads(line) for line in self.types("export").stdout.splitlines()]
        return [(line["score"], line["feedback"]) for line in lines]


def _run(root: Path, when: datetime) -> Run:
    return old_run(root, PLAN_ID, when, RECORD)


@pytest.fixture
def made(tmp_path: Path) -> Made:
    root = make_sample_repository(tmp_path / "sample").root
    return Made(root, _run(root, OLDER), _run(root, NEWER))


def test_a_score_is_stored_shown_and_exported(made: Made) -> None:
    before = made.older.record.read_bytes()
    done = made.types("score", made.older.identity, "0.25", "--feedback", "It forgot\nthe changelog: \u00e4.")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"Scored:   {made.older.identity}: 0.25\n"
    assert made.shown(made.older) == (0.25, "It forgot\nthe changelog: \u00e4.")
    lines = made.types("show", made.older.identity).stdout.splitlines()
    assert "score:    0.25" in lines
    assert "feedback: It forgot\\nthe changelog: \u00e4." in lines
    assert made.exported() == [(0.25, "It forgot\nthe changelog: \u00e4."), (None, None)]
    assert made.older.record.read_bytes() == before
    assert (made.older.folder / "score.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["plan", "time", "identity"])
def test_a_run_is_named_as_in_the_other_commands(made: Made, name: str) -> None:
    named = {"plan": PLAN_ID, "time": made.newer.name, "identity": made.newer.identity}
    assert made.types("score", named[name], "1").returncode == 0
    assert (made.shown(made.older), made.shown(made.newer)) == ((None, None), (1.0, None))


def test_a_second_score_replaces_the_first_with_its_feedback(made: Made) -> None:
    made.types("score", PLAN_ID, "0", "--feedback", "Nothing works.")
    made.types("score", PLAN_ID, "0.9")
    assert made.shown(made.newer) == (0.9, None)


@pytest.mark.parametrize(
    "typed",
    ["-1", "-0.01", "1.01", "8", "nan", "inf", "-inf", "good", "", " ", "0,5", "50%", "1_0", "\u0661"],
)
def test_what_is_no_score_is_one_line_and_changes_nothing(made: Made, typed: str) -> None:
    made.types("score", PLAN_ID, "0.5", "--feedback", "So so.")
    refused = made.types("score", PLAN_ID, typed, "--feedback", "Great.")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.endswith(": is not a score; give a number from 0 to 1, such as 0.8\n")
    assert refused.stderr.count("\n") == 1
    assert made.shown(made.newer) == (0.5, "So so.")


@pytest.mark.parametrize(
    ("typed", "score"), [("0", 0.0), ("-0", 0.0), (".5", 0.5), ("1e-1", 0.1), ("1.0", 1.0)]
)
def test_numbers_as_people_write_them(made: Made, typed: str, score: float) -> None:
    assert made.types("score", PLAN_ID, typed).returncode == 0
    assert made.shown(made.newer)[0] == score


def test_feedback_that_is_not_text(made: Made) -> None:
    command: list[str | bytes] = [LW_CODER, "runs", "score", PLAN_ID, "1", "--feedback", b"\xff"]
    refused = subprocess.run(command, cwd=made.root, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert refused.stderr == "error: --feedback: is not UTF-8 text; type it in a terminal that uses UTF-8\n"


def test_a_run_that_is_not_there(made: Made) -> None:
    refused = made.types("score", "nothing", "1")
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: nothing: no such run; there are runs of ")


def test_a_run_whose_record_is_damaged_gets_no_score(made: Made) -> None:
    made.newer.record.write_text("{", encoding="ascii")
    refused = made.types("score", PLAN_ID, "1")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "run.json: cannot be read" in refused.stderr
    assert not (made.newer.folder / "score.json").exists()


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"score": 2, "feedback": "", "scored_at": ""}', '{"score": null}', "\xff"]
)
def test_a_damaged_score_is_one_line_and_hides_no_run(made: Made, text: str) -> None:
    (made.newer.folder / "score.json").write_text(text, encoding="latin-1")
    shown = made.types("show", PLAN_ID)
    assert (shown.returncode, shown.stderr.count("\n")) == (1, 1)
    assert "score.json: is not a score; score the run again with `lw_coder runs score`" in shown.stderr
    assert made.exported() == [(None, None), (None, None)]
    assert made.types("score", PLAN_ID, "1").returncode == 0
    assert made.shown(made.newer) == (1.0, None)


def test_a_folder_that_cannot_be_written(made: Made) -> None:
    (made.newer.folder / "score.json").mkdir()  # also refuses root, unlike a mode
    refused = made.types("score", PLAN_ID, "1")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "score.json: cannot be written: Is a directory" in refused.stderr
    assert [path.name for path in made.newer.folder.iterdir() if path.name.endswith(".tmp")] == []
