"""The time of day, which can be set back while lw_coder runs."""

from __future__ import annotations

from datetime import UTC, datetime


def not_before(start: datetime) -> datetime:
    """Return the present time in UTC, or `start` if that is later: nothing ends before it began."""
    return max(datetime.now(UTC), start)
