"""run.json: what a run was made from and how it ended, for people and for optimisers."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import asdict

from lw_coder import __version__
from lw_coder.containers.engine import Engine
from lw_coder.containers.images import Images
from lw_coder.dspy.generated_prompts import GeneratedPrompts
from lw_coder.foundation.errors import RunError
from lw_coder.foundation.report import warn
from lw_coder.plans.plan_file import PlanFile
from lw_coder.repository.importing.commits import ImportResult
from lw_coder.repository.importing.uncommitted import Uncommitted
from lw_coder.runs.record_shape import SCHEMA
from lw_coder.runs.run_folders import Run, read_record, write_record
from lw_coder.runs.session_result import AgentReport, SessionResult

_MOST_REFUSED = 100  # hosts; a session can ask for any number of them


def begin(
    plan: PlanFile,
    prompts: GeneratedPrompts,
    images: Images,
    engine: Engine,
    *,
    login: str,
    forwarded: Sequence[str],
) -> dict[str, Any]:
    """Create the record of a run that is about to start.

    Args:
        plan: the plan to carry out.
        prompts: the signature's inputs and outputs, and how they were generated.
        images: the ids that the session and its replays use.
        engine: the Docker engine.
        login: how the agent is signed in.
        forwarded: names of the variables that it gets; never their values.
    """
    return {
        **_common("code", engine, login, forwarded),
        "plan": _of_plan(plan),
        "signature": {"name": "CodePromptSignature", "inputs": prompts.inputs, "outputs": prompts.outputs},
        "program_state": prompts.program_state,
        "model": prompts.model,
        "usage": prompts.usage,
        "cache_hit": prompts.cache_hit,
        "attempts": prompts.attempts,
        "images": asdict(images),
        "versions": {**_versions(engine), "dspy": prompts.dspy_version},
    }


def _of_plan(plan: PlanFile) -> dict[str, Any]:
    named = {"plan_id": plan.metadata.plan_id, "git_sha": plan.metadata.git_sha, "file": plan.path.name}
    return {**named, "checks": list(plan.checks)}


def begin_plan(
    git_sha: str, model: str, base: str, engine: Engine, *, login: str, forwarded: Sequence[str]
) -> dict[str, Any]:
    """Create the record of a session that is about to write plans.

    Args:
        git_sha: the commit that the session sees.
        model: the model that the session is configured for.
        base: id of the base image, which it uses.
        engine: the Docker engine.
        login: how the agent is signed in.
        forwarded: names of the variables that it gets; never their values.
    """
    return {
        **_common("plan", engine, login, forwarded),
        "git_sha": git_sha,
        "model": model,
        "images": {"base": base},
    }


def _common(kind: str, engine: Engine, login: str, forwarded: Sequence[str]) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "kind": kind,
        "login": login,
        "forwarded": list(forwarded),
        "versions": _versions(engine),
        "ended": None,
    }


def _versions(engine: Engine) -> dict[str, str | None]:
    return {
        "lw_coder": __version__,
        "python": platform.python_version(),
        "docker": engine.version,
        "compose": engine.compose_version,
    }


def complete(
    run: Run,
    result: SessionResult,
    imported: ImportResult,
    plans: Sequence[str] = (),
    uncommitted: Uncommitted | None = None,
) -> None:
    """Add to a run's record how its session ended, what was imported, what was left, and the plans.

    If the record cannot be written, this is a warning: the import is done and still has to be reported.
    """
    times = {"started_at": result.started.isoformat(), "ended_at": result.ended.isoformat()}
    how = {"outcome": result.outcome, "limit": asdict(result.limit) if result.limit else None}
    spent = {"spent": result.spending.as_record()} if result.spending else {}
    told = {
        "status": result.status,
        **how,
        **times,
        **_outcome(imported, uncommitted),
        "plans": list(plans),
        "refused": dict(result.refused.most_common(_MOST_REFUSED)),
        **spent,
    }
    _end(run, {**told, "agent": _reported(result.report)} if result.report else told)


def _reported(report: AgentReport) -> dict[str, Any]:
    """Return what is recorded of an agent's report; its final message has a file of its own."""
    return {name: value for name, value in asdict(report).items() if name != "final"}


def complete_late(run: Run, imported: ImportResult) -> None:
    """Add to a run's record what was imported after its session, whose end nobody may have seen."""
    earlier = _ended(run)
    times = {"started_at": run.started.isoformat(), "ended_at": None}
    unknown = {"status": None, "outcome": None, "limit": None}
    told = {**unknown, **times, "plans": [], **earlier, **_outcome(imported)}
    how = "imported later" if earlier else "interrupted"
    commits = imported.commits + (earlier.get("commits") or 0 if earlier.get("branch_moved") else 0)
    _end(run, {**told, "commits": commits, "notes": [*earlier.get("notes", []), how, *imported.notes]})


def _ended(run: Run) -> dict[str, Any]:
    try:
        return dict(read_record(run).get("ended") or {})
    except (RunError, ValueError, TypeError):
        return {}


def _outcome(imported: ImportResult, uncommitted: Uncommitted | None = None) -> dict[str, Any]:
    left = None if uncommitted is None else asdict(uncommitted)
    return {
        "uncommitted": left,
        "commits": imported.commits,
        "tip": imported.tip,
        "branch_moved": imported.moved,
        "refs": list(imported.refs),
        "notes": list(imported.notes),
        "problem": imported.problem,
    }


def add_verdict(run: Run, verdict: Mapping[str, Any] | None) -> None:
    """Add what checks of the result have shown; None if there are no checks, or they were not run.

    If the record cannot be written, this is a warning.
    """
    _add(run, "verdict", verdict, "the verdict")


def add_taken(run: Run, taken: Mapping[str, Any]) -> None:
    """Add that the plan's branch was merged: its tip, the new commit, the branch merged into, and how.

    If the record cannot be written, this is a warning.
    """
    _add(run, "taken", taken, "the merge")


def _end(run: Run, outcome: dict[str, Any]) -> None:
    _add(run, "ended", outcome, "how the session ended")


def _add(run: Run, key: str, value: Mapping[str, Any] | None, what: str) -> None:
    try:
        write_record(run, {**read_record(run), key: value})
    except OSError as error:
        warn(f"{run.record}: {what} could not be recorded: {error.strerror}")
    except RunError as error:
        warn(f"{error.message}, so {what} is not recorded")
