"""Verify what a session committed: run its checks at the tip and at the base, and say what that means."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial

from msgspec.structs import replace

from lw_coder.containers import engine
from lw_coder.containers.check_service import BASE_SERVICE
from lw_coder.containers.check_stub import CHECK_FILE, CHECK_SERVICE
from lw_coder.containers.docker_command import Question
from lw_coder.containers.images import DOCKERFILE
from lw_coder.containers.labels import CHECK_LABEL, OWN_LABEL, PROXY_LABEL, check_labels
from lw_coder.containers.service_call import start_service
from lw_coder.foundation.clock import not_before
from lw_coder.foundation.errors import EngineError, GitError, RunError
from lw_coder.foundation.report import warn
from lw_coder.foundation.system_errors import remedy_of
from lw_coder.repository.git import run_git
from lw_coder.repository.importing.untrusted_files import memory_limited
from lw_coder.runs import run_record
from lw_coder.sessions.cleanup import removed_late
from lw_coder.verdicts.check_folder import LOGS, check_number, write_check_folder
from lw_coder.verdicts.evaluation import judged_notes
from lw_coder.verdicts.jobs import Job, Place, run_jobs
from lw_coder.verdicts.pointed_out import Basis, PointedOut, pointed_out
from lw_coder.verdicts.rebuild import rebuilt
from lw_coder.verdicts.results import CheckResult, Outcome
from lw_coder.verdicts.stub import FOLDER
from lw_coder.verdicts.subject import Subject
from lw_coder.verdicts.verdict import Verdict


def verify(subject: Subject) -> Verdict:
    """Run the checks, and record the verdict in the run.

    The caller holds the plan's lock.

    Raises:
        EngineError: docker does not answer, the image no longer exists, or the proxy cannot be started.
        GitError: git failed.
        RunError: the run's folder cannot be written.
        Signalled: a signal arrived; nothing is running any more, and nothing was recorded.
    """
    verdict = _begun(subject)
    try:
        if subject.config.checks_rebuild:
            built = rebuilt(subject)
            if built.problem:
                return _recorded(subject, replace(verdict, problem=built.problem, remarks=built.remarks))
            verdict = replace(verdict, image=built.image, rebuilt=True, remarks=built.remarks)
        return _recorded(subject, _checked(subject, verdict))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise RunError(
            f"{error.filename or subject.run.folder}: cannot be written: {reason}",
            remedy_of(error),
        ) from error


def _checked(subject: Subject, verdict: Verdict) -> Verdict:
    _require_image(verdict.image)
    with memory_limited():
        remarks = write_check_folder(subject, verdict.image).notes
        changes, more = _changes(subject, rebuilt=verdict.rebuilt)
    return replace(
        verdict,
        results=_results(subject, verdict.image),
        commits=_count(subject),
        changes=changes,
        notes=judged_notes(subject.run.folder, subject.notes, subject.redaction),
        remarks=(*verdict.remarks, *remarks, *more),
    )


def _require_image(image: str) -> None:
    if engine.find_image(image) is None:
        raise EngineError(
            f"the run's image {image[:19]} is no longer in the engine",
            "carry out the plan again, or set checks_rebuild = true in .lw_coder/config.toml",
        )


def _changes(subject: Subject, *, rebuilt: bool) -> tuple[tuple[PointedOut, ...], tuple[str, ...]]:
    """Find what to look at; an agent's commits can be so large that this is impossible."""
    file = subject.run.folder / DOCKERFILE.name
    dockerfile = file.read_text(encoding="utf-8") if file.is_file() else ""
    basis = Basis(tuple(check.command for check in subject.checks), dockerfile, rebuilt)
    try:
        return pointed_out(subject.repository, subject.base, subject.tip, basis), ()
    except (GitError, MemoryError):
        return (), ("the changes could not be compared: they are too large",)


def unverified(subject: Subject, problem: str) -> Verdict:
    """Record a verdict without results: the checks could not be run.

    Args:
        subject: what should have been verified.
        problem: why, in one line.
    """
    return _recorded(subject, replace(_begun(subject), problem=problem))


def _begun(subject: Subject) -> Verdict:
    now = datetime.now(UTC)
    return Verdict(subject.base, subject.tip, image=subject.images.repo, started=now, ended=now)


def _recorded(subject: Subject, verdict: Verdict) -> Verdict:
    ended = replace(verdict, ended=not_before(verdict.started))
    run_record.add_verdict(subject.run, ended.as_record())
    return ended


def _count(subject: Subject) -> int:
    place = subject.repository.place
    return int(run_git("rev-list", "--count", f"{subject.base}..{subject.tip}", "--", place=place).stdout)


def _results(subject: Subject, image: str) -> tuple[CheckResult, ...]:
    """Run each check; at one commit only if there are no new ones."""
    commits = ("tip",) if subject.tip == subject.base else ("tip", "base")
    numbers = [check_number(number) for number in range(1, len(subject.checks) + 1)]
    services = {"tip": CHECK_SERVICE, "base": CHECK_SERVICE if image == subject.images.repo else BASE_SERVICE}
    jobs = [Job(f"{number}-{at}", services[at], (at, number)) for number in numbers for at in commits]
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
    if _has_containers(own):  # of an lw_coder that was killed
        engine.remove_containers_with(own)
    try:
        if has_proxy:
            start_service(file, f"check-proxy-{run.name.lower()}")
        yield Place(
            file, run.folder / FOLDER / LOGS, {OWN_LABEL: "true", **labels}, config.checks_minutes * 60, _stop
        )
    except BaseException:
        removed_late(partial(_remove, own))
        raise
    finally:
        if has_proxy:
            _remove_proxy(labels)


def _has_containers(labels: dict[str, str]) -> bool:
    filters = [part for name, value in labels.items() for part in ("--filter", f"label={name}={value}")]
    return bool(Question("ps", "--all", "--quiet", *filters).answer())


def _stop(labels: dict[str, str]) -> None:
    engine.remove_containers_with(dict(labels))


def _remove(labels: dict[str, str]) -> None:
    try:
        engine.remove_containers_with(dict(labels))
    except EngineError as error:
        warn(f"the containers of checks may still be running: {error.message}; {error.remedy}")


def _remove_proxy(labels: dict[str, str]) -> None:
    ours = {**labels, PROXY_LABEL: labels[CHECK_LABEL]}
    _remove(ours)
    with suppress(EngineError):
        engine.remove_networks(engine.networks_with(dict(ours)))
