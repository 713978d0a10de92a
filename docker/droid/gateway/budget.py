"""What a run may spend, what it has spent, and what is set aside for requests that are under way."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from dataclasses import dataclass

from .orders import Order, RefusedError
from .settings import Limits, Price, Settings
from .usage import Usage

LIMIT_REACHED = 402  # with which droid stops; it repeats after a 429


@dataclass(frozen=True)
class Spent:
    """A sum of requests.

    Attributes:
        requests: those that were sent to the provider.
        cost_usd: of those whose cost is known.
        unpriced: those whose cost is not.
    """

    requests: int = 0
    tokens: int = 0
    cost_usd: float = 0.0
    unpriced: int = 0

    def plus(self, tokens: int, cost: float | None) -> Spent:
        """Return the sum with one more request."""
        more = Spent(1, tokens, cost or 0.0, int(cost is None))
        return Spent(
            self.requests + more.requests,
            self.tokens + more.tokens,
            self.cost_usd + more.cost_usd,
            self.unpriced + more.unpriced,
        )


@dataclass(frozen=True)
class Reserve:
    """What is set aside for one request: the most that it can use; a cost of None is not known."""

    tokens: int
    cost_usd: float | None


def price_of(usage: Usage, price: Price | None) -> float | None:
    """Return what an answer cost in US dollars: as reported, else by its price; None if neither is known."""
    if usage.cost_usd is not None or price is None:
        return usage.cost_usd
    cached = price.input if price.cached is None else price.cached
    fresh = max(0, usage.input - usage.cached)
    return (fresh * price.input + usage.cached * cached + usage.output * price.output) / 1e6


class Budget:
    """Admits requests as long as no limit is reached."""

    def __init__(self, settings: Settings, spent: Spent | None = None) -> None:
        self.spent = spent or Spent()
        self.over = asyncio.Event()  # once it is set, no request is admitted any more
        self._settings = settings
        self._open: dict[int, Reserve] = {}
        self._dearest = 0.0
        self._started: deque[float] = deque()
        self._changed = asyncio.Condition()
        self._note_if_over()

    @property
    def limits(self) -> Limits:
        """The run's limits."""
        return self._settings.limits

    @property
    def open(self) -> list[Reserve]:
        """What is set aside now."""
        return list(self._open.values())

    async def admit(self, number: int, order: Order) -> Reserve:
        """Wait until there is room for a request, and set aside the most that it can use.

        Returns:
            What is set aside, until `settle`.

        Raises:
            RefusedError: a limit is reached.
        """
        reserve = self._reserve_for(order)
        async with self._changed:
            await self._changed.wait_for(lambda: self.over.is_set() or self._has_room())
            if reason := self.reached():
                raise RefusedError(LIMIT_REACHED, reason)
            self._open[number] = reserve
        try:
            await self._keep_pace()
        except asyncio.CancelledError:  # the agent has gone away
            del self._open[number]
            raise
        return reserve

    async def settle(self, number: int, tokens: int, cost: float | None) -> None:
        """Count what a request has used, instead of what was set aside."""
        async with self._changed:
            self._open.pop(number, None)
            self.spent = self.spent.plus(tokens, cost)
            self._dearest = max(self._dearest, cost or 0.0)
            self._note_if_over()
            self._changed.notify_all()

    def reached(self) -> str | None:
        """Return the limit that is reached, in words; None if there is none."""
        limits, spent = self.limits, self.spent
        if limits.cost_usd is not None and spent.unpriced:
            return "limits.cost_usd cannot be kept: the provider reports no cost, and [code] prices has none"
        for name, limit, value in (
            ("requests", limits.requests, spent.requests),
            ("tokens", limits.tokens, spent.tokens),
            ("cost_usd", limits.cost_usd, spent.cost_usd),
        ):
            if limit is not None and value >= limit:
                return f"lw_coder: limit reached: limits.{name} = {limit}"
        return None

    def _note_if_over(self) -> None:
        if self.reached():
            self.over.set()

    def _has_room(self) -> bool:
        """Return whether no limit is reached even if all requests under way use what was set aside."""
        limits, spent = self.limits, self.spent
        tokens = spent.tokens + sum(each.tokens for each in self.open)
        cost = spent.cost_usd + sum(
            math.inf if each.cost_usd is None else each.cost_usd for each in self.open
        )
        return (
            (limits.requests is None or spent.requests + len(self._open) < limits.requests)
            and (limits.tokens is None or tokens < limits.tokens)
            and (limits.cost_usd is None or cost < limits.cost_usd)
        )

    def _reserve_for(self, order: Order) -> Reserve:
        price = self._settings.prices.get(order.model)
        if price is None:
            # The dearest one so far; the first one, of which nothing is known, goes alone.
            return Reserve(order.most_tokens, self._dearest or None)
        most = Usage(input=order.input_estimate, output=order.max_tokens)
        return Reserve(order.most_tokens, price_of(most, price))

    async def _keep_pace(self) -> None:
        most, minute = self.limits.requests_per_minute, self._settings.minute
        while most is not None:
            now = time.monotonic()
            while self._started and self._started[0] <= now - minute:
                self._started.popleft()
            if len(self._started) < most:
                self._started.append(now)
                return
            await asyncio.sleep(self._started[0] + minute - now)
