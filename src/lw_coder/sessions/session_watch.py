"""End a session at one of its limits, at a pause of the provider, or when lw_coder was asked to end.

First it gets SIGTERM; then it is removed.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Self

from msgspec import Struct

from lw_coder.containers import engine
from lw_coder.containers.labels import OWN_LABEL, PLAN_LABEL
from lw_coder.foundation.errors import EngineError, SilentEngineError
from lw_coder.gateway.state import GatewayState, Pause
from lw_coder.runs.session_result import ReachedLimit
from lw_coder.sessions.cleanup import remove_own_containers
from lw_coder.settings.limits import GATEWAY_LIMITS, Limits

GRACE = 15.0  # seconds between SIGTERM and removal; droid ends its tools in this time, and then itself
GIVEN_UP = 60.0  # seconds of removing; after these, docker's client is ended
LONGEST_START = 600.0  # seconds; droid's own start is not idle time, but a session that never begins is
SETUP_FOLDER = "setup"  # of a run whose session has setup commands
SETUP_END = f"{SETUP_FOLDER}/out/end.json"  # which the container writes when they have ended
_INTERVAL = 1.0  # seconds between checks
_NAMED = re.compile(r"limits\.(\w+)(?: = ([0-9.e+-]+))?")
_PAUSE = 0.3  # seconds while a session is being ended


class Counts(Struct, frozen=True):
    """What a session has done so far.

    Attributes:
        has_begun: whether droid has started.
        turns: answers of the model.
        steps: what shows that it makes progress.
        is_setting_up: whether commands still prepare the worktree, before droid is started.
    """

    has_begun: bool
    turns: int = 0
    steps: int = 0
    is_setting_up: bool = False


def reached_limit(limits: Limits, minutes: float, idle_minutes: float, turns: int) -> ReachedLimit | None:
    """Return the first limit that a session has reached, or None."""
    now = {"turns": turns, "minutes": minutes, "idle_minutes": idle_minutes}
    for name, value in now.items():
        limit = getattr(limits, name)
        if limit is not None and value >= limit:
            return ReachedLimit(name, limit)
    return None


def gateways_limit(told: str, limits: Limits) -> ReachedLimit:
    """Return the limit that the gateway names; a limit of the cost that it cannot keep is one too.

    Args:
        told: what the gateway says.
        limits: the session's; where they have the limit's value, it is used as it was configured.
    """
    found = _NAMED.search(told)
    name = found[1] if found and found[1] in GATEWAY_LIMITS else "cost_usd"
    # A session of `lw_coder plan` has limits only in the gateway.
    return ReachedLimit(name, getattr(limits, name) or float((found and found[2]) or 0))


def is_setting_up(folder: Path) -> bool:
    """Return whether the setup commands of a run's session have not ended yet; false if it has none.

    Args:
        folder: the run's.
    """
    return (folder / SETUP_FOLDER).is_dir() and not os.path.lexists(folder / SETUP_END)


class SessionWatch:
    """Watches a session in a thread, from the start of its container to the end of a `with` block.

    Args:
        plan: the value of PLAN_LABEL of the session's container.
        limits: what ends it.
        count: returns what it has done so far; called in the thread.
        on_limit: called in the thread when a limit is reached, before the session is asked to end.
        state: returns what the session's gateway tells, of which a limit or a pause ends the session; called
            in the thread.
        on_wait: called in the thread with the time until which the gateway waits for the provider, when it
            changes.

    Attributes:
        reached: the limit that has ended the session, or None.
        pause: the pause that has ended it, or None.
        signalled: lw_coder's exit status, if a signal to it has ended the session.
        has_given_up: is set if the session could not be ended.
    """

    def __init__(
        self,
        plan: str,
        limits: Limits,
        count: Callable[[], Counts],
        on_limit: Callable[[ReachedLimit], object] = lambda _: None,
        *,
        state: Callable[[], GatewayState] = GatewayState,
        on_wait: Callable[[datetime], object] = lambda _: None,
    ) -> None:
        self.reached: ReachedLimit | None = None
        self.pause: Pause | None = None
        self.signalled: int | None = None
        self.has_given_up = threading.Event()
        self._plan, self._limits, self._count, self._on_limit = plan, limits, count, on_limit
        self._state, self._on_wait = state, on_wait
        self._is_prepared = False
        self._awaited: datetime | None = None
        self._asked, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._begun = self._prepared = self._progressed = time.monotonic()
        self._steps = 0
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._asked.set()
        self._thread.join()

    def end(self, signalled: int | None) -> None:
        """Ask the session to end, and remove it if it does not; this does not wait.

        Args:
            signalled: lw_coder's exit status after the signal that wants this.
        """
        self.signalled = self.signalled or signalled
        self._asked.set()

    def note_end(self) -> None:
        """Note why the session has ended by itself: the gateway's limit, or a pause."""
        state = self._state()
        self.reached = self.reached or self._limit_of(state)
        self.pause = self.pause or state.pause

    def _limit_of(self, state: GatewayState) -> ReachedLimit | None:
        return gateways_limit(state.limit, self._limits) if state.limit else None

    def _watch(self) -> None:
        while not self._asked.wait(_INTERVAL):
            state = self._state()
            self.reached = self._reached(state)
            if self.reached:
                self._on_limit(self.reached)
                break
            self.pause = state.pause
            if self.pause:
                break
        self._end()

    def _reached(self, state: GatewayState) -> ReachedLimit | None:
        now, counts = time.monotonic(), self._count()
        self._note_preparation(now, counts)
        is_starting = not counts.has_begun and now - self._prepared < LONGEST_START
        if self._is_provider_awaited(state) or counts.steps != self._steps or is_starting:
            self._steps, self._progressed = counts.steps, now
        minutes, idle = (now - self._begun) / 60, (now - self._progressed) / 60
        return reached_limit(self._limits, minutes, idle, counts.turns) or self._limit_of(state)

    def _note_preparation(self, now: float, counts: Counts) -> None:
        """Let droid's start begin when the worktree is prepared; what the container says later is ignored."""
        self._is_prepared = self._is_prepared or counts.has_begun or not counts.is_setting_up
        if not self._is_prepared:
            self._prepared = now

    def _is_provider_awaited(self, state: GatewayState) -> bool:
        """Return whether the gateway waits because the provider wants it; that is not idle time."""
        until = state.waiting_until if state.is_waiting else None
        if until and until != self._awaited:
            self._on_wait(until)
        self._awaited = until
        return until is not None

    def _end(self) -> None:
        """Ask each container once; Compose can start one that was not there the first time."""
        asked: set[str] = set()
        deadline = time.monotonic() + GRACE
        while time.monotonic() < deadline and not self._over.wait(_PAUSE):
            with suppress(EngineError):
                running = engine.containers_with(
                    {PLAN_LABEL: self._plan, OWN_LABEL: "true"}, only_running=True
                )
                engine.signal_containers([one for one in running if one.id not in asked], "SIGTERM")
                asked |= {one.id for one in running}
        deadline = time.monotonic() + GIVEN_UP
        while time.monotonic() < deadline and not self._over.wait(_PAUSE):
            try:
                remove_own_containers(self._plan)
            except SilentEngineError:
                break  # it has had its time
            except EngineError:
                continue
        self.has_given_up.set()
