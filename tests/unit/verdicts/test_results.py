from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from lw_coder.foundation.bounded_log import KEPT, BoundedLog
from lw_coder.verdicts.checks import Check, configured_checks
from lw_coder.verdicts.results import NOT_FOUND, CheckResult, Meaning, Outcome
from lw_coder.verdicts.verdict import Verdict
from tests.support.result_schema import require_verdict

GOOD = Outcome(0, 1.0, timed_out=False, log="log")
BAD = Outcome(1, 1.0, timed_out=False, log="log")
MISSING = Outcome(NOT_FOUND, 0.1, timed_out=False, log="log")
LATE = Outcome(None, 60.0, timed_out=True, log="log")
UNMADE = Outcome(None, None, timed_out=False, log="log", problem="no space left")


@pytest.mark.parametrize(
    ("base", "tip", "meaning"),
    [
        (GOOD, GOOD, Meaning.PASSES),
        (BAD, GOOD, Meaning.FIXED),
        (MISSING, GOOD, Meaning.FIXED),
        (LATE, GOOD, Meaning.FIXED),
        (UNMADE, GOOD, Meaning.PASSES),
        (GOOD, BAD, Meaning.BROKEN),
        (GOOD, MISSING, Meaning.BROKEN),
        (BAD, BAD, Meaning.STILL_FAILING),
        (LATE, BAD, Meaning.STILL_FAILING),
        (UNMADE, BAD, Meaning.STILL_FAILING),
        (MISSING, MISSING, Meaning.MISSING_COMMAND),
        (BAD, MISSING, Meaning.MISSING_COMMAND),
        (GOOD, LATE, Meaning.TIMED_OUT),
        (LATE, LATE, Meaning.TIMED_OUT),
        (GOOD, UNMADE, Meaning.NOT_RUN),
    ],
)
def test_what_two_results_mean(base: Outcome, tip: Outcome, meaning: Meaning) -> None:
    result = CheckResult(Check("true", "config"), base, tip)
    assert result.meaning is meaning
    assert result.meaning.is_good == tip.passed


def verdict(*results: CheckResult, tip: str = "b" * 40) -> Verdict:
    now = datetime.now(UTC)
    return Verdict("a" * 40, tip, image="sha256:0", started=now, ended=now, commits=1, results=results)


def test_one_bad_check_is_enough() -> None:
    good, bad = (CheckResult(Check(name, "config"), GOOD, tip) for name, tip in (("a", GOOD), ("b", BAD)))
    assert verdict(good).passed
    assert verdict(good).as_record()["reasons"] == []
    require_verdict(verdict(good).as_record())
    assert not verdict(good, bad).passed
    assert verdict(good, bad).reasons == ("broken: b",)


def test_without_commits_nothing_passed() -> None:
    good = CheckResult(Check("a", "config"), GOOD, GOOD)
    assert verdict(good, tip="a" * 40).reasons == ("nothing was committed",)


def test_a_command_that_stands_twice_runs_once() -> None:
    checks = configured_checks(["a", "b"], ["c", "a", "c"])
    assert [(check.command, check.source) for check in checks] == [
        ("a", "config"),
        ("b", "config"),
        ("c", "plan"),
    ]


@pytest.mark.parametrize("size", [0, 10, KEPT, 2 * KEPT, 2 * KEPT + 1, 20 * KEPT])
def test_a_log_keeps_its_ends(tmp_path: Path, size: int) -> None:
    text = (b"0123456789" * (size // 10 + 1))[:size]
    with BoundedLog(tmp_path / "log") as log:
        for start in range(0, size, 70_001):
            log.write(text[start : start + 70_001])
    found = (tmp_path / "log").read_bytes()
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600
    assert len(found) < 3 * KEPT + 100
    if size <= 2 * KEPT:
        assert found == text
    assert found.startswith(text[:KEPT])
    assert found.endswith(text[-KEPT:] if size else b"")
