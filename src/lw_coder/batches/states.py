"""What is known of a batch and of each of its plans: values that the table, the page and `--json` show."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Self

from msgspec import Struct, field
from msgspec.structs import replace

from lw_coder.plans.named_files import Overlap
from lw_coder.repository.tree_merges import Pair

SCHEMA = 1


class State(StrEnum):
    """What has become of a plan in a batch."""

    WAITING = "waiting"  # it can start later
    RUNNING = "running"
    PASSED = "passed"  # its verdict is that the result passed
    KEPT = "kept"  # as `passed`, in an earlier run: nothing has changed since, and it was not run again
    UNVERIFIED = "unverified"  # the session ended well, and there is no verdict
    FAILED = "failed"  # the session failed, or its verdict is that the result did not pass
    LIMIT = "limit"  # a limit of its own or of the batch ended the session
    PAUSED = "paused"  # its provider is to be asked again later
    BLOCKED = "blocked"  # it was not started: what it depends on has not passed, or conflicts
    CANCELLED = "cancelled"  # it was ended, or not started, because the batch was ended

    @property
    def has_passed(self) -> bool:
        """Whether there is a verdict that the plan's result passed."""
        return self in {State.PASSED, State.KEPT}

    @property
    def is_final(self) -> bool:
        """Whether this batch does nothing more with the plan."""
        return self not in {State.WAITING, State.RUNNING}


class PlanState(Struct, frozen=True, kw_only=True):
    """A plan of a batch.

    Attributes:
        plan_id: the plan.
        file: the path of its file, as messages name it.
        depends_on: the plans that it starts from.
        state: what has become of it.
        reason: why, in one line; None if there is nothing to say.
        base: id of the commit that its checks compare with; None until that is known.
        starts_from: the tip of each plan that it depends on, by the plan's id.
        run: its run, as `<plan_id>/<time>`; of a plan that is kept, the earlier one.
        tip: id of the last commit of its branch after the run.
        commits: how many commits the run has added.
        exit_code: that of its `lw_coder code`.
        cost_usd: what its session has cost so far, in US dollars; None if that is not known.
        started_at: in UTC.
        ended_at: likewise.
        last_event: what it did last, in one line; empty if nothing is known.
    """

    plan_id: str
    file: str
    depends_on: tuple[str, ...] = ()
    state: State = State.WAITING
    reason: str | None = None
    base: str | None = None
    starts_from: Mapping[str, str] = field(default_factory=dict)
    run: str | None = None
    tip: str | None = None
    commits: int | None = None
    exit_code: int | None = None
    cost_usd: float | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    last_event: str = ""

    def minutes(self, now: datetime) -> float | None:
        """Return how long it has been running, or ran; None if it was not started."""
        if self.started_at is None:
            return None
        return max(((self.ended_at or now) - self.started_at).total_seconds(), 0.0) / 60


class Batch(Struct, frozen=True, kw_only=True):
    """A batch, as its state file and `--json` have it.

    Attributes:
        batch: its UTC timestamp, which also names its folder; None before it is carried out.
        started_at: in UTC.
        jobs: how many plans run at a time.
        plans: in the order in which they can start.
        fail_fast: whether no plan is started once one has not passed.
        max_cost_usd: the most that all sessions together may cost; None for no limit.
        max_minutes: the most that it may take; None for no limit.
        ended_at: in UTC; None if it has not ended, or was killed.
        exit_code: that of `lw_coder batch`; None likewise.
        overlaps: which plans name the same files, apart from those that see each other's changes.
        pairs: which branches of ended plans merge with which; empty until the batch has ended.
        schema: the version of this document.
    """

    started_at: datetime
    jobs: int
    plans: tuple[PlanState, ...]
    batch: str | None = None
    fail_fast: bool = False
    max_cost_usd: float | None = None
    max_minutes: float | None = None
    ended_at: datetime | None = None
    exit_code: int | None = None
    overlaps: tuple[Overlap, ...] = ()
    pairs: tuple[Pair, ...] = ()
    schema: int = SCHEMA

    def plan(self, plan_id: str) -> PlanState:
        """Return one of its plans."""
        return next(plan for plan in self.plans if plan.plan_id == plan_id)

    def with_plan(self, changed: PlanState) -> Self:
        """Return the batch with one of its plans changed."""
        plans = (changed if plan.plan_id == changed.plan_id else plan for plan in self.plans)
        return replace(self, plans=tuple(plans))

    def in_state(self, *states: State) -> tuple[PlanState, ...]:
        """Return the plans that are in one of these states."""
        return tuple(plan for plan in self.plans if plan.state in states)

    @property
    def cost_usd(self) -> float:
        """What its sessions have cost, as far as that is known; of plans that are kept, nothing."""
        return sum(plan.cost_usd or 0.0 for plan in self.plans if plan.state is not State.KEPT)

    def minutes(self, now: datetime | None = None) -> float:
        """Return how long it took, or has taken so far."""
        return max(((self.ended_at or now or datetime.now(UTC)) - self.started_at).total_seconds(), 0.0) / 60

    def as_json(self) -> dict[str, Any]:
        """Return the document, as the schema of `lw_coder batch --json` describes it."""
        import msgspec

        document: dict[str, Any] = msgspec.to_builtins(self)
        return document
