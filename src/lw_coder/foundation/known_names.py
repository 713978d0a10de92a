"""The names that exist, for a message about one that does not."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from lw_coder.foundation.report import printable

MOST_LISTED = 10
_MOST_LIKE = 3  # names that resemble a wrong one
_LONGEST = 100  # characters of a name that are compared and shown


def listed(names: Sequence[str]) -> str:
    """Return names in one line, of many the first ones only."""
    shown = ", ".join(printable(name[:_LONGEST]) for name in names[:MOST_LISTED])
    more = len(names[MOST_LISTED:])
    return f"{shown} and {more} more" if more else shown


def did_you_mean(typed: str, names: Collection[str]) -> str:
    """Return a question with the names that resemble what was typed; empty if there are none."""
    from difflib import get_close_matches

    like = get_close_matches(typed[:_LONGEST], sorted(names), n=_MOST_LIKE)
    return f"did you mean {' or '.join(printable(name) for name in like)}?" if like else ""
