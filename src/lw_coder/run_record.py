"""run.json: what a run was made of and how it ended, for people and for a later optimisation."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from lw_coder import __version__
from lw_coder.droid_session import Ended
from lw_coder.engine import Engine
from lw_coder.errors import GitError, RunError
from lw_coder.git import Repository
from lw_coder.homecoming import Homecoming, pending
from lw_coder.images import Images
from lw_coder.locks import is_locked
from lw_coder.model_access import GeneratedPrompts
from lw_coder.plan_file import PlanFile
from lw_coder.report import warn
from lw_coder.runs_manager import Run, read_record, remove_run, runs_to_prune, write_record
from lw_coder.session_git import open_session_git

SCHEMA = 1


def begin(
    plan: PlanFile,
    prompts: GeneratedPrompts,
    images: Images,
    engine: Engine,
    *,
    login: str,
    forwarded: Sequence[str],
) -> dict[str, Any]:
    """Make the record of a run that is about to start.

    Args:
        plan: what is carried out.
        prompts: the signature's inputs and outputs, and how they came about.
        images: the ids that the session and its replays use.
        engine: what runs it.
        login: how the agent is signed in.
        forwarded: names of the variables that it gets; never their values.
    """
    return {
        **_common("code", engine, login, forwarded),
        "plan": {"plan_id": plan.metadata.plan_id, "git_sha": plan.metadata.git_sha, "file": plan.path.name},
        "signature": {"name": "CodePromptSignature", "inputs": prompts.inputs, "outputs": prompts.outputs},
        "program_state": prompts.program_state,
        "model": prompts.model,
        "usage": prompts.usage,
        "cache_hit": prompts.cache_hit,
        "attempts": prompts.attempts,
        "images": asdict(images),
        "versions": {**_versions(engine), "dspy": prompts.dspy_version},
    }


def begin_plan(
    git_sha: str, model: str, base: str, engine: Engine, *, login: str, forwarded: Sequence[str]
) -> dict[str, Any]:
    """Make the record of a session that is about to write plans.

    Args:
        git_sha: the commit that the session sees.
        model: the model that the session is configured for.
        base: id of the base image, which it runs in.
        engine: what runs it.
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


def complete(run: Run, ended: Ended, home: Homecoming, plans: Sequence[str] = ()) -> None:
    """Add to a run's record how its session ended, what came home, and the plans that it wrote.

    A record that cannot be written is a warning: what came home is there and still to be told.
    """
    times = {"started_at": ended.started.isoformat(), "ended_at": ended.ended.isoformat()}
    _end(run, {"status": ended.status, **times, **_outcome(home), "plans": list(plans)})


def complete_late(run: Run, home: Homecoming) -> None:
    """Complete the record of a session whose lw_coder was killed: nobody saw when it ended, and how."""
    times = {"started_at": run.started.isoformat(), "ended_at": None}
    told = {**_outcome(home), "notes": ["interrupted", *home.notes]}
    _end(run, {"status": None, **times, **told, "plans": []})


def _outcome(home: Homecoming) -> dict[str, Any]:
    return {
        "commits": home.commits,
        "tip": home.tip,
        "branch_moved": home.moved,
        "refs": list(home.refs),
        "notes": list(home.notes),
        "problem": home.problem,
    }


def _end(run: Run, outcome: dict[str, Any]) -> None:
    try:
        write_record(run, {**read_record(run), "ended": outcome})
    except OSError as error:
        warn(f"{run.record}: does not tell how the session ended: {error.strerror}")
    except RunError as error:
        warn(f"{error.message}, so it does not tell how the session ended")


def prune(repository: Repository, keep: Run) -> list[str]:
    """Remove the runs that are over 30 days old, and say so, a line for each.

    A run with commits that the repository lacks stays, and so does one whose plan is at work, or that the
    disk does not let go.
    """
    lines = []
    for run in runs_to_prune(repository.root):
        reason = _why_not_removed(repository, run, keep)
        lines.append(f"Pruned:   {run.identity}" if reason is None else f"Kept:     {run.identity}: {reason}")
    return lines


def _why_not_removed(repository: Repository, run: Run, keep: Run) -> str | None:
    """Remove a run, or say why it stays."""
    try:
        reason = _why_kept(repository, run, keep)
        if reason is None:
            remove_run(run)
    except OSError as error:
        return f"it cannot be removed: {error.strerror}; look at {error.filename or run.folder}"
    return reason


def _why_kept(repository: Repository, run: Run, keep: Run) -> str | None:
    if run.plan_id != keep.plan_id and is_locked(repository.root, run.plan_id):
        return "its plan is at work"
    if (run.folder / "git").is_dir() and _is_pending(repository, run):
        return "it has commits that are not in the repository"
    return None


def _is_pending(repository: Repository, run: Run) -> bool:
    try:
        return pending(repository, open_session_git(run.folder))
    except GitError:
        return True  # a damaged record says nothing of what is there
