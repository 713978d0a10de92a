"""Runs as training data: what an optimiser of the prompts needs of each, as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lw_coder.containers.labels import PLAN_RUNS
from lw_coder.foundation.errors import RunError
from lw_coder.foundation.report import warn
from lw_coder.runs.run_folders import Run, list_runs, read_record
from lw_coder.runs.scores import Score, read_score

_KEPT = ("model", "cache_hit", "attempts", "program_state", "versions", "ended")


def exported_runs(root: Path, plan_id: str | None = None) -> Iterator[dict[str, Any]]:
    """Yield the runs for which prompts were written, oldest first within a plan.

    Each has `run` (its name), `name`, `inputs` and `outputs` of the signature, `model`, `cache_hit`,
    `attempts`, `program_state`, `versions`, `ended`, and `score` and `feedback`, which are None if nobody
    gave them. A damaged record is a warning, and so is one that lacks the prompts.

    Args:
        root: the repository's root.
        plan_id: a plan's id, or None for the runs of all plans.
    """
    for run in list_runs(root, plan_id):
        try:
            record = read_record(run)
        except RunError as error:
            if run.is_there():
                warn(error.message)
            continue
        signature = record.get("signature")
        if signature is not None:
            kept = {name: record.get(name) for name in _KEPT}
            yield {"run": run.identity, **signature, **kept, **score_fields(_score(run))}
        elif run.plan_id != PLAN_RUNS:  # a run of `lw_coder plan` generates no prompts
            warn(f"{run.record}: has no prompts, so it is left out")


def score_fields(score: Score | None) -> dict[str, Any]:
    """Return a score as the two keys that `runs show --json` and `runs export` print."""
    if score is None:
        return {"score": None, "feedback": None}
    return {"score": score.score, "feedback": score.feedback or None}


def _score(run: Run) -> Score | None:
    try:
        return read_score(run)
    except RunError as error:
        warn(error.message)
        return None
