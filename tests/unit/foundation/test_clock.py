from __future__ import annotations

from datetime import UTC, datetime, timedelta

from lw_coder.foundation.clock import not_before


def test_nothing_ends_before_it_began() -> None:
    earlier, later = (datetime.now(UTC) + timedelta(hours=hours) for hours in (-2, 2))
    assert earlier < not_before(earlier) < later
    assert not_before(later) == later
