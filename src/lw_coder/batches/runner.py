"""What carries out one plan of a batch: a child process here, or something else elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from msgspec import Struct

from lw_coder.plans.plan_file import PlanFile
from lw_coder.settings.limits import Limits


class RunEnd(Struct, frozen=True):
    """How a run has ended.

    Attributes:
        exit_code: that of `lw_coder code`; None if it was killed, or is not known.
        document: what `lw_coder code --headless --json` printed; empty if nothing is known.
    """

    exit_code: int | None
    document: Mapping[str, Any]


class Progress(Struct, frozen=True):
    """What is known of a run that has not ended.

    Attributes:
        run: its name, `<plan_id>/<time>`; None before it has one.
        cost_usd: what it has cost so far; None if that is not known.
        last_event: what it did last, in one line; may be empty.
    """

    run: str | None = None
    cost_usd: float | None = None
    last_event: str = ""


class PlanRun(Protocol):
    """A plan that is being carried out."""

    def end(self) -> RunEnd | None:
        """Return how it has ended, or None at once if it has not."""

    def progress(self) -> Progress:
        """Return what is known of it."""

    def stop(self) -> None:
        """Let it end soon; it imports its commits first, and does not end before this returns."""


class Runner(Protocol):
    """Starts runs; one plan is never run twice at once."""

    def start(self, plan: PlanFile, limits: Limits) -> PlanRun:
        """Carry out a plan.

        Args:
            plan: the plan.
            limits: replace those that are configured, where there are any.

        Raises:
            LwCoderError: it could not be started.
        """

    def find(self, plan_id: str) -> PlanRun | None:
        """Return the run of the plan that a batch which was killed has left running, or None."""
