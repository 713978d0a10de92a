"""Verify what a session committed: run its checks at the tip and at the base, and say what that means."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from lw_coder.containers import engine
from lw_coder.containers.check_service import CHECK_FILE
from lw_coder.containers.labels import CHECK_LABEL, OWN_LABEL, RUN_LABEL, check_labels
from lw_coder.containers.service_call import start_service
from lw_coder.foundation.errors import EngineError, RunError
from lw_coder.foundation.report import warn
from lw_coder.repository.git import run_git
from lw_coder.runs import run_record
from lw_coder.verdicts.check_folder import FOLDER, LOGS, check_number, write_check_folder
from lw_coder.verdicts.jobs import Job, Place, run_jobs
from lw_coder.verdicts.results import CheckResult, Outcome
from lw_coder.verdicts.subject import Subject
from lw_coder.verdicts.verdict import Verdict


def verify(subject: Subject) -> Verdict:
    """Run the checks, and record the verdict in the run.

    The caller holds the plan's lock.

    Raises:
        EngineError: docker does not answer, or the proxy cannot be started.
        GitError: git failed.
        RunError: the run's folder cannot be written.
        Signalled: a signal arrived; nothing is running any more, and nothing was recorded.
    """
    started = datetime.now(UTC)
    image = subject.images.repo
    try:
        remarks = write_check_folder(subject, image).notes
        results = _results(subject)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise RunError(
            f"{error.filename or subject.run.folder}: cannot be written: {reason}",
            "free some space or correct its permissions",
        ) from error
    verdict = Verdict(
        base=subject.base,
        tip=subject.tip,
        commits=_count(subject),
        image=image,
        rebuilt=False,
        results=results,
        suspects=(),
        notes=(),
        remarks=remarks,
        started=started,
        ended=datetime.now(UTC),
    )
    run_record.add_verdict(subject.run, verdict.as_record())
    return verdict


def _count(subject: Subject) -> int:
    place = subject.repository.place
    return int(run_git("rev-list", "--count", f"{subject.base}..{subject.tip}", "--", place=place).stdout)


def _results(subject: Subject) -> tuple[CheckResult, ...]:
    """Run each check; at one commit only if there are no new ones."""
    commits = ("tip",) if subject.tip == subject.base else ("tip", "base")
    numbers = [check_number(number) for number in range(1, len(subject.checks) + 1)]
    jobs = [Job(f"{number}-{at}", (at, number)) for number in numbers for at in commits]
    with _confined(subject) as place:
        outcomes = run_jobs(jobs, place)
    return tuple(
        CheckResult(check, _at("base", number, outcomes), _at("tip", number, outcomes))
        for check, number in zip(subject.checks, numbers, strict=True)
    )


def _at(commit: str, number: str, outcomes: dict[str, Outcome]) -> Outcome:
    return outcomes.get(f"{number}-{commit}") or outcomes[f"{number}-tip"]


@contextmanager
def _confined(subject: Subject) -> Iterator[Place]:
    """Yield where jobs run; afterwards nothing of them is left in the engine, whatever happened."""
    run, config = subject.run, subject.config
    labels = check_labels(subject.identity, run.plan_id, run.name)
    own = {CHECK_LABEL: labels[CHECK_LABEL], OWN_LABEL: "true"}
    file = run.folder / FOLDER / CHECK_FILE
    has_proxy = config.checks_network and config.allow_hosts is not None
    engine.remove_containers_with(own)  # of an lw_coder that was killed
    try:
        if has_proxy:
            start_service(file, f"check-proxy-{run.name.lower()}")
        yield Place(
            file, run.folder / FOLDER / LOGS, {OWN_LABEL: "true", **labels}, config.checks_minutes * 60, _stop
        )
    except BaseException:
        _remove(own)
        raise
    finally:
        if has_proxy:
            _remove_proxy(labels)


def _stop(labels: dict[str, str]) -> None:
    engine.remove_containers_with(dict(labels))


def _remove(labels: dict[str, str]) -> None:
    try:
        engine.remove_containers_with(dict(labels))
    except EngineError as error:
        warn(f"the containers of checks may still be running: {error.message}; {error.remedy}")


def _remove_proxy(labels: dict[str, str]) -> None:
    ours = {CHECK_LABEL: labels[CHECK_LABEL], RUN_LABEL: labels[RUN_LABEL]}
    _remove(ours)
    with suppress(EngineError):
        engine.remove_networks(engine.networks_with(dict(ours)))
