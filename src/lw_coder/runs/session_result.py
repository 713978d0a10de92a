"""How a session ended, as a value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct, field

if TYPE_CHECKING:
    from lw_coder.gateway.spending import Spending
    from lw_coder.gateway.state import Pause


class ReachedLimit(Struct, frozen=True):
    """The limit that ended a session: its name in `[code] limits`, and its value."""

    name: str
    value: float


class AgentReport(Struct, frozen=True):
    """What the agent of a headless session reported. It is the agent's word, without secrets.

    Attributes:
        is_complete: whether it reported that it has finished.
        final: its final message; empty if there was none.
        problem: the last error that droid reported, in one line, or empty.
        turns: answers of the model, to the agent and its subagents.
        usage: token counts by droid's names; empty if droid did not report them.
        conversation: droid's id of the conversation, or empty.
    """

    is_complete: bool = False
    final: str = ""
    problem: str = ""
    turns: int = 0
    usage: Mapping[str, int] = field(default_factory=dict)
    conversation: str = ""


class SetupFailure(Struct, frozen=True):
    """Why a session's agent was not started: what failed, and the last lines that it printed."""

    what: str
    tail: tuple[str, ...] = ()


class SessionResult(Struct, frozen=True):
    """How a session ended.

    Attributes:
        status: its exit status.
        started: when, in UTC.
        ended: likewise.
        refused: refused requests by host; empty if any host may be reached.
        signalled: the exit code of lw_coder, if a signal to it ended the session.
        limit: the limit that ended it, if one did.
        pause: the pause of its provider that it ended in, if there was one.
        report: what a headless session's agent reported; None for a session at a terminal.
        spending: what its gateway has counted; None if it has none.
        setup: what failed before the agent was started, or None.
    """

    status: int
    started: datetime
    ended: datetime
    refused: Counter[str] = field(default_factory=Counter)
    signalled: int | None = None
    limit: ReachedLimit | None = None
    pause: Pause | None = None
    report: AgentReport | None = None
    spending: Spending | None = None
    setup: SetupFailure | None = None

    @property
    def failure(self) -> str | None:
        """Why the session did not end well by itself, in one line, or None.

        droid's status alone says little: it is 0 after an empty answer of the model too.
        """
        if self.setup:
            return self.setup.what
        return self.pause.reason if self.pause and self.is_paused else self._own_failure

    @property
    def is_paused(self) -> bool:
        """Whether a pause of its provider ended it; if a headless agent has finished, nothing else did."""
        return self.pause is not None and (self.report is None or self._own_failure is not None)

    @property
    def _own_failure(self) -> str | None:
        if self.status:
            why = f": {self.report.problem}" if self.report and self.report.problem else ""
            return f"the session ended with status {self.status}{why}"
        if self.report is None:
            return None
        if not self.report.is_complete:
            return "the session ended before the agent had finished"
        return None if self.report.final.strip() else "the agent ended without a final message"

    @property
    def outcome(self) -> str:
        """`signal`, `limit`, `setup`, `paused`, `failed` or `completed`."""
        if self.signalled:
            return "signal"
        if self.limit:
            return "limit"
        if self.setup:
            return "setup"
        if self.is_paused:
            return "paused"
        return "failed" if self.failure else "completed"
