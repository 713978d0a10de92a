"""Whether a plan needs no other run: its newest one passed, and what it was made from is the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from lw_coder.batches.starting_points import StartingPoint
from lw_coder.foundation.errors import GitError, RunError
from lw_coder.plans.plan_file import PlanFile
from lw_coder.repository.git import Repository, ref_value
from lw_coder.repository.worktrees import BRANCH_PREFIX
from lw_coder.runs.run_folders import Run, newest_record
from lw_coder.runs.taken import is_merged
from lw_coder.verdicts.checks import configured_checks
from lw_coder.verdicts.recorded import recorded_verdict

_TEXT = ("plan_id", "evaluation_notes", "body")  # what the agent is told


def passed_run(repository: Repository, start: StartingPoint, checks: Iterable[str]) -> Run | None:
    """Return the newest run of a plan if it passed, and its result is what another run would begin with.

    Args:
        repository: the person's.
        start: the plan, and the commit that it would start from now.
        checks: those of config.toml.
    """
    plan_id = start.plan.metadata.plan_id
    with suppress(RunError, GitError):
        run, record = newest_record(repository.home, plan_id) or (None, {})
        if _has_passed(record) and _is_same(record, start.plan, checks):
            tip = _table(record, "verdict").get("tip")
            is_there = (
                _is_branch(repository, plan_id, tip) and _table(record, "plan").get("git_sha") == start.commit
            )
            return run if is_there or is_merged(repository, plan_id, str(tip)) else None
    return None


def _has_passed(record: Mapping[str, Any]) -> bool:
    """Return whether a run has passed; what a limit has cut off can pass too, and is not finished."""
    verdict = recorded_verdict(record)
    is_finished = _table(record, "ended").get("outcome") == "completed"
    return verdict is not None and verdict.passed and is_finished


def _is_branch(repository: Repository, plan_id: str, tip: object) -> bool:
    return ref_value(repository, f"refs/heads/{BRANCH_PREFIX}{plan_id}") == tip


def _is_same(record: Mapping[str, Any], plan: PlanFile, checks: Iterable[str]) -> bool:
    wanted = {**asdict(plan.metadata), "evaluation_notes": list(plan.metadata.evaluation_notes)}
    had = _table(_table(_table(record, "signature"), "inputs"), "plan")
    commands = [check.command for check in configured_checks(checks, plan.checks)]
    ran = [_table({"": check}, "").get("command") for check in _table(record, "verdict").get("checks") or ()]
    return all(had.get(name) == wanted[name] for name in _TEXT) and ran == commands


def _table(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a table in a record, which a person can have edited."""
    found = values.get(name)
    return found if isinstance(found, dict) else {}
