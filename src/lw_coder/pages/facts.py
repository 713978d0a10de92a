"""What run.json says of a run, in words: how it ended, the verdict, the limits, what it took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from lw_coder.pages.fields import Fields
from lw_coder.settings.limits import shown

_A_DIME = 0.1  # US dollars; less is shown with more digits
GOOD, BAD, OPEN = "good", "bad", "open"
_MEANINGS = {"passes": GOOD, "fixed": GOOD}


class Judgement(Struct, frozen=True):
    """A short text, and whether it is good news.

    Attributes:
        text: in a few words.
        tone: `good`, `bad` or `open`.
    """

    text: str
    tone: str


class Limit(Struct, frozen=True):
    """A limit that held for a session, by its name in `[code] limits`; whether it ended the session."""

    name: str
    value: str
    is_reached: bool


class Facts:
    """What a run's record says.

    Args:
        record: run.json, of which nothing is certain.
    """

    def __init__(self, record: Mapping[str, Any]) -> None:
        self.record = Fields(record)
        self.ended = self.record.inner("ended")
        self.agent = self.ended.inner("agent")
        self.verdict = self.record.inner("verdict")

    @property
    def base(self) -> str:
        """The id of the commit that the session started from; empty if it is unknown."""
        return self.record.inner("plan").text("git_sha") or self.record.text("git_sha")

    @property
    def tip(self) -> str:
        """The id of the last commit that was imported; empty if there is none."""
        return self.ended.text("tip")

    @property
    def outcome(self) -> Judgement:
        """How the session ended."""
        if not self.ended:
            return Judgement("not ended", OPEN)
        reached, until = self.ended.inner("limit"), self.ended.inner("spent").time("paused_until")
        texts = {
            "completed": Judgement("completed", GOOD),
            "failed": Judgement(f"failed with status {_count(self.ended.number('status'))}", BAD),
            "setup": Judgement("a setup command failed", BAD),
            "limit": Judgement(f"ended by the limit {reached.text('name')}", BAD),
            "paused": Judgement(f"paused until {until:%Y-%m-%d %H:%M} UTC" if until else "paused", OPEN),
            "signal": Judgement("ended by a signal", BAD),
        }
        return texts.get(self.ended.text("outcome"), Judgement("its end is not known", OPEN))

    @property
    def problems(self) -> list[str]:
        """What went wrong, as droid reported it, and as the import of the commits did."""
        # droid's is the last line that it wrote as an error; of a session that went well it says nothing.
        of_agent = "" if self.outcome.tone == GOOD else self.agent.text("problem")
        return [text for text in (of_agent, self.ended.text("problem")) if text]

    @property
    def judged(self) -> Judgement:
        """The verdict in a word or two."""
        if not self.verdict:
            return Judgement("no checks", OPEN)
        return Judgement("passed", GOOD) if self.verdict.flag("passed") else Judgement("not passed", BAD)

    @property
    def limits(self) -> list[Limit]:
        """The limits that held for the session."""
        limits, reached = self.record.inner("limits"), self.ended.inner("limit").text("name")
        values = ((name, limits.number(name)) for name in limits.raw)
        return [Limit(name, shown(value), name == reached) for name, value in values if value is not None]

    @property
    def took(self) -> str:
        """How long the session was, such as `1 h 02 min`; empty if it is unknown."""
        return duration(self.ended.time("started_at"), self.ended.time("ended_at"))

    @property
    def cost(self) -> str:
        """What the session has cost, such as `$0.12`; empty if nothing counted it."""
        return dollars(self.ended.inner("spent").inner("total").number("cost_usd"))

    @property
    def refused(self) -> list[tuple[str, str]]:
        """The hosts that the session was not allowed to reach, and how often it tried."""
        refused = self.ended.inner("refused")
        return [(host, _count(refused.number(host))) for host in refused.raw]

    @property
    def usage(self) -> Iterator[tuple[str, str]]:
        """Yield what was counted of the model's work, each with its name."""
        spent = self.ended.inner("spent").inner("total")
        counted = {**self.agent.inner("usage").raw, **spent.raw, "turns": self.agent.raw.get("turns")}
        for name in counted:
            count = Fields(counted).number(name)
            if count is not None and name != "cost_usd":
                yield name.replace("_", " "), f"{count:,.0f}"


def tone_of(meaning: str) -> str:
    """Return the tone of a check's result."""
    return _MEANINGS.get(meaning, BAD)


def dollars(cost: float | None) -> str:
    """Return an amount of US dollars, such as `$0.12`; empty if it is unknown."""
    return "" if cost is None else f"${cost:,.2f}" if cost >= _A_DIME else f"${cost:.4f}"


def duration(start: datetime | None, end: datetime | None) -> str:
    """Return the time between two, such as `52 s`, `3 min 20 s` or `1 h 02 min`; empty if one is unknown."""
    if start is None or end is None:
        return ""
    seconds = max(end - start, timedelta()).total_seconds()
    minutes, hours = int(seconds // 60), int(seconds // 3600)
    if hours:
        return f"{hours} h {minutes % 60:02} min"
    return f"{minutes} min {int(seconds % 60):02} s" if minutes else f"{seconds:.0f} s"


def _count(number: float | None) -> str:
    return "?" if number is None else f"{number:.0f}"
