"""Replace the values of variables in what an agent or a build printed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

SHORTEST = 6  # characters; shorter values, such as `true`, are parts of ordinary text


class Redaction:
    """Replaces each value by its variable's name in brackets.

    Args:
        values: by the names of the variables; they are in no repr.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        self._names = {
            value.strip(): name for name, value in values.items() if len(value.strip()) >= SHORTEST
        }
        longest_first = sorted(self._names, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def text(self, text: str) -> str:
        """Return a text without the values."""
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda found: f"[{self._names[found[0]]}]", text)

    def json(self, value: Any) -> Any:
        """Return a JSON value whose texts, and keys, are without the values."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.json(item) for item in value]
        if isinstance(value, dict):
            return {self.text(key): self.json(item) for key, item in value.items()}
        return value
