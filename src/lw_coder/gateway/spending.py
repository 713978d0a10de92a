"""What a session's gateway has counted, read from the files that it writes into the run's folder."""

from __future__ import annotations

import json
from collections.abc import Container, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lw_coder.gateway.settings import FOLDER

_REQUESTS = "requests.jsonl"
_STATE = "state.json"
_NOT_KEPT = "cannot be kept"


@dataclass(frozen=True)
class Spent:
    """A sum of requests.

    Attributes:
        requests: their number.
        input_tokens: of the prompts, the cached ones included.
        output_tokens: of the answers.
        cached_tokens: of the prompts, those that the provider had already.
        cost_usd: in US dollars, as the provider reported it or by `[code] prices`; None if it is not known of
            each request.
        estimated: requests of which the provider reported nothing; they are counted with the most that they
            can have used.
    """

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost_usd: float | None = 0.0
    estimated: int = 0

    def plus(self, other: Spent) -> Spent:
        """Return the sum of both."""
        is_known = self.cost_usd is not None and other.cost_usd is not None
        return Spent(
            self.requests + other.requests,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
            (self.cost_usd or 0) + (other.cost_usd or 0) if is_known else None,
            self.estimated + other.estimated,
        )

    def line(self) -> str:
        """Describe it in one line."""
        cost = "cost unknown" if self.cost_usd is None else f"{self.cost_usd:.4f} USD"
        tokens = f"{self.input_tokens} tokens in ({self.cached_tokens} cached), {self.output_tokens} out"
        estimated = f"; {self.estimated} estimated" if self.estimated else ""
        return f"{self.requests} requests, {tokens}, {cost}{estimated}"


@dataclass(frozen=True)
class Spending:
    """What a session has spent.

    Attributes:
        total: all of it.
        models: by model.
        conversations: by conversation, in the order of their first requests: the agent's, and each
            subagent's.
        limit: the limit that the gateway has reached, as it says it, or None.
        paused: when the provider wants to be asked again (UTC), if it was not to be waited for; or None.
        waiting_until: when the gateway will ask the provider again (UTC), while it waits; or None.
    """

    total: Spent = field(default_factory=Spent)
    models: Mapping[str, Spent] = field(default_factory=dict)
    conversations: Mapping[str, Spent] = field(default_factory=dict)
    limit: str | None = None
    paused: str | None = None
    waiting_until: str | None = None

    @property
    def cannot_be_kept(self) -> str:
        """Why a limit could not be kept, as the gateway says it; empty if that is not so."""
        return self.limit if self.limit and _NOT_KEPT in self.limit else ""

    def as_record(self) -> dict[str, Any]:
        """Return what run.json has of it."""
        return {
            "total": asdict(self.total),
            "models": {name: asdict(spent) for name, spent in self.models.items()},
            "conversations": [asdict(spent) for spent in self.conversations.values()],
            "paused_until": self.paused,
        }


def read_spending(run: Path) -> Spending | None:
    """Read what a run's gateway has counted; None if the run has none.

    Args:
        run: the run's folder.
    """
    folder = run / FOLDER
    if not folder.is_dir():
        return None
    total, models, conversations = Spent(), dict[str, Spent](), dict[str, Spent]()
    state = _json((folder / _STATE).read_text(encoding="utf-8") if (folder / _STATE).is_file() else "")
    ended = list(_lines(folder / _REQUESTS))
    for entry in (*ended, *_open(state, {entry.get("number") for entry in ended})):
        spent = _spent(entry)
        total = total.plus(spent)
        for sums, name in ((models, entry.get("model")), (conversations, entry.get("conversation"))):
            sums[str(name)] = sums.get(str(name), Spent()).plus(spent)
    told = {name: state.get(name) for name in ("limit", "paused", "waiting_until")}
    return Spending(total, models, conversations, **told)


def _lines(file: Path) -> Iterator[Mapping[str, Any]]:
    if file.is_file():
        with file.open(encoding="utf-8", errors="replace") as lines:
            yield from (entry for line in lines if (entry := _json(line)))


def _open(state: Mapping[str, Any], ended: Container[object]) -> Iterator[Mapping[str, Any]]:
    """Yield the requests that were under way, with the most that they can have used."""
    for each in state.get("open") or ():
        entry = each.get("entry", {})
        most = {"output_tokens": each.get("tokens"), "cost_usd": each.get("cost_usd"), "is_estimated": True}
        if entry.get("number") not in ended:  # the state is written after the request
            yield {**entry, **most}


def _json(text: str) -> Mapping[str, Any]:
    """Parse an object; empty if it is none, such as a line that was cut off with its container."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _spent(entry: Mapping[str, Any]) -> Spent:
    return Spent(
        1,
        entry.get("input_tokens") or 0,
        entry.get("output_tokens") or 0,
        entry.get("cached_tokens") or 0,
        entry.get("cost_usd"),
        int(bool(entry.get("is_estimated"))),
    )
