"""Value objects that hold a secret. All others are plain msgspec Structs: ADR 0144 says why."""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class Secret(Struct, frozen=True):
    """A value object of which only the type is ever shown: at least one of its fields is secret."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(...)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []
