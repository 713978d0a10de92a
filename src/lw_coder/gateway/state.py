"""What a session's gateway is doing, read from the small file that it replaces at each change."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from msgspec import Struct

from lw_coder.foundation.json_text import read_json
from lw_coder.foundation.report import printable
from lw_coder.gateway.settings import FOLDER

_FILE = "state.json"
_LONGEST = 1 << 20  # bytes
_LATE = timedelta(minutes=1)
_NOT_KEPT = "cannot be kept"


class Pause(Struct, frozen=True):
    """A request was given up: the provider is busy or away for longer than a request can wait.

    Attributes:
        until: when the provider is to be asked again, in UTC.
        why: what it does, in words.
    """

    until: datetime
    why: str

    @property
    def reason(self) -> str:
        """Describe it in a line, for a record."""
        return f"paused: {self.why}; it is to be asked again at {self.until.isoformat(timespec='seconds')}"


class GatewayState(Struct, frozen=True):
    """What the gateway tells.

    Attributes:
        limit: the limit at which it refuses requests, as it says it, or None.
        pause: the provider's pause, until another request is answered; or None.
        waiting_until: when it will ask the provider again (UTC), while it waits; or None.
    """

    limit: str | None = None
    pause: Pause | None = None
    waiting_until: datetime | None = None

    @property
    def cannot_be_kept(self) -> str:
        """Why a limit could not be kept, as the gateway says it; empty if that is not so."""
        return self.limit if self.limit and _NOT_KEPT in self.limit else ""

    @property
    def is_waiting(self) -> bool:
        """Whether it waits for the provider; one that was killed meanwhile does not any more."""
        return self.waiting_until is not None and datetime.now(UTC) < self.waiting_until + _LATE


def read_state(run: Path) -> GatewayState:
    """Read what a run's gateway tells; nothing if the run has none.

    Args:
        run: the run's folder.
    """
    return state_of(state_values(run))


def state_values(run: Path) -> Mapping[str, Any]:
    """Return the contents of the file; empty if there is none."""
    try:
        with (run / FOLDER / _FILE).open(encoding="utf-8", errors="replace") as file:
            return json_object(file.read(_LONGEST))
    except OSError:
        return {}


def state_of(values: Mapping[str, Any]) -> GatewayState:
    """Interpret the contents of the file."""
    limit, paused = values.get("limit"), values.get("paused")
    return GatewayState(
        limit if isinstance(limit, str) else None,
        _pause(paused) if isinstance(paused, dict) else None,
        _time(values.get("waiting_until")),
    )


def _pause(values: Mapping[str, Any]) -> Pause | None:
    until = _time(values.get("until"))
    return None if until is None else Pause(until, printable(str(values.get("why"))))


def _time(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def json_object(text: str) -> Mapping[str, Any]:
    """Parse an object; empty if it is none, such as a line that was cut off with its container."""
    try:
        found = read_json(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def shown_time(until: datetime) -> str:
    """Show a time as a person reads it; with the day unless it is today."""
    local = until.astimezone()
    is_today = local.date() == datetime.now(UTC).astimezone().date()
    return local.strftime("%H:%M:%S" if is_today else "%Y-%m-%d %H:%M:%S")
