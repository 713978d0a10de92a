"""Which limit holds, and which one a session has reached."""

from __future__ import annotations

from typing import Any

import pytest

from lw_coder.commands.code_options import CodeOptions
from lw_coder.foundation.errors import ConfigError
from lw_coder.runs.session_result import ReachedLimit
from lw_coder.sessions.session_watch import gateways_limit, reached_limit
from lw_coder.settings.limits import UNATTENDED, Limits, limits_line, limits_of, require_known


def test_an_option_replaces_what_is_configured_and_that_the_default() -> None:
    configured = Limits(minutes=60, turns=200)
    options = CodeOptions(headless=True, limits=Limits(turns=5))
    assert options.effective_limits(configured) == Limits(minutes=60, idle_minutes=20, turns=5)
    assert CodeOptions(headless=True).effective_limits(None) == UNATTENDED


def test_at_a_terminal_there_are_none_but_those_that_are_asked_for() -> None:
    assert not CodeOptions().effective_limits(None)
    assert CodeOptions().effective_limits(Limits(turns=5)) == Limits(turns=5)


@pytest.mark.parametrize("values", [{"minutes": float("nan")}, {"minutes": 0}, {"turns": 1.5}])
def test_an_option_that_is_no_such_number_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"^--(minutes|turns): expected"):
        limits_of(values)


@pytest.mark.parametrize(
    ("name", "option"),
    [
        *(("requests", "requests"), ("tokens", "tokens"), ("cost_usd", "cost-usd")),
        *(("requests_per_minute", "requests-per-minute"), ("max_wait", "max-wait")),
    ],
)
def test_what_only_a_gateway_can_count_is_refused(name: str, option: str) -> None:
    limits = limits_of({name: 5})
    with pytest.raises(ConfigError, match=f"^--{option}: only the model gateway"):
        require_known(limits, "--")
    with pytest.raises(ConfigError, match=f"limits.{name}: only the model gateway"):
        require_known(limits, "limits.")


def test_the_limit_that_is_reached() -> None:
    limits = Limits(minutes=10, idle_minutes=2, turns=5)
    assert reached_limit(limits, 9.9, 1.9, 4) is None
    assert reached_limit(limits, 10, 0, 0) == ReachedLimit("minutes", 10)
    assert reached_limit(limits, 5, 2.5, 0) == ReachedLimit("idle_minutes", 2)
    assert reached_limit(limits, 5, 0, 5) == ReachedLimit("turns", 5)
    assert reached_limit(Limits(), 1e9, 1e9, 10**9) is None


def test_the_limit_that_the_gateway_names() -> None:
    told = "lw_coder: limit reached: limits.tokens = 1000"
    assert gateways_limit(told, Limits(tokens=1000)) == ReachedLimit("tokens", 1000)
    assert gateways_limit(told, Limits()) == ReachedLimit("tokens", 1000)
    cannot = "limits.cost_usd cannot be kept: the provider reports no cost, and [code] prices has none"
    assert gateways_limit(cannot, Limits(cost_usd=0.5)) == ReachedLimit("cost_usd", 0.5)


def test_limits_in_words() -> None:
    assert limits_line(UNATTENDED) == "ends at minutes = 120, idle_minutes = 20"
    assert limits_line(Limits()) == "has no limits"
    assert limits_line(Limits(max_wait=60)) == "has no limits; waits up to 60 min for its provider"
    assert limits_line(Limits(tokens=12_345_678, cost_usd=0.5)) == "ends at tokens = 12345678, cost_usd = 0.5"
