"""Removes secrets from what passes through, also where a secret is cut into two pieces."""

from __future__ import annotations

import json
from collections.abc import Iterable

MASK = b"[redacted]"
_SHORTEST = 6  # a value such as "1" would spoil every answer


class Redactor:
    """Replaces secrets in the pieces of one text.

    Args:
        secrets: the values, as they are and as JSON writes them.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        values = [secret for secret in secrets if len(secret) >= _SHORTEST]
        forms = {form for value in values for form in (value, json.dumps(value)[1:-1])}
        self._secrets = sorted((form.encode() for form in forms), key=len, reverse=True)
        self._rest = b""

    def feed(self, piece: bytes) -> bytes:
        """Return what can be passed on: all but an end with which a secret may begin."""
        whole = self._cleaned(self._rest + piece)
        kept = max((_overlap(whole, secret) for secret in self._secrets), default=0)
        self._rest = whole[len(whole) - kept :]
        return whole[: len(whole) - kept]

    def end(self) -> bytes:
        """Return what was held back."""
        rest, self._rest = self._rest, b""
        return rest

    def all(self, text: bytes) -> bytes:
        """Return a whole text without the secrets."""
        return self._cleaned(text)

    def _cleaned(self, text: bytes) -> bytes:
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return text


def _overlap(text: bytes, secret: bytes) -> int:
    """Count the bytes at a text's end that are the beginning of a secret."""
    longest = min(len(text), len(secret) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(secret[:size])), 0)
