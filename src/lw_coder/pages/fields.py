"""Read parts of a JSON document of which nothing is certain."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


class Fields:
    """A JSON object; what is missing, or of another type, is empty.

    Args:
        value: the object; anything else is an empty one.
    """

    def __init__(self, value: object) -> None:
        self.raw: Mapping[str, Any] = value if isinstance(value, dict) else {}

    def __bool__(self) -> bool:
        """Return whether there is any field."""
        return bool(self.raw)

    def text(self, name: str) -> str:
        """Return a text, or an empty one."""
        value = self.raw.get(name)
        return value if isinstance(value, str) else ""

    def number(self, name: str) -> float | None:
        """Return a finite number, or None."""
        value = self.raw.get(name)
        if not isinstance(value, int | float) or isinstance(value, bool):
            return None
        try:
            return value if math.isfinite(value) else None
        except OverflowError:  # a whole number beyond any float
            return None

    def flag(self, name: str) -> bool:
        """Return whether a field is true."""
        return self.raw.get(name) is True

    def inner(self, name: str) -> Fields:
        """Return an object."""
        return Fields(self.raw.get(name))

    def objects(self, name: str) -> list[Fields]:
        """Return the objects in a list."""
        return [Fields(value) for value in self._list(name) if isinstance(value, dict)]

    def texts(self, name: str) -> list[str]:
        """Return the texts in a list."""
        return [value for value in self._list(name) if isinstance(value, str)]

    def time(self, name: str) -> datetime | None:
        """Return an ISO 8601 time in UTC, or None."""
        try:
            return datetime.fromisoformat(self.text(name)).astimezone(UTC)
        except (ValueError, OverflowError):
            return None

    def _list(self, name: str) -> list[Any]:
        value = self.raw.get(name)
        return value if isinstance(value, list) else []
