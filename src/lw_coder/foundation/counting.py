"""Numbers with the word for what they count."""

from __future__ import annotations


def counted(number: float, one: str, many: str = "") -> str:
    """Return such as `1 commit` or `2 commits`.

    Args:
        number: how many.
        one: the word for one.
        many: the word for several, if it is not `one` with an s.
    """
    return f"{number:,} {one}" if number == 1 else f"{number:,} {many or f'{one}s'}"
