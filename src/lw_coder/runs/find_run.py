"""Find a run by what a person types: `latest`, a plan's id, a time, both, or the beginning of one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lw_coder.containers.labels import NO_PLANS
from lw_coder.foundation.errors import RunError
from lw_coder.foundation.known_names import did_you_mean, listed
from lw_coder.foundation.report import printable
from lw_coder.plans.find_plan import plan_ids, plans_with_id
from lw_coder.plans.plan_file import TASKS_FOLDER
from lw_coder.repository.git import Repository
from lw_coder.runs.run_folders import Run, list_runs, oldest_first

LATEST = "latest"
_LONGEST = 200  # characters of a wrong name that a message repeats


def find_run(root: Path, typed: str, plan_id: str | None = None) -> Run:
    """Find the one run that a name stands for.

    A complete name goes before the beginning of one: a plan's id (its newest run), `<plan_id>/<time>`, a
    time, `latest` (the newest run that carries out a plan).

    Args:
        root: the working tree that has the runs.
        typed: the name.
        plan_id: find only runs of this plan; None for the runs of all.

    Raises:
        RunError: no run has this name, or several have.
    """
    runs, name = oldest_first(list_runs(root, plan_id)), typed.strip("/")
    found = (_named(runs, name) or _beginning_with(runs, name)) if name else []
    if len(found) > 1:
        names = listed([run.identity for run in reversed(found)])
        raise RunError(f"{_shown(typed)}: is the beginning of several runs: {names}", "type more of it")
    if not found:
        raise _unknown(runs, typed)
    return found[0]


def require_known_plan(repository: Repository, plan_id: str | None) -> None:
    """Raise an error if there is neither a plan nor a run with this id; None is no id.

    Raises:
        RunError: the message lists the ids that there are.
    """
    if plan_id is None or list_runs(repository.home, plan_id) or plans_with_id(repository.root, plan_id):
        return
    runs = {run.plan_id for run in list_runs(repository.home)}
    known = sorted(runs | plan_ids(repository.root / TASKS_FOLDER))
    there_are = f"there are: {listed(known)}" if known else "there are none yet"
    raise RunError(
        f"{_shown(plan_id)}: there is no plan and no run with this id",
        f"{did_you_mean(plan_id, known)} {there_are}".strip(),
    )


def _named(runs: Sequence[Run], name: str) -> list[Run]:
    """Return the runs whose complete name this is."""
    plan_id, _, time = name.rpartition("/")
    newest = [run for run in runs if run.plan_id == name][-1:]
    found = newest or [run for run in runs if run.name == time and plan_id in {"", run.plan_id}]
    if found or name != LATEST:
        return found
    return [run for run in runs if run.plan_id not in NO_PLANS][-1:]


def _beginning_with(runs: Sequence[Run], name: str) -> list[Run]:
    """Return the runs whose name begins so; of a plan whose id begins so, its newest run."""
    plan_id, slash, time = name.rpartition("/")
    if slash:
        timed = [run for run in runs if run.name.startswith(time)]
        exact = [run for run in timed if run.plan_id == plan_id]
        return exact or [run for run in timed if run.plan_id.startswith(plan_id)]
    newest = {run.plan_id: run for run in runs if run.plan_id.startswith(name)}
    return oldest_first({*newest.values(), *(run for run in runs if run.name.startswith(name))})


def _unknown(runs: Sequence[Run], typed: str) -> RunError:
    if not runs:
        return RunError(f"{_shown(typed)}: no such run", "there are no runs yet")
    plans = list(dict.fromkeys(run.plan_id for run in reversed(runs)))
    meant = did_you_mean(typed, [*plans, *(run.identity for run in runs), LATEST])
    there_are = f"there are runs of {listed(plans)}; `lw_coder runs list` shows all"
    return RunError(f"{_shown(typed)}: no such run", f"{meant} {there_are}".strip())


def _shown(typed: str) -> str:
    return printable(typed if len(typed) <= _LONGEST else f"{typed[:_LONGEST]}...")
