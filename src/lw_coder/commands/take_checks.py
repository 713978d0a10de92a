"""The checks of what `lw_coder take` has merged of several plans: a run of its own, below `@take`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from lw_coder.commands.take_offer import Offer
from lw_coder.containers.image_names import repo_hash
from lw_coder.containers.images import DOCKERFILE, Images
from lw_coder.containers.labels import TAKE_RUNS
from lw_coder.foundation.errors import ConfigError, RunError
from lw_coder.repository.git import Repository, root_commit
from lw_coder.repository.merging import Merge
from lw_coder.runs.record_shape import SCHEMA
from lw_coder.runs.run_folders import (
    Run,
    oldest_first,
    open_run,
    remove_run,
    removed_on_failure,
    seal_run,
    write_record,
)
from lw_coder.settings.config import CONFIG_FILE, CodeConfig
from lw_coder.verdicts.checks import Check, configured_checks, current_plan
from lw_coder.verdicts.subject import Subject, recorded_texts
from lw_coder.verdicts.verdict import Verdict
from lw_coder.verdicts.verification import verify


def checks_of(repository: Repository, config: CodeConfig, offers: Sequence[Offer]) -> tuple[Check, ...]:
    """Return the checks of config.toml and of all the plans, each command once.

    Raises:
        ConfigError: there are none.
    """
    found = configured_checks(config.checks, [text for offer in offers for text in _plans(repository, offer)])
    if not found:
        raise ConfigError(
            f"{CONFIG_FILE}: [code] checks: there are none for the merged result, and none in the plans",
            "add some; or add --unverified",
        )
    return found


def _plans(repository: Repository, offer: Offer) -> tuple[str, ...]:
    plan = current_plan(repository, offer.plan_id)
    return plan.checks if plan else recorded_texts(offer.record, "plan", "checks")


def newest_images(offers: Sequence[Offer]) -> tuple[Run, Images]:
    """Return the newest of the plans' runs, and its images: the checks run in them.

    Raises:
        RunError: no plan has a run, or the record of the newest one is damaged.
    """
    records = {offer.run: offer.record for offer in offers if offer.run}
    if not records:
        raise RunError("none of the plans has a run, whose image the checks would run in", "add --unverified")
    run = oldest_first(records)[-1]
    try:
        return run, Images(**records[run]["images"])
    except (KeyError, TypeError):
        raise RunError(
            f"{run.identity}: its record names no image to run the checks in",
            f"type: lw_coder code {run.plan_id}; or add --unverified",
        ) from None


def verified(
    repository: Repository, config: CodeConfig, merge: Merge, offers: Sequence[Offer]
) -> tuple[Run, Verdict]:
    """Run the checks over a merged result, compared with the commit that the person has checked out.

    Args:
        repository: the person's.
        config: the settings in their worktree.
        merge: the result, and what it is to be merged into.
        offers: what was merged; at least one has a run.

    Returns:
        A run that has the results and their logs, and the verdict.

    Raises:
        EngineError: docker does not answer, or the newest run's image no longer exists.
        RunError: the results cannot be written.
    """
    checks = checks_of(repository, config, offers)
    source, images = newest_images(offers)
    record = _record(merge, offers, checks, images)
    with _run(repository, source, record) as run:
        subject = Subject(
            repository,
            run,
            repo_hash(root_commit(repository), repository.common_dir),
            config,
            checks,
            (),
            merge.target.head,
            merge.tip,
            images,
            config.find_ca_bundle(repository.root, os.environ),
        )
        return run, verify(subject)


@contextmanager
def _run(repository: Repository, source: Run, record: dict[str, Any]) -> Iterator[Run]:
    """Make a run; it is removed if the checks could not be run."""
    with removed_on_failure(open_run(repository.home, TAKE_RUNS)) as made:
        dockerfile = source.folder / DOCKERFILE.name
        if dockerfile.is_file() and not dockerfile.is_symlink():
            shutil.copyfile(dockerfile, made.folder / DOCKERFILE.name)
        write_record(made, record)
        run = seal_run(made)
    try:
        yield run
    except BaseException:
        remove_run(run)
        raise


def _record(merge: Merge, offers: Sequence[Offer], checks: Sequence[Check], images: Images) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    ended = {"outcome": "completed", "status": 0, "started_at": now, "ended_at": now}
    return {
        "schema": SCHEMA,
        "kind": "take",
        "takes": [{"plan_id": offer.plan_id, "tip": offer.merge.tip} for offer in offers],
        "plan": {
            "plan_id": TAKE_RUNS,
            "git_sha": merge.target.head,
            "file": None,
            "checks": [check.command for check in checks if check.source == "plan"],
        },
        "signature": None,
        "images": {"base": images.base, "repo": images.repo},
        "ended": {**ended, "tip": merge.tip, "commits": merge.commits},
    }
