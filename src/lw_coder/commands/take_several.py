"""`lw_coder take` of several plans: in the order of their dependencies, all of them or none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct

from lw_coder.commands.asking import is_agreed
from lw_coder.commands.named_plan import named_plan_id
from lw_coder.commands.result_document import Document, ended_on_failure
from lw_coder.commands.session_report import shell_path
from lw_coder.commands.take_checks import checks_of, newest_images, verified
from lw_coder.commands.take_offer import (
    Offer,
    described,
    find_offer,
    is_merged,
    message_of,
    note_status,
    record_taken,
    require_verdict,
    show_offer,
    usable_hooks,
)
from lw_coder.commands.verdict_report import report_verdict
from lw_coder.containers import engine
from lw_coder.containers.labels import TAKE_RUNS
from lw_coder.foundation.errors import ExitCode, GitError, RunError, VerdictError
from lw_coder.foundation.locks import is_locked, plan_lock
from lw_coder.foundation.report import printable, say, tell
from lw_coder.plans.take_order import take_order
from lw_coder.repository.git import Repository, find_repository
from lw_coder.repository.merging import (
    Hooks,
    How,
    Merge,
    Target,
    find_target,
    make_merge,
    prepare_merge,
    require_mergeable,
)
from lw_coder.repository.several_merges import ConflictError, Step, merge_apart, predict
from lw_coder.runs.run_folders import remove_abandoned
from lw_coder.settings.config import load_config

if TYPE_CHECKING:
    from lw_coder.commands.take import TakeOptions
    from lw_coder.containers.docker_command import EngineProbe

_UNKNOWN: Mapping[str, Any] = dict.fromkeys(("into", "head", "how", "plans", "run", "verdict", "commit"))


class _Call(Struct, frozen=True):
    """A call of the command.

    Attributes:
        repository: the person's; the plans' locks are held.
        target: the branch that they have checked out.
        options: what was typed.
        told: what `--json` prints.
    """

    repository: Repository
    target: Target
    options: TakeOptions
    told: dict[str, Any]

    def tell_plan(self, plan_id: str, **known: Any) -> None:
        """Add what is known of a plan to what `--json` prints."""
        next(plan for plan in self.told["plans"] if plan["plan_id"] == plan_id).update(known)

    def end(self, outcome: str, code: ExitCode = ExitCode.OK) -> ExitCode:
        """Set the outcome, and return the exit code."""
        self.told["outcome"] = outcome
        return code


def take_several_command(
    start: Path, names: Sequence[str], options: TakeOptions, probe: EngineProbe
) -> ExitCode:
    """Merge the branches of several plans, check the result, and only then move the person's branch to it.

    Args:
        start: a folder in the repository.
        names: the plans.
        options: what else was typed.
        probe: what docker was asked at the start.

    Returns:
        ERROR if the person declined.

    Raises:
        VerdictError: a plan has no verdict that its tip passed, or the merged result has not passed.
        LwCoderError: a branch cannot be merged, or the checks cannot be run. Nothing has been changed.
    """
    document = Document(_UNKNOWN, *([click.echo] if options.as_json else []))
    with ended_on_failure(document):
        repository = find_repository(start)
        plan_ids = take_order(repository.root, [named_plan_id(repository, name) for name in names])
        with _locked(repository, plan_ids):
            call = _Call(repository, find_target(repository), options, document.values)
            code = _take(call, plan_ids, probe)
    document.end(code)
    return code


@contextmanager
def _locked(repository: Repository, plan_ids: Sequence[str]) -> Iterator[None]:
    if is_locked(repository.common_dir, TAKE_RUNS):
        raise RunError("another `lw_coder take` of several plans is running", "wait until it has ended")
    with ExitStack() as stack:
        for plan_id in (*plan_ids, TAKE_RUNS):
            stack.enter_context(plan_lock(repository.common_dir, plan_id))
        remove_abandoned(repository.home, TAKE_RUNS)
        yield


def _take(call: _Call, plan_ids: Sequence[str], probe: EngineProbe) -> ExitCode:
    offers = _offers(call, plan_ids)
    if not offers:
        return call.end("already_merged")
    steps = [_step(call, offers, number) for number in range(len(offers))]
    _require_no_conflict(call, offers, steps)
    if not call.options.unverified:
        _require_checkable(call, offers)
    if not _is_agreed(call, offers):
        tell("Nothing was merged.")
        return call.end("declined", ExitCode.ERROR)
    hooks = usable_hooks(call.repository)
    commits = merge_apart(call.repository, call.target, steps, call.options.how, hooks)
    if not any(commits):
        return call.end("already_merged")
    merge = _prepared(call, commits)
    if not call.options.unverified:
        _require_passed(call, merge, offers, probe)
    _move(call, merge, hooks)
    _report(call, merge, commits, offers)
    return call.end("taken")


def _offers(call: _Call, plan_ids: Sequence[str]) -> list[Offer]:
    """Find what there is to merge, and show it; what the target has already is left out."""
    target = call.target
    every = [find_offer(call.repository, target, plan_id) for plan_id in plan_ids]
    call.told.update(into=target.branch, head=target.head, how=call.options.how.value)
    call.told["plans"] = [_described(offer) for offer in every]
    wanted = []
    for offer in every:
        if is_merged(call.repository, offer):
            tell(f"{target.branch} has all changes of {offer.branch} already.")
            call.tell_plan(offer.plan_id, outcome="already_merged")
        else:
            show_offer(call.repository, offer)
            wanted.append(offer)
    return wanted


def _described(offer: Offer) -> dict[str, Any]:
    known = {name: value for name, value in described(offer).items() if name != "into"}
    return {**known, "outcome": "not_taken", "commit": None, "conflicts": []}


def _step(call: _Call, offers: Sequence[Offer], number: int) -> Step:
    offer, before = offers[number], [each.merge.tip for each in offers[:number]]
    message = message_of(call.repository, offer, call.options.how, *before)
    return Step(offer.branch, offer.merge.tip, tuple(message))


def _require_no_conflict(call: _Call, offers: Sequence[Offer], steps: Sequence[Step]) -> None:
    try:
        predict(call.repository, call.target, steps, call.options.how)
    except ConflictError as error:
        plan_id = next(offer.plan_id for offer in offers if offer.branch == error.branch)
        call.tell_plan(plan_id, outcome="conflicts", conflicts=[printable(file) for file in error.files])
        raise


def _require_checkable(call: _Call, offers: Sequence[Offer]) -> None:
    for offer in offers:
        require_verdict(call.repository, offer)
    checks_of(call.repository, load_config(call.repository.root), offers)
    newest_images(offers)


def _is_agreed(call: _Call, offers: Sequence[Offer]) -> bool:
    names = ", ".join(offer.branch for offer in offers)
    condition = "" if call.options.unverified else ", if the checks pass on the result"
    return is_agreed(f"Merge {names} into {call.target.branch}{condition}?", yes=call.options.yes)


def _prepared(call: _Call, commits: Sequence[str | None]) -> Merge:
    """Return the one merge that is left to do: a fast-forward to the last commit."""
    tip = next(commit for commit in reversed(commits) if commit)
    merge = prepare_merge(call.repository, call.target, tip)
    require_mergeable(call.repository, merge)
    return merge


def _require_passed(call: _Call, merge: Merge, offers: Sequence[Offer], probe: EngineProbe) -> None:
    config = load_config(call.repository.root)
    found = engine.connect(probe, build_gives_version=True)  # Compose built the run's image
    if config.checks_network and config.allow_hosts is not None:
        engine.require_isolation(found.version)
    say(f"Checks:   running them over the merged result, at {merge.tip[:12]}")
    run, verdict = verified(call.repository, config, merge, offers)
    told = {"passed": verdict.passed, "tip": verdict.tip, "reasons": list(verdict.reasons)}
    call.told.update(run=run.identity, verdict=told)
    report_verdict(verdict, shell_path(call.repository.root, run.folder))
    if not verdict.passed:
        raise VerdictError(
            f"the merged result has not passed: {'; '.join(verdict.reasons)}; nothing was merged",
            f"look at {shell_path(call.repository.root, run.folder)}, or take fewer plans at a time",
        )


def _move(call: _Call, merge: Merge, hooks: Hooks) -> None:
    """Move the person's branch to the result, unless they have changed it meanwhile."""
    if find_target(call.repository) != call.target:
        was = f"{call.target.branch} at {call.target.head[:12]}"
        raise GitError(f"{was} is no longer checked out; nothing was merged", "take the plans again")
    require_mergeable(call.repository, merge)
    make_merge(merge, How.FAST_FORWARD, (), hooks)


def _report(call: _Call, merge: Merge, commits: Sequence[str | None], offers: Sequence[Offer]) -> None:
    for offer, commit in zip(offers, commits, strict=True):
        call.tell_plan(offer.plan_id, outcome="taken" if commit else "already_merged", commit=commit)
        if commit:
            record_taken(offer, commit, call.options.how)
    call.told["commit"] = merge.tip
    tell(f"Merged:   {call.target.branch} is at {merge.tip[:12]}")
    for offer in offers:
        note_status(call.repository, offer.plan_id)
    say(f"Undo:     git reset --keep {call.target.head[:12]}")
    say("Clean up: lw_coder clean")
