"""The limits of a session: `[code] limits` in config.toml, and the options of the same names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec

from lw_coder.foundation.errors import ConfigError

MOST_MINUTES = 525_600.0  # a year
MOST_TURNS = 1_000_000
GATEWAY_LIMITS = ("requests", "tokens", "cost_usd", "requests_per_minute")  # that it counts itself
_NEED_GATEWAY = (*GATEWAY_LIMITS, "max_wait")

Minutes = Annotated[float, msgspec.Meta(gt=0, le=MOST_MINUTES)]
Count = Annotated[int, msgspec.Meta(gt=0, le=MOST_TURNS)]


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What ends a session; None means no limit.

    Attributes:
        minutes: from the start of its container.
        idle_minutes: without a tool call or a tool's result, of the agent or of a subagent.
        turns: answers of the model, to the agent and to its subagents.
        requests: to the model; this and what follows only the model gateway can count.
        tokens: of prompts and answers.
        cost_usd: US dollars.
        requests_per_minute: of these, more wait; this ends nothing.
        max_wait: minutes that a headless command waits for the provider between its sessions.
    """

    minutes: Minutes | None = None
    idle_minutes: Minutes | None = None
    turns: Count | None = None
    requests: Count | None = None
    tokens: Annotated[int, msgspec.Meta(gt=0)] | None = None
    cost_usd: Annotated[float, msgspec.Meta(gt=0)] | None = None
    requests_per_minute: Count | None = None
    max_wait: Minutes | None = None

    def __bool__(self) -> bool:
        """Return whether there is any limit."""
        return any(value is not None for value in self.as_dict().values())

    def over(self, other: Limits) -> Limits:
        """Return these limits, and those of `other` where there are none."""
        own = {name: value for name, value in self.as_dict().items() if value is not None}
        return msgspec.structs.replace(other, **own)

    def less(self, used: Mapping[str, float]) -> Limits:
        """Return what is left of these limits after some use; it can be zero or less."""
        left = {
            name: round(value - used[name], 6)
            for name, value in self.as_dict().items()
            if value is not None and name in used
        }
        return msgspec.structs.replace(self, **left)

    def as_dict(self) -> dict[str, float | None]:
        """Return all limits by name."""
        return msgspec.structs.asdict(self)


UNATTENDED = Limits(minutes=120.0, idle_minutes=20.0)


def limits_of(options: Mapping[str, float | None]) -> Limits:
    """Return the limits that were given as options, by their names in config.toml.

    Raises:
        ConfigError: one is not a number.
    """
    try:
        return msgspec.convert(options, Limits)
    except msgspec.ValidationError as error:
        problem, _, place = str(error).partition(" - at `$.")
        name = place.rstrip("`").replace("_", "-")
        raise ConfigError(f"--{name}: {problem[:1].lower()}{problem[1:]}", "give a number") from None


def require_known(limits: Limits, where: str) -> None:
    """Refuse the limits that nothing here can watch.

    Args:
        limits: as they were configured.
        where: what is put before a limit's name in the message; after `--`, it is an option's name.

    Raises:
        ConfigError: there is one.
    """
    for name in _NEED_GATEWAY:
        if getattr(limits, name) is not None:
            told = name.replace("_", "-") if where == "--" else name
            raise ConfigError(
                f"{where}{told}: only the model gateway can do this, and sessions do not use it",
                "set gateway = true below [code], or remove it; minutes, idle_minutes and turns need none",
            )


def shown(value: float) -> str:
    """Format a limit's value: no digit of a whole number is left out."""
    return str(value) if isinstance(value, int) else f"{value:g}"


def limits_line(limits: Limits) -> str:
    """Describe limits in a few words."""
    values = limits.as_dict()
    wait = values.pop("max_wait")
    named = [f"{name} = {shown(value)}" for name, value in values.items() if value is not None]
    ends = f"ends at {', '.join(named)}" if named else "has no limits"
    return ends if wait is None else f"{ends}; waits up to {shown(wait)} min for its provider"
