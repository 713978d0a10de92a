"""When a session that its provider has paused goes on, and with which limits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from lw_coder.gateway.spending import Spending, Spent
from lw_coder.gateway.state import Pause
from lw_coder.runs.session_result import AgentReport, ReachedLimit, SessionResult
from lw_coder.sessions.pausing import resumption_after, waited_until, when_to_go_on
from lw_coder.settings.limits import Limits

NOW = datetime(2025, 1, 2, 12, 0, tzinfo=UTC)
PAUSE = Pause(NOW + timedelta(minutes=5), "the provider answers 429")
USED = Spending(Spent(requests=10, input_tokens=700, output_tokens=300, cost_usd=0.5))
PAUSED = SessionResult(
    status=1,
    started=NOW - timedelta(minutes=30),
    ended=NOW,
    pause=PAUSE,
    report=AgentReport(turns=8),
    spending=USED,
)


@pytest.mark.parametrize(
    ("wanted", "in_vain", "minutes"),
    [(5, 0, 5), (5, 1, 10), (5, 2, 15), (5, 9, 15), (60, 0, 60), (60, 9, 60), (1, 10**6, 15)],
)
def test_a_provider_that_is_busy_again_and_again_is_asked_less_often(
    wanted: int, in_vain: int, minutes: int
) -> None:
    pause = replace(PAUSE, until=NOW + timedelta(minutes=wanted))
    assert when_to_go_on(pause, NOW, in_vain) == NOW + timedelta(minutes=minutes)


def test_a_time_that_has_come_is_not_taken_for_one_to_come() -> None:
    pause = replace(PAUSE, until=NOW - timedelta(hours=1))
    assert NOW < when_to_go_on(pause, NOW, 0) <= NOW + timedelta(seconds=1)


def test_it_goes_on_with_what_is_left_of_the_limits() -> None:
    limits = Limits(
        minutes=120, idle_minutes=20, turns=100, requests=50, tokens=5000, cost_usd=2, max_wait=30
    )
    found = resumption_after(PAUSED, limits, 0, NOW)
    assert found is not None
    assert found.at == PAUSE.until
    assert found.limits == Limits(
        minutes=90, idle_minutes=20, turns=92, requests=40, tokens=4000, cost_usd=1.5, max_wait=25
    )


@pytest.mark.parametrize(
    "limits",
    [Limits(), Limits(max_wait=4), Limits(max_wait=30, tokens=1000), Limits(max_wait=30, minutes=30)],
)
def test_it_does_not_go_on_by_itself_beyond_a_limit(limits: Limits) -> None:
    assert resumption_after(PAUSED, limits, 0, NOW) is None


def test_what_was_not_paused_does_not_go_on() -> None:
    limits = Limits(max_wait=30)
    finished = AgentReport(is_complete=True, final="All is done.")
    for other in (
        replace(PAUSED, pause=None),
        replace(PAUSED, signalled=143),
        replace(PAUSED, limit=ReachedLimit("tokens", 1000)),
        replace(PAUSED, status=0, report=finished),
    ):
        assert resumption_after(other, limits, 0, NOW) is None
        assert other.outcome != "paused"
    assert PAUSED.outcome == "paused"
    assert "it is to be asked again at 2025-01-02T12:05:00+00:00" in str(PAUSED.failure)


def test_a_moment_that_has_passed_is_not_waited_for() -> None:
    assert waited_until(datetime.now(UTC) - timedelta(hours=1)) is None
