"""What ends a session while it runs, seen from the thread that watches it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from lw_coder.gateway.state import GatewayState, Pause
from lw_coder.sessions.session_watch import Counts, SessionWatch
from lw_coder.settings.limits import Limits
from tests.support.patience import wait_until

SHORT = Limits(idle_minutes=0.02)  # 1.2 seconds


def watched(state: Callable[[], GatewayState], **more: Callable[..., object]) -> SessionWatch:
    return SessionWatch("no such plan", SHORT, lambda: Counts(has_begun=True), state=state, **more)


def test_waiting_for_the_provider_is_not_idle_and_is_told_once() -> None:
    until, told = datetime.now(UTC) + timedelta(minutes=5), list[datetime]()
    asked = list[float]()

    def waits() -> GatewayState:
        asked.append(time.monotonic())
        return GatewayState(waiting_until=until)

    with watched(waits, on_wait=told.append) as watch:
        wait_until(lambda: len(asked) > 4, "some looks at the gateway")
        assert watch.reached is None
    assert told == [until]
    assert asked[-1] - asked[0] > 60 * 0.02


def test_a_gateway_that_was_killed_while_it_waited_does_not_wait_for_ever() -> None:
    past = GatewayState(waiting_until=datetime.now(UTC) - timedelta(minutes=5))
    with watched(lambda: past) as watch:
        wait_until(lambda: watch.reached, "the limit of the idle time")
    assert watch.reached
    assert watch.reached.name == "idle_minutes"


def test_a_pause_of_the_provider_is_noted() -> None:
    pause = Pause(datetime.now(UTC), "the provider answers 503")
    with watched(lambda: GatewayState(pause=pause)) as watch:
        wait_until(lambda: watch.pause, "the pause")
    assert watch.pause == pause
    assert watch.reached is None
