"""`lw_coder batch`: many plans, in the order of their dependencies, each by a run of its own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from lw_coder.batches.conductor import Conductor, Work, examined
from lw_coder.batches.local_runner import LocalRunner
from lw_coder.batches.order import blocked, ordered, ready
from lw_coder.batches.state_file import BatchFolder, open_batch, prune_batches
from lw_coder.batches.states import Batch, PlanState, State
from lw_coder.commands.batch_overlaps import finished_pairs, shared_files, show_pairs, tell_shared_files
from lw_coder.commands.batch_view import batch_view, show_order, show_summary
from lw_coder.commands.session_report import shell_path
from lw_coder.commands.set_up import find_problems, require_set_up
from lw_coder.foundation import signals
from lw_coder.foundation.errors import (
    ConfigError,
    ExitCode,
    InvalidPlanError,
    LwCoderError,
    PlanError,
    SetUpError,
)
from lw_coder.foundation.locks import batch_lock
from lw_coder.foundation.report import say, show_json, shown_if_slow, tell, warn
from lw_coder.plans.find_plan import find_plan, plan_names
from lw_coder.plans.plan_checks import check_plans
from lw_coder.plans.plan_file import TASKS_FOLDER, PlanFile, ReadPlan, require_valid
from lw_coder.plans.plan_rules import FINISHED
from lw_coder.plans.problems import shown_path
from lw_coder.repository.git import Repository, find_repository
from lw_coder.settings.config import CONFIG_FILE, CodeConfig, load_config
from lw_coder.settings.limits import Limits

if TYPE_CHECKING:
    from lw_coder.containers.docker_command import EngineProbe

_SESSION_MEMORY = 4 << 30  # bytes: mem_limit in compose/services.yml


class BatchOptions(Struct, frozen=True):
    """What was typed besides the plans.

    Attributes:
        jobs: how many plans run at a time; None for what fits this machine.
        fail_fast: start no more plans once one has not passed.
        max_cost: US dollars that all sessions together may cost, or None.
        max_minutes: minutes that the batch may take, or None.
        dry_run: show what would be started, and start nothing.
        as_json: print one JSON document at the end.
    """

    jobs: int | None = None
    fail_fast: bool = False
    max_cost: float | None = None
    max_minutes: float | None = None
    dry_run: bool = False
    as_json: bool = False


def batch_command(start: Path, names: Sequence[str], probe: EngineProbe, options: BatchOptions) -> int:
    """Carry out plans, several at a time, each once those that it depends on have passed.

    Args:
        start: a folder in the repository.
        names: paths, ids or file names of plans; none for each whose status is ready.
        probe: what docker was asked at the start.
        options: what was typed besides.

    Raises:
        LwCoderError: a plan or the set-up is wrong, or another batch is running; nothing was started.
    """
    repository = find_repository(start)
    require_set_up(repository.root)
    with shown_if_slow("Checking the plans ..."):
        plans = ordered(_chosen(repository, names))
    config = load_config(repository.root)
    _require_gateway(config, options)
    work = Work(
        repository,
        {plan.metadata.plan_id: plan for plan in plans},
        config.checks,
        config.limits or Limits(),
    )
    batch = replace(_begun(plans, options), overlaps=shared_files(repository, work.plans))
    if options.dry_run:
        return _show_dry_run(_foreseen(batch, work), options)
    if plans:
        _require_startable(repository, probe, plans[0])
    with batch_lock(repository.common_dir):
        return _carried_out(batch, work, options)


def _chosen(repository: Repository, names: Sequence[str]) -> list[PlanFile]:
    """Return the plans that are named, or all that are ready.

    Raises:
        PlanError: one of them is not valid, or finished already.
    """
    tasks = repository.root / TASKS_FOLDER
    paths = [find_plan(repository.root, name) for name in names] or [
        tasks / name for name in plan_names(tasks)
    ]
    found = check_plans(repository, list(dict.fromkeys(paths)))
    wanted = found if names else [plan for plan in found if plan.value("status") == "ready"]
    _require_all_valid(wanted)
    plans = [require_valid(plan) for plan in wanted]
    for plan in plans:
        if plan.metadata.status in FINISHED:
            raise PlanError(
                f"{shown_path(plan.path)}: status: is {plan.metadata.status}",
                "to carry it out all the same, change its status to ready",
            )
    return plans


def _require_all_valid(plans: Sequence[ReadPlan]) -> None:
    errors = [problem.error(shown_path(plan.path)) for plan in plans for problem in plan.problems]
    if errors:
        raise InvalidPlanError(errors)


def _require_gateway(config: CodeConfig, options: BatchOptions) -> None:
    if options.max_cost is not None and not config.gateway:
        raise ConfigError(
            f"--max-cost: only the model gateway can count costs, and {CONFIG_FILE} does not set it",
            "set gateway = true below [code], or remove --max-cost",
        )


def _begun(plans: Sequence[PlanFile], options: BatchOptions) -> Batch:
    states = tuple(
        PlanState(plan_id=plan.metadata.plan_id, file=shown_path(plan.path), depends_on=plan.depends_on)
        for plan in plans
    )
    return Batch(
        started_at=datetime.now(UTC),
        jobs=options.jobs or fitting_jobs(),
        plans=states,
        fail_fast=options.fail_fast,
        max_cost_usd=options.max_cost,
        max_minutes=options.max_minutes,
    )


def fitting_jobs() -> int:
    """Return how many sessions fit this machine: one for each core, and for each 4 GiB of memory."""
    return max(min(_cores(), _memory() // _SESSION_MEMORY), 1)


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _memory() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _require_startable(repository: Repository, probe: EngineProbe, plan: PlanFile) -> None:
    """Find once what would let each run fail: settings, variables, the Dockerfile, the engine."""
    problems = find_problems(repository, probe, str(plan.path))
    if problems:
        raise SetUpError(problems[0].message, problems[0].remedy, tuple(problems))


def _foreseen(batch: Batch, work: Work) -> Batch:
    """Return the batch as it would begin: what is kept or blocked, and what starts from what."""
    seen: set[str] = set()
    while plans := [plan for plan in ready(batch) if plan.plan_id not in seen]:
        for plan in plans:
            seen.add(plan.plan_id)
            batch = batch.with_plan(examined(work, plan)[0])
        for plan, reason in blocked(batch):
            batch = batch.with_plan(replace(plan, state=State.BLOCKED, reason=reason))
    return batch


def _show_dry_run(batch: Batch, options: BatchOptions) -> ExitCode:
    if options.as_json:
        show_json(batch.as_json())
    elif not _is_empty(batch):
        _tell_jobs(batch, options)
        tell_shared_files(batch.overlaps)
        show_order(batch)
    return ExitCode.OK


def _is_empty(batch: Batch) -> bool:
    if not batch.plans:
        tell(f"There is no plan with status: ready in {TASKS_FOLDER}.")
    return not batch.plans


def _tell_jobs(batch: Batch, options: BatchOptions) -> None:
    count = "1 plan at a time" if batch.jobs == 1 else f"{batch.jobs} plans at a time"
    why = f" ({_cores()} cores, {_memory() / (1 << 30):.1f} GiB of memory)" if options.jobs is None else ""
    say(f"Jobs:     {count}{why}")


def _carried_out(batch: Batch, work: Work, options: BatchOptions) -> int:
    signals.check()
    root, home = work.repository.root, work.repository.home
    if batch.plans:
        prune_batches(home)
        folder = open_batch(home)
        batch = _conducted(replace(batch, batch=folder.name), work, folder, options)
        batch = _completed(batch, work.repository, folder)
    if options.as_json:
        show_json(batch.as_json())
    elif not _is_empty(batch):
        show_summary(batch)
        show_pairs(batch.pairs)
        tell(f"Batch:    {shell_path(root, folder.folder)}")
    return ExitCode.OK if batch.exit_code is None else batch.exit_code


def _completed(batch: Batch, repository: Repository, folder: BatchFolder) -> Batch:
    """Add which branches merge, and write the page; whatever fails here changes no result."""
    from lw_coder.commands.batch_page import write_batch_page

    try:
        batch = replace(batch, pairs=finished_pairs(repository, batch))
        folder.write(batch)
        tell(f"Page:     {write_batch_page(repository, folder.folder, batch)}")
    except LwCoderError as error:
        warn(f"{error.message}; {error.remedy}")
    return batch


def _conducted(batch: Batch, work: Work, folder: BatchFolder, options: BatchOptions) -> Batch:
    _tell_jobs(batch, options)
    without = [plan_id for plan_id, plan in work.plans.items() if not (work.checks or plan.checks)]
    if without:
        warn(f"there are no checks, and so no verdict, for: {', '.join(without)}")
    tell_shared_files(batch.overlaps)
    runner = LocalRunner(work.repository, folder)
    with signals.collected() as received, batch_view() as view:
        return Conductor(batch, work, runner, folder, view).conduct(received)
