"""The provider's side: asks it, and waits where it wants one to wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, SocketTimeoutError

from .budget import LIMIT_REACHED
from .orders import Order, RefusedError
from .settings import Settings
from .usage import Usage, read_usage

_BUSY = frozenset({429, 503, 529})  # 529: Anthropic's "overloaded"
_LONGEST_PAUSE = 60.0  # seconds between two attempts, if the provider does not say
_LONGEST_WISH = 366 * 86_400.0  # seconds; a provider that wants more is asked after a year
_CONNECT_SECONDS = 30.0
_REDIRECTS = range(300, 400)
_LOOKUPS = (1.0, 4.0)  # seconds before asking what an answer cost: OpenRouter knows it a moment later


class PausedError(RefusedError):
    """The provider is busy or away for longer than one request can be held.

    Args:
        why: what it does, in words.
        until: when it is to be asked again.
    """

    def __init__(self, why: str, until: datetime) -> None:
        at = until.strftime("%Y-%m-%d %H:%M UTC")
        super().__init__(LIMIT_REACHED, f"lw_coder: paused: {why}; ask it again at {at}")
        self.why = why
        self.until = until


class Provider:
    """Asks the provider.

    Args:
        session: aiohttp's; it takes proxies from the environment.
        settings: the run's.
        key: the provider's secret.
    """

    def __init__(self, session: ClientSession, settings: Settings, key: str) -> None:
        self._session = session
        self._settings = settings
        self._key = key

    async def ask(
        self, order: Order, headers: Mapping[str, str], on_wait: Callable[[datetime | None], None]
    ) -> ClientResponse:
        """Send a request, and again as long as the provider is busy or away and there is time.

        Args:
            order: the request.
            headers: those of the agent that are passed on.
            on_wait: called with the time of the next attempt, and with None when the wait is over.

        Raises:
            PausedError: the provider is busy or away for longer.
            RefusedError: it redirects, or says nothing for `silence_seconds`.
        """
        ends, pause = time.monotonic() + self._settings.hold_seconds, self._settings.first_pause
        while True:
            answer = await self._attempt(order, headers)
            if answer is not None and answer.status not in _BUSY:
                return _undirected(answer)
            wanted = pause if answer is None else _retry_after(answer.headers, pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
            if answer is not None:
                answer.close()
            why = "cannot be reached" if answer is None else f"answers {answer.status}"
            await self._wait(min(wanted, _LONGEST_WISH), ends, on_wait, f"the provider {why}")

    async def _attempt(self, order: Order, headers: Mapping[str, str]) -> ClientResponse | None:
        try:
            return await self._session.post(
                self._settings.routes[order.path],
                data=order.body,
                headers={**headers, **self._authorization(), "Content-Type": "application/json"},
                allow_redirects=False,
                timeout=ClientTimeout(
                    total=None, sock_connect=_CONNECT_SECONDS, sock_read=self._settings.silence_seconds
                ),
            )
        except SocketTimeoutError:  # the request may be under way; the agent asks again
            raise RefusedError(504, "lw_coder's gateway: the model's provider does not answer") from None
        except (ClientError, TimeoutError, OSError):
            return None

    async def _wait(
        self, seconds: float, ends: float, on_wait: Callable[[datetime | None], None], why: str
    ) -> None:
        until = datetime.now(UTC) + timedelta(seconds=seconds)
        if time.monotonic() + seconds > ends:
            raise PausedError(why, until)
        on_wait(until)
        try:
            await asyncio.sleep(seconds)
        finally:
            on_wait(None)

    async def usage_of(self, answer_id: str) -> Usage | None:
        """Ask what an answer used, as OpenRouter tells it afterwards; None if that cannot be learned."""
        url = self._settings.generation_url
        for pause in _LOOKUPS if url and answer_id else ():
            await asyncio.sleep(pause)
            if found := await self._look_up(str(url), answer_id):
                return found
        return None

    async def _look_up(self, url: str, answer_id: str) -> Usage | None:
        try:
            async with self._session.get(
                url, params={"id": answer_id}, headers=self._authorization(), allow_redirects=False
            ) as answer:
                found = await answer.json()
        except (ClientError, TimeoutError, OSError, ValueError):
            return None
        data = found.get("data") if isinstance(found, dict) else None
        return _read_generation(data) if isinstance(data, dict) else None

    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._key}"}


def _read_generation(data: Mapping[str, Any]) -> Usage | None:
    # https://openrouter.ai/docs/api-reference/get-a-generation
    return read_usage(
        {
            "prompt_tokens": data.get("native_tokens_prompt") or data.get("tokens_prompt"),
            "completion_tokens": data.get("native_tokens_completion") or data.get("tokens_completion"),
            "prompt_tokens_details": {"cached_tokens": data.get("native_tokens_cached")},
            "cost": data.get("total_cost"),
        }
    )


def _undirected(answer: ClientResponse) -> ClientResponse:
    if answer.status in _REDIRECTS:
        answer.close()
        raise RefusedError(502, "lw_coder's gateway: the model's provider redirects to another address")
    return answer


def _retry_after(headers: Mapping[str, str], otherwise: float) -> float:
    """Read the header in either of its forms, seconds or a date (RFC 9110, 10.2.3)."""
    text = headers.get("Retry-After", "")
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return otherwise
