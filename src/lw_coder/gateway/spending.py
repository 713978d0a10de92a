"""What a session's gateway has counted, read from the files that it writes into the run's folder."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, field
from msgspec.structs import asdict

from lw_coder.foundation.counting import counted
from lw_coder.gateway.settings import FOLDER
from lw_coder.gateway.state import GatewayState, json_object, state_of, state_values

_REQUESTS = "requests.jsonl"
_TOKENS = ("input_tokens", "output_tokens", "cached_tokens")
_MOST = 10**15  # tokens, seconds or dollars; more is no number of a request


class Spent(Struct, frozen=True):
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


class Spending(Struct, frozen=True):
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

    A request whose entry is damaged counts as one of which nothing is known.

    Args:
        run: the run's folder.
    """
    folder = run / FOLDER
    if not folder.is_dir():
        return None
    total, models, conversations = Spent(), dict[str, Spent](), dict[str, Spent]()
    for entry in _entries(folder, state_values(run)):
        spent = _spent(entry) or Spent(1, cost_usd=None)
        total = total.plus(spent)
        for sums, name in ((models, entry.get("model")), (conversations, entry.get("conversation"))):
            sums[str(name)] = sums.get(str(name), Spent()).plus(spent)
    return Spending(total, models, conversations, state_of(state_values(run)))


def is_countable(run: Path) -> bool:
    """Return whether no entry of a run's gateway is damaged; also if the run has none."""
    return all(_spent(entry) for entry in _entries(run / FOLDER, state_values(run)))


def _entries(folder: Path, state: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield an entry for each request, also for those that were under way."""
    ended = set()
    for entry in _lines(folder / _REQUESTS):
        ended.add(str(entry.get("number")))
        yield entry
    yield from _open(state, ended)


def _lines(file: Path) -> Iterator[Mapping[str, Any]]:
    if file.is_file():
        with file.open(encoding="utf-8", errors="replace") as lines:
            yield from (entry for line in lines if (entry := json_object(line)))


def _open(state: Mapping[str, Any], ended: Container[str]) -> Iterator[Mapping[str, Any]]:
    """Yield the requests that were under way, with the most that they can have used."""
    left = state.get("open")
    for each in left if isinstance(left, list) else ():
        told = each if isinstance(each, dict) else {}
        entry = told.get("entry")
        known = entry if isinstance(entry, dict) else {}
        most = {"output_tokens": told.get("tokens"), "cost_usd": told.get("cost_usd"), "is_estimated": True}
        if str(known.get("number")) not in ended:  # the state is written after the request
            yield {**known, **most}


def _spent(entry: Mapping[str, Any]) -> Spent | None:
    """Return what a request has used; None if its entry is damaged."""
    counts = [entry.get(name) or 0 for name in _TOKENS]
    cost, waited = entry.get("cost_usd"), entry.get("waited_seconds") or 0.0
    if not all(type(count) is int and 0 <= count <= _MOST for count in counts):
        return None
    if not (_is_amount(waited) and (cost is None or _is_amount(cost))):
        return None
    tokens = dict(zip(_TOKENS, counts, strict=True))
    estimated = int(bool(entry.get("is_estimated")))
    return Spent(1, **tokens, cost_usd=cost, estimated=estimated, waited_seconds=waited)


def _is_amount(value: object) -> bool:
    return type(value) in {int, float} and 0 <= value <= _MOST  # type: ignore[operator]
