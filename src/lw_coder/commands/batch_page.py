"""The page of a batch, and beside it the pages of its runs."""

from __future__ import annotations

from pathlib import Path

from lw_coder.batches.states import Batch, PlanState
from lw_coder.commands.run_page import page_redaction
from lw_coder.foundation.errors import LwCoderError
from lw_coder.foundation.redaction import Redaction
from lw_coder.foundation.report import shown_if_slow, warn
from lw_coder.pages.batch_page import RunPage, render_batch_page
from lw_coder.pages.page import render_page
from lw_coder.repository.git import Repository
from lw_coder.runs.exported import score_fields
from lw_coder.runs.run_folders import Run, disk_error, list_runs, read_record, write_file
from lw_coder.runs.scores import read_score

BATCH_PAGE = "index.html"  # in the batch's folder


def write_batch_page(repository: Repository, folder: Path, batch: Batch) -> Path:
    """Write a batch's page and its runs' pages into the batch's folder, in place of earlier ones.

    A run whose page cannot be made has none, with a warning.

    Args:
        repository: the person's.
        folder: the batch's.
        batch: its state.

    Returns:
        The batch's page.

    Raises:
        RunError: a page cannot be written.
    """
    redaction = page_redaction(repository.root)
    with shown_if_slow("Pages: being written"):
        found = {plan.plan_id: _run_page(repository, folder, plan, redaction) for plan in batch.plans}
        runs = {plan_id: page for plan_id, page in found.items() if page}
        _write(folder, BATCH_PAGE, render_batch_page(batch, runs))
    return folder / BATCH_PAGE


def _run_page(repository: Repository, folder: Path, plan: PlanState, redaction: Redaction) -> RunPage | None:
    run = _run(repository, plan)
    if run is None:
        return None
    try:
        record, score = read_record(run), score_fields(read_score(run))
        page = render_page(repository, run, record, score, redaction)
    except LwCoderError as error:
        warn(f"{run.identity}: has no page: {error.message}")
        return None
    name = f"{run.plan_id}-{run.name}.html"
    _write(folder, name, page)
    return RunPage(redaction.json(record), name)


def _run(repository: Repository, plan: PlanState) -> Run | None:
    runs = list_runs(repository.home, plan.plan_id) if plan.run else []
    return next((run for run in runs if run.identity == plan.run), None)


def _write(folder: Path, name: str, page: str) -> None:
    try:
        write_file(folder, name, page)
    except OSError as error:
        raise disk_error(folder / name, error) from error
