"""What a session's gateway has counted, read from the files that it writes into the run's folder."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lw_coder.foundation.counting import counted
from lw_coder.gateway.settings import FOLDER
from lw_coder.gateway.state import GatewayState, json_object, state_of, state_values

_REQUESTS = "requests.jsonl"


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
        waited_seconds: how long the provider wanted requests to wait, added up.
    """

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost_usd: float | None = 0.0
    estimated: int = 0
    waited_seconds: float = 0.0

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
            round(self.waited_seconds + other.waited_seconds, 3),
        )

    def line(self) -> str:
        """Describe it in one line."""
        cost = "cost unknown" if self.cost_usd is None else f"{self.cost_usd:.4f} USD"
        tokens = f"{self.input_tokens} tokens in ({self.cached_tokens} cached), {self.output_tokens} out"
        estimated = f"; {self.estimated} estimated" if self.estimated else ""
        waited = f"; waited {self.waited_seconds:.0f} s for the provider" if self.waited_seconds else ""
        return f"{counted(self.requests, 'request')}, {tokens}, {cost}{estimated}{waited}"


@dataclass(frozen=True)
class Spending:
    """What a session has spent.

    Attributes:
        total: all of it.
        models: by model.
        conversations: by conversation, in the order of their first requests: the agent's, and each
            subagent's.
        state: what the gateway was doing at last.
    """

    total: Spent = field(default_factory=Spent)
    models: Mapping[str, Spent] = field(default_factory=dict)
    conversations: Mapping[str, Spent] = field(default_factory=dict)
    state: GatewayState = field(default_factory=GatewayState)

    def as_record(self) -> dict[str, Any]:
        """Return what run.json has of it."""
        pause = self.state.pause
        return {
            "total": asdict(self.total),
            "models": {name: asdict(spent) for name, spent in self.models.items()},
            "conversations": [asdict(spent) for spent in self.conversations.values()],
            "paused_until": pause.until.isoformat(timespec="seconds") if pause else None,
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
    told = state_values(run)
    ended = list(_lines(folder / _REQUESTS))
    for entry in (*ended, *_open(told, {entry.get("number") for entry in ended})):
        spent = _spent(entry)
        total = total.plus(spent)
        for sums, name in ((models, entry.get("model")), (conversations, entry.get("conversation"))):
            sums[str(name)] = sums.get(str(name), Spent()).plus(spent)
    return Spending(total, models, conversations, state_of(told))


def _lines(file: Path) -> Iterator[Mapping[str, Any]]:
    if file.is_file():
        with file.open(encoding="utf-8", errors="replace") as lines:
            yield from (entry for line in lines if (entry := json_object(line)))


def _open(state: Mapping[str, Any], ended: Container[object]) -> Iterator[Mapping[str, Any]]:
    """Yield the requests that were under way, with the most that they can have used."""
    for each in state.get("open") or ():
        entry = each.get("entry", {})
        most = {"output_tokens": each.get("tokens"), "cost_usd": each.get("cost_usd"), "is_estimated": True}
        if entry.get("number") not in ended:  # the state is written after the request
            yield {**entry, **most}


def _spent(entry: Mapping[str, Any]) -> Spent:
    return Spent(
        1,
        entry.get("input_tokens") or 0,
        entry.get("output_tokens") or 0,
        entry.get("cached_tokens") or 0,
        entry.get("cost_usd"),
        int(bool(entry.get("is_estimated"))),
        entry.get("waited_seconds") or 0.0,
    )
