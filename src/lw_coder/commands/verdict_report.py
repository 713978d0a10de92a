"""How a verdict is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lw_coder.foundation.counting import counted
from lw_coder.foundation.report import tell
from lw_coder.verdicts.results import CheckResult, Outcome
from lw_coder.verdicts.verdict import Verdict

_MOST_SHOWN = 20  # pointed-out changes
_LONGEST = 100  # characters of a command


def report_verdict(verdict: Verdict, folder: str, show: Callable[[str], None] = tell) -> None:
    """Show the verdict, the results of the checks, and what to look at.

    Args:
        verdict: what was found.
        folder: the run's folder, as a shell in the repository's root takes it.
        show: prints a line, after escaping it.
    """
    for line in _lines(verdict, folder):
        show(line)


def _lines(verdict: Verdict, folder: str) -> Iterator[str]:
    yield f"Checked:  {verdict.tip[:12]} against {verdict.base[:12]}, {counted(verdict.commits, 'commit')}"
    for remark in verdict.remarks:
        yield f"          {remark}"
    for result in verdict.results:
        yield from _check_lines(result, folder)
    yield from _change_lines(verdict)
    yield from _note_lines(verdict)
    reasons = "; ".join(map(_short, verdict.reasons))
    yield f"Verdict:  not passed: {reasons}" if reasons else "Verdict:  passed"


def _check_lines(result: CheckResult, folder: str) -> Iterator[str]:
    meaning = str(result.meaning)
    told = meaning if result.meaning.is_good else meaning.upper()
    base, tip = f"base {_told(result.base):16}", f"tip {_told(result.tip):16}"
    yield f"  {told:15}  {base}  {tip}  {_short(result.check.command)}"
    if result.tip.problem:
        yield f"                   {result.tip.problem}"
    if not result.meaning.is_good:
        yield f"                   log: {folder}/{result.tip.log}"


def _told(outcome: Outcome) -> str:
    if outcome.seconds is None:
        return "-"
    status = "timed out" if outcome.timed_out else f"status {outcome.status}"
    return f"{status}, {outcome.seconds:.1f} s"


def _change_lines(verdict: Verdict) -> Iterator[str]:
    if verdict.changes:
        yield "Look at:  these changes can make a check pass although the work is not right"
    for change in verdict.changes[:_MOST_SHOWN]:
        yield f"          {change.path}: {change.what}"
    if more := len(verdict.changes[_MOST_SHOWN:]):
        yield f"          and {more} more, in run.json"


def _note_lines(verdict: Verdict) -> Iterator[str]:
    if verdict.notes:
        yield "Notes:    what the agent says of the plan's evaluation notes; lw_coder has not checked it"
    for note in verdict.notes:
        evidence = f" ({_short(note.evidence)})" if note.evidence else ""
        yield f"          {note.result}: {_short(note.note)}{evidence}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."
