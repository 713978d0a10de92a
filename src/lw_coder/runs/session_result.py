"""How a session ended, as a value."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class SessionResult:
    """How a session ended.

    Attributes:
        status: its exit status.
        started: when, in UTC.
        ended: likewise.
        refused: refused requests by host; empty if any host may be reached.
        signalled: the exit code of lw_coder, if a signal to it ended the session.
    """

    status: int
    started: datetime
    ended: datetime
    refused: Counter[str] = field(default_factory=Counter)
    signalled: int | None = None
