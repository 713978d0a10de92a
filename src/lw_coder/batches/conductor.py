"""Carries out a batch: starts what can start, waits for what runs, and ends as it was asked to."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import IntEnum
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from lw_coder.batches.ends import ended, exit_code
from lw_coder.batches.order import blocked, ready
from lw_coder.batches.runner import PlanRun, RunEnd, Runner
from lw_coder.batches.starting_points import StartingPoint, starting_point
from lw_coder.batches.state_file import BatchFolder
from lw_coder.batches.states import Batch, PlanState, State
from lw_coder.batches.unchanged import passed_run
from lw_coder.foundation.clock import not_before
from lw_coder.foundation.errors import LwCoderError, RunError
from lw_coder.plans.plan_file import PlanFile
from lw_coder.repository.git import Repository, ref_value
from lw_coder.repository.worktrees import BRANCH_PREFIX, require_usable
from lw_coder.settings.limits import UNATTENDED, Limits

TICK = 0.25  # seconds between two looks at what runs
_TICKS_OF_PROGRESS = 4  # between two looks at logs and costs
_LEAST_MINUTES = 0.01  # of a run that is started just before the batch's time is over


class View(Protocol):
    """Shows a batch while it runs."""

    def show(self, batch: Batch) -> None:
        """Show its state, which may be the same as before."""

    def tell(self, line: str) -> None:
        """Show a line besides."""


class Work(Struct, frozen=True):
    """What a batch works on.

    Attributes:
        repository: the person's.
        plans: by their ids.
        checks: those of config.toml.
        limits: of each session, as configured.
    """

    repository: Repository
    plans: Mapping[str, PlanFile]
    checks: tuple[str, ...]
    limits: Limits


class _Ending(IntEnum):
    """How a batch ends before all of its plans were carried out; a higher one replaces a lower one."""

    NONE = 0
    WAIT = 1  # start nothing, and let what runs end
    STOP = 2  # end what runs


def examined(work: Work, plan: PlanState) -> tuple[PlanState, StartingPoint | None]:
    """Find what a plan starts from, and whether that is necessary; it is not started.

    Returns:
        The plan, which is kept or blocked if it does not start; and where it starts.
    """
    try:
        start = starting_point(work.repository, work.plans[plan.plan_id])
        plan = replace(plan, base=start.commit, starts_from=dict(start.tips))
        run = passed_run(work.repository, start, work.checks)
        if run is not None:
            tip = ref_value(work.repository, f"refs/heads/{BRANCH_PREFIX}{plan.plan_id}")
            return replace(plan, state=State.KEPT, run=run.identity, tip=tip), None
        require_usable(work.repository, start.plan.metadata)
    except LwCoderError as error:
        return replace(plan, state=State.BLOCKED, reason=f"{error.message}; {error.remedy}"), None
    return plan, start


class Conductor:
    """Carries out one batch.

    Args:
        batch: as it begins: all plans wait.
        work: what it works on.
        runner: starts the runs.
        folder: gets the state file.
        view: shows it.
    """

    def __init__(self, batch: Batch, work: Work, runner: Runner, folder: BatchFolder, view: View) -> None:
        self._batch, self._work, self._runner = batch, work, runner
        self._folder, self._view = folder, view
        self._running: dict[str, PlanRun] = {}
        self._found: set[str] = set()  # of these, those that an earlier batch has started
        self._examined: set[str] = set()
        self._ending, self._why = _Ending.NONE, ""
        self._is_over_limit = False
        self._written: Batch | None = None
        self._ticks = 0

    def conduct(self, received: Sequence[int]) -> Batch:
        """Carry the batch out.

        Args:
            received: the signals that have arrived; it grows.

        Returns:
            The batch, with its exit code.
        """
        self._find_running()
        while True:
            self._collect()
            self._obey(received)
            self._start()
            self._save()
            self._view.show(self._batch)
            if not self._running and (self._ending or not self._batch.in_state(State.WAITING)):
                break
            time.sleep(TICK)
        return self._end(received)

    def _find_running(self) -> None:
        """Find the runs that a batch which was killed has left running."""
        for plan in self._batch.plans:
            run = self._runner.find(plan.plan_id)
            if run is not None:
                self._view.tell(f"{plan.plan_id}: is running already, and is waited for")
                self._found.add(plan.plan_id)
                seen, _ = examined(self._work, plan)
                self._begin(replace(plan, base=seen.base, starts_from=seen.starts_from), run)

    def _begin(self, plan: PlanState, run: PlanRun) -> None:
        self._running[plan.plan_id] = run
        self._change(replace(plan, state=State.RUNNING, started_at=datetime.now(UTC)))

    def _change(self, plan: PlanState) -> None:
        self._batch = self._batch.with_plan(plan)

    def _collect(self) -> None:
        """Note which runs have ended, and how the others get on."""
        self._ticks += 1
        for plan_id, run in list(self._running.items()):
            if (end := run.end()) is not None:
                del self._running[plan_id]
                self._change(self._ended(self._batch.plan(plan_id), end))
            elif self._ticks % _TICKS_OF_PROGRESS == 0:
                self._note_progress(plan_id, run)

    def _ended(self, plan: PlanState, end: RunEnd) -> PlanState:
        if plan.plan_id in self._found and not end.document:  # it was killed, as its batch was
            return replace(plan, state=State.WAITING, started_at=None)
        done = ended(plan, end, not_before(plan.started_at or self._batch.started_at))
        if done.state is not State.CANCELLED or self._ending is not _Ending.STOP:
            return done
        return replace(done, state=State.LIMIT if self._is_over_limit else State.CANCELLED, reason=self._why)

    def _note_progress(self, plan_id: str, run: PlanRun) -> None:
        seen = run.progress()
        plan = self._batch.plan(plan_id)
        cost = plan.cost_usd if seen.cost_usd is None else seen.cost_usd
        self._change(replace(plan, run=seen.run or plan.run, cost_usd=cost, last_event=seen.last_event))

    def _obey(self, received: Sequence[int]) -> None:
        """Decide whether the batch ends now."""
        others = [number for number in received if number != signal.SIGINT]
        reason = next(self._reached_limits(), None)
        if others:
            self._end_with(_Ending.STOP, f"{signal.Signals(others[0]).name} ended the batch")
        elif len(received) > 1:
            self._end_with(_Ending.STOP, "Ctrl+C ended the batch")
        elif reason is not None and not self._ending:
            self._is_over_limit = True
            self._end_with(_Ending.STOP, reason)
        elif received:
            self._end_with(_Ending.WAIT, "Ctrl+C ended the batch")
        elif self._batch.fail_fast and (failed := self._first_failed()):
            self._end_with(_Ending.WAIT, f"--fail-fast: {failed} is {self._batch.plan(failed).state}")

    def _reached_limits(self) -> Iterator[str]:
        cost, minutes = self._batch.max_cost_usd, self._batch.max_minutes
        if cost is not None and self._batch.cost_usd >= cost:
            yield f"the batch's --max-cost {cost:g} is reached"
        if minutes is not None and self._batch.minutes() >= minutes:
            yield f"the batch's --max-minutes {minutes:g} is reached"

    def _first_failed(self) -> str | None:
        ended = (plan for plan in self._batch.plans if plan.state.is_final and not plan.state.has_passed)
        return next((plan.plan_id for plan in ended), None)

    def _end_with(self, ending: _Ending, why: str) -> None:
        if ending <= self._ending:
            return
        self._ending, self._why = ending, why
        running = ", ".join(self._running)
        if ending is _Ending.WAIT and running:
            self._view.tell(f"{why}: nothing more is started; waiting for {running}; Ctrl+C ends them")
        elif ending is _Ending.STOP:
            self._view.tell(f"{why}; what runs is ended, and its commits are imported")
            for run in self._running.values():
                run.stop()

    def _start(self) -> None:
        """Start what can start, and note what cannot."""
        has_changed = True
        while has_changed and not self._ending:
            before = self._batch
            for plan, reason in blocked(self._batch):
                self._change(replace(plan, state=State.BLOCKED, reason=reason))
            for plan in ready(self._batch):
                self._start_one(plan)
            self._obey(())
            has_changed = self._batch.plans != before.plans

    def _start_one(self, plan: PlanState) -> None:
        if plan.plan_id not in self._examined:
            self._examined.add(plan.plan_id)
            plan, _ = examined(self._work, plan)
            self._change(plan)
        if plan.state is not State.WAITING or len(self._running) >= self._batch.jobs:
            return
        try:
            run = self._runner.start(self._work.plans[plan.plan_id], self._limits())
        except LwCoderError as error:
            self._change(replace(plan, state=State.FAILED, reason=f"{error.message}; {error.remedy}"))
            return
        self._begin(plan, run)

    def _limits(self) -> Limits:
        """Return what a run that starts now may use at most, of what is left to the batch."""
        batch, configured = self._batch, self._work.limits.over(UNATTENDED)
        limits = Limits()
        if batch.max_minutes is not None:
            left = max(round(batch.max_minutes - batch.minutes(), 3), _LEAST_MINUTES)
            limits = Limits(minutes=min(left, configured.minutes or left)).over(limits)
        if batch.max_cost_usd is not None:
            left = round(batch.max_cost_usd - batch.cost_usd, 6)
            limits = Limits(cost_usd=min(left, configured.cost_usd or left)).over(limits)
        return limits

    def _save(self) -> None:
        if self._batch == self._written:
            return
        try:
            self._folder.write(self._batch)
        except RunError as error:  # the runs go on, and their own records say how they ended
            if self._written is not self._batch:
                self._view.tell(f"warning: {error.message}; {error.remedy}")
        self._written = self._batch

    def _end(self, received: Sequence[int]) -> Batch:
        for plan in self._batch.in_state(State.WAITING):
            self._change(replace(plan, state=State.CANCELLED, reason=f"not started: {self._why}"))
        signalled = next((number for number in received if number != signal.SIGINT), None)
        signalled = received[0] if signalled is None and received else signalled
        code = exit_code(self._batch, signalled, is_over_limit=self._is_over_limit)
        self._batch = replace(self._batch, ended_at=not_before(self._batch.started_at), exit_code=code)
        self._save()
        self._view.show(self._batch)
        return self._batch
