"""A run in a few lines, for a terminal: the same facts as on its page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lw_coder.foundation.counting import counted
from lw_coder.foundation.errors import GitError
from lw_coder.foundation.report import printable
from lw_coder.pages.facts import Facts
from lw_coder.pages.run_files import RunFiles
from lw_coder.repository.git import Repository
from lw_coder.repository.patches import Patch, has_both, read_patches
from lw_coder.runs.run_folders import Run
from lw_coder.sessions.event_log import SUMMARY_FILE

_MOST_FILES = 10
_MOST_HOSTS = 10
_SUMMARY_LINES = 5
_LONGEST = 100  # characters of a line of the summary


def brief(repository: Repository, run: Run, record: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a person asks first, each in a line with its label; only what is known.

    Args:
        repository: the run's.
        run: the run.
        record: its run.json.
    """
    facts = Facts(record)
    yield from _labelled("ended", [facts.outcome.text] if facts.ended else [])
    yield from _labelled("verdict", _verdict(facts))
    yield from _labelled("limits", [", ".join(f"{limit.name} {limit.value}" for limit in facts.limits)])
    yield from _labelled("took", [facts.took])
    yield from _labelled("changes", _changes(repository, facts))
    yield from _labelled("refused", _refused(facts))
    yield from _labelled("says", _summary(run))


def _labelled(label: str, lines: list[str]) -> Iterator[str]:
    for number, line in enumerate(filter(None, lines)):
        yield f"{'' if number else label + ':':9} {printable(line)}"


def _verdict(facts: Facts) -> list[str]:
    reasons = "; ".join(facts.verdict.texts("reasons"))
    return [f"{facts.judged.text}: {reasons}" if reasons else facts.judged.text] if facts.verdict else []


def _changes(repository: Repository, facts: Facts) -> list[str]:
    if not has_both(repository, facts.base, facts.tip):
        return []
    try:
        patches = read_patches(repository, facts.base, facts.tip)
    except GitError as error:  # a part of the history is missing; the rest is worth showing
        return [f"not known: {error.message}"]
    more = len(patches) - _MOST_FILES
    return [
        extent(patches),
        *(f"{lines_of(patch):>12}  {patch.file.path}" for patch in patches[:_MOST_FILES]),
        f"{'':12}  and {more} more" if more > 0 else "",
    ]


def extent(patches: list[Patch]) -> str:
    """Return how much was changed, such as `2 files, +10 -3`."""
    files = counted(len(patches), "file")
    return f"{files}, +{sum(patch.added for patch in patches)} -{sum(patch.removed for patch in patches)}"


def lines_of(patch: Patch) -> str:
    """Return how many lines were added and removed, such as `+10 -3`; in a word if they were not read."""
    if patch.file.is_submodule:
        return "submodule"
    return "not read" if patch.hunks is None else f"+{patch.added} -{patch.removed}"


def _refused(facts: Facts) -> list[str]:
    told = [f"{host} ({count}x)" for host, count in facts.refused[:_MOST_HOSTS]]
    more = len(facts.refused) - len(told)
    return [", ".join([*told, f"{more} more"] if more > 0 else told)]


def _summary(run: Run) -> list[str]:
    text = RunFiles(run.folder).text(SUMMARY_FILE)
    lines = [line for line in (text.shown if text else "").split("\n") if line.strip()]
    return [line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..." for line in lines[:_SUMMARY_LINES]]
