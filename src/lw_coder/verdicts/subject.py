"""What is verified: a run's branch, at its tip and at the commit that its plan starts from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from lw_coder.containers.image_names import repo_hash
from lw_coder.containers.images import Images
from lw_coder.foundation.errors import RunError
from lw_coder.foundation.redaction import Redaction
from lw_coder.plans.plan_file import PlanFile
from lw_coder.repository.git import Repository, is_ancestor, missing_objects, ref_value, root_commit
from lw_coder.repository.worktrees import BRANCH_PREFIX
from lw_coder.runs.run_folders import Run, list_runs, read_record
from lw_coder.settings.config import CodeConfig
from lw_coder.verdicts.checks import Check, configured_checks

_NOTES = ("signature", "inputs", "plan", "evaluation_notes")
_OLD = "only a run of `lw_coder code` can be verified"


class Subject(Struct, frozen=True):
    """Everything that a verification needs.

    Attributes:
        repository: the user's.
        run: the run whose image and limits apply, and whose folder gets the results.
        identity: the repository's, from `image_names.repo_hash`.
        config: the settings in the user's main worktree.
        checks: what to run.
        notes: the plan's evaluation notes.
        base: id of the commit that the plan starts from.
        tip: id of the commit to verify.
        images: those of the run.
        ca_bundle: certificates that checks with a network trust, or None.
        redaction: removes the values of the session's variables, which its agent may have repeated.
    """

    repository: Repository
    run: Run
    identity: str
    config: CodeConfig
    checks: tuple[Check, ...]
    notes: tuple[str, ...]
    base: str
    tip: str
    images: Images
    ca_bundle: Path | None
    redaction: Redaction = field(default_factory=lambda: Redaction({}))


def subject_of(repository: Repository, run: Run, config: CodeConfig, plan: PlanFile | None) -> Subject:
    """Describe the verification of a run.

    Args:
        repository: the user's.
        run: a sealed run of `lw_coder code`.
        config: the settings in the user's main worktree.
        plan: the run's plan, or None: then what the run recorded of it.

    Raises:
        RunError: the run is another command's, its record is damaged, or its commits no longer exist.
    """
    record = read_record(run)
    base, images = _parts(run, record)
    checks = plan.checks if plan else recorded_texts(record, "plan", "checks")
    notes = plan.metadata.evaluation_notes if plan else recorded_texts(record, *_NOTES)
    return Subject(
        repository,
        run,
        repo_hash(root_commit(repository), repository.common_dir),
        config,
        configured_checks(config.checks, checks),
        notes,
        base,
        _existing_tip(repository, run, record, base),
        images,
        config.find_ca_bundle(repository.root, os.environ),
    )


def _parts(run: Run, record: dict[str, Any]) -> tuple[str, Images]:
    try:
        return str(record["plan"]["git_sha"]), Images(**record["images"])
    except (KeyError, TypeError):
        raise RunError(f"{run.identity}: is not a run that can be verified", _OLD) from None


def recorded_texts(record: Mapping[str, Any], *keys: str) -> tuple[str, ...]:
    """Return a list of texts in a record; empty if there is none."""
    found: Any = record
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return tuple(text for text in found if isinstance(text, str)) if isinstance(found, list) else ()


def _existing_tip(repository: Repository, run: Run, record: dict[str, Any], base: str) -> str:
    tip = _tip(repository, run, record, base)
    if missing := missing_objects(repository, [base, tip]):
        raise RunError(
            f"{run.identity}: commit {missing[0][:12]} is not in the repository",
            f"to import the run's commits, type: lw_coder runs import {run.identity}",
        )
    return tip


def _tip(repository: Repository, run: Run, record: dict[str, Any], base: str) -> str:
    """Choose the branch's tip for a plan's newest run, else the commit that the run ended with."""
    left = (record.get("ended") or {}).get("tip")
    branch = ref_value(repository, f"refs/heads/{BRANCH_PREFIX}{run.plan_id}")
    newest = list_runs(repository.home, run.plan_id)[-1:]  # none, if another command removes them meanwhile
    is_newest = [one.name for one in newest] == [run.name]
    if branch is not None and is_newest and (left is None or _contains(repository, left, branch)):
        return branch
    return str(left or base)


def _contains(repository: Repository, commit: str, branch: str) -> bool:
    return not missing_objects(repository, [commit]) and is_ancestor(repository, commit, branch)
