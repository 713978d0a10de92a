"""The gateway's evidence: one JSON line for each request, and a small file that tells the present state.

Both are in a folder that lw_coder mounts from the run, and that the agent does not see. No header and no
secret is written.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .budget import Reserve, Spent

REQUESTS_FILE = "requests.jsonl"
BODIES_FILE = "bodies.jsonl"
STATE_FILE = "state.json"
_MOST_BODIES = 1 << 28  # bytes


@dataclass(frozen=True)
class Entry:
    """A request that the provider was asked.

    Attributes:
        number: counted from 1, in the order of their arrival.
        at: when it arrived, in UTC (ISO 8601).
        conversation: the same for the requests of the agent, or of one subagent.
        status: of the provider's answer; 0 if there was none.
        cost_usd: None if it is not known.
        is_estimated: whether the provider reported nothing; then these are the most that it can have used.
        seconds: from its arrival to the end of the answer.
        waited_seconds: of these, how long the provider wanted it to wait.
        finish_reason: such as `stop`, `length`, or empty.
        ended: `whole`, `cut` (a limit, or the provider went away), `left` (the agent went away) or `killed`.
    """

    number: int
    at: str
    model: str
    conversation: str
    status: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost_usd: float | None = None
    is_estimated: bool = False
    seconds: float = 0.0
    waited_seconds: float = 0.0
    finish_reason: str = ""
    ended: str = "whole"

    @property
    def tokens(self) -> int:
        """Prompt and answer together."""
        return self.input_tokens + self.output_tokens


def now() -> str:
    """Return the time as the ledger writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass
class State:
    """What the gateway is doing.

    Attributes:
        limit: the limit that ended the run's requests, in words, or None.
        waits: when the provider will be asked again (UTC), by the number of the request that waits.
        paused: when to ask it again (UTC) after a request was given up, and why, or None.
        refused: how many requests were not passed on, by the status of the answer.
        open: what is set aside, by the request's number.
    """

    limit: str | None = None
    waits: dict[int, str] = field(default_factory=dict)
    paused: dict[str, str] | None = None
    refused: Counter[int] = field(default_factory=Counter)
    open: dict[int, tuple[Entry, Reserve]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the state for its file."""
        return {
            "limit": self.limit,
            "waiting_until": max(self.waits.values(), default=None),
            "paused": self.paused,
            "refused": self.refused,
            "open": [{"entry": asdict(entry), **asdict(kept)} for entry, kept in self.open.values()],
        }


class Ledger:
    """Writes both files.

    Args:
        folder: where they are; what an earlier container of the run wrote is read, and continued.

    Attributes:
        last_number: the highest number of a request so far.
        spent: the sum of all requests so far.
    """

    def __init__(self, folder: Path) -> None:
        self.state = State()
        self.last_number = 0
        self.spent = Spent()
        self._folder = folder
        ended = _read_entries(folder / REQUESTS_FILE)
        for entry in ended:
            self._add(entry)
        for entry in _left_open(folder / STATE_FILE, {entry.number for entry in ended}):
            self.write(entry)
        self.save()

    def write(self, entry: Entry) -> None:
        """Append a request that has ended."""
        self.state.open.pop(entry.number, None)
        self._append(REQUESTS_FILE, asdict(entry))
        self._add(entry)

    def write_bodies(self, number: int, request: str, answer: str) -> None:
        """Append what was asked and answered, as long as that file is not too large."""
        file = self._folder / BODIES_FILE
        if not file.exists() or file.stat().st_size < _MOST_BODIES:
            self._append(BODIES_FILE, {"number": number, "request": request, "answer": answer})

    def save(self) -> None:
        """Write the present state, whole or not at all."""
        new = self._folder / f"{STATE_FILE}.new"
        new.write_text(json.dumps(self.state.as_json()), encoding="utf-8")
        new.replace(self._folder / STATE_FILE)

    def _add(self, entry: Entry) -> None:
        self.last_number = max(self.last_number, entry.number)
        self.spent = self.spent.plus(entry.tokens, entry.cost_usd)

    def _append(self, name: str, values: Mapping[str, Any]) -> None:
        with (self._folder / name).open("a", encoding="utf-8") as file:
            file.write(json.dumps(values) + "\n")


def _read_entries(file: Path) -> list[Entry]:
    if not file.exists():
        return []
    return [
        Entry(**json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines() if _is_whole(line)
    ]


def _is_whole(line: str) -> bool:
    return line.startswith("{") and line.endswith("}")


def _left_open(file: Path, ended: set[int]) -> list[Entry]:
    """Return the requests that were under way when an earlier container was killed."""
    if not file.exists():
        return []
    left = json.loads(file.read_text(encoding="utf-8"))["open"]
    # One that has ended can still be named here: the file is written afterwards.
    left = [each for each in left if each["entry"]["number"] not in ended]
    return [_killed(Entry(**each["entry"]), each["tokens"], each["cost_usd"]) for each in left]


def _killed(entry: Entry, tokens: int, cost: float | None) -> Entry:
    values = asdict(entry)
    return Entry(
        **{**values, "output_tokens": tokens, "cost_usd": cost, "is_estimated": True, "ended": "killed"}
    )
