"""result.json: how a session on a node ended. Where it is read, a hostile machine says it; it is checked."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec

from lw_coder.foundation.json_text import read_json_as
from lw_coder.foundation.report import printable
from lw_coder.gateway.state import Pause
from lw_coder.runs.session_result import AgentReport, ReachedLimit, SessionResult
from lw_coder.settings.limits import Limits

RESULT_FILE = "result.json"
SCHEMA = 1

_LONGEST_LINE, _LONGEST_HOST, _LONGEST_FINAL, _MOST_HOSTS = 500, 300, 1 << 20, 1000
_LARGEST, _MOST_COUNTS = 10**12, 100
_CONVERSATION = r"^[A-Za-z0-9._-]{0,100}$"

_Line = Annotated[str, msgspec.Meta(max_length=_LONGEST_LINE)]
_Status = Annotated[int, msgspec.Meta(ge=0, le=255)]
_Number = Annotated[int, msgspec.Meta(ge=0, le=_LARGEST)]
_Host = Annotated[str, msgspec.Meta(max_length=_LONGEST_HOST)]
_Hosts = Annotated[dict[_Host, _Number], msgspec.Meta(max_length=_MOST_HOSTS)]


class _Report(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    is_complete: bool
    final: Annotated[str, msgspec.Meta(max_length=_LONGEST_FINAL)]
    problem: _Line
    turns: _Number
    usage: Annotated[dict[_Line, _Number], msgspec.Meta(max_length=_MOST_COUNTS)]
    conversation: Annotated[str, msgspec.Meta(pattern=_CONVERSATION)]


class _Pause(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    until: datetime
    why: _Line


class SessionRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a session on a node ended.

    Attributes:
        schema: of this document.
        job: the job's name.
        node: the node's name.
        status: the session's exit status.
        started: when, in UTC.
        ended: likewise.
        refused: refused requests by host.
        signalled: the runner's exit code, if a signal to it ended the session.
        limit: name of the limit that ended it, or None.
        pause: the pause of its provider that it ended in, or None.
        report: what the agent reported; None if its session never began, or the runner was killed.
        left_out: how many files could not be sent.
    """

    schema: int
    job: _Line
    node: _Line
    status: _Status
    started: datetime
    ended: datetime
    refused: _Hosts = {}
    signalled: _Status | None = None
    limit: _Line | None = None
    pause: _Pause | None = None
    report: _Report | None = None
    left_out: _Number = 0


def record_of(result: SessionResult, job: str, node: str, left_out: int = 0) -> SessionRecord:
    """Describe how a session ended, on its node; what an agent made too large or odd for that is cut."""
    report, refused = result.report, result.refused.most_common(_MOST_HOSTS)
    return SessionRecord(
        schema=SCHEMA,
        job=job,
        node=node,
        status=result.status & 255,
        started=result.started,
        ended=result.ended,
        refused={_text(host, _LONGEST_HOST): count for host, count in refused},
        signalled=result.signalled,
        limit=result.limit.name if result.limit else None,
        pause=_Pause(result.pause.until, _text(result.pause.why, _LONGEST_LINE)) if result.pause else None,
        report=_reported(report) if report else None,
        left_out=left_out,
    )


def _reported(report: AgentReport) -> _Report:
    counts = list(report.usage.items())[:_MOST_COUNTS]
    return _Report(
        report.is_complete,
        _text(report.final, _LONGEST_FINAL),
        _text(report.problem, _LONGEST_LINE),
        min(report.turns, _LARGEST),
        {_text(name, _LONGEST_LINE): count for name, count in counts if _is_count(count)},
        report.conversation if re.match(_CONVERSATION, report.conversation) else "",
    )


def _text(text: str, longest: int) -> str:
    """Return the beginning of a text; what cannot be encoded, such as half a character, is replaced."""
    return text[:longest].encode(errors="replace").decode()


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value <= _LARGEST


def read_session_record(path: Path, job: str, limits: Limits) -> tuple[SessionRecord, SessionResult]:
    """Read how a session ended, as a session on this machine returns it; its spending is read apart.

    Args:
        path: the file, a regular one.
        job: the job's name.
        limits: the session's.

    Raises:
        ValueError: it is not what a node of lw_coder writes, or is of another job; the text says why.
    """
    try:
        told = read_json_as(path.read_bytes(), SessionRecord)
    except ValueError as error:
        raise ValueError(f"{RESULT_FILE}: {printable(str(error))[:200]}") from None
    if told.schema != SCHEMA or told.job != job:
        raise ValueError(f"{RESULT_FILE}: is of another job, or of another lw_coder")
    return told, _result(told, limits)


def _result(told: SessionRecord, limits: Limits) -> SessionResult:
    report = told.report
    return SessionResult(
        told.status,
        _in_utc(told.started),
        _in_utc(told.ended),
        Counter({printable(host): count for host, count in told.refused.items()}),
        told.signalled,
        limit=_limit(told.limit, limits),
        pause=Pause(_in_utc(told.pause.until), printable(told.pause.why)) if told.pause else None,
        report=_as_report(report) if report else None,
    )


def _as_report(told: _Report) -> AgentReport:
    problem = printable(told.problem)
    return AgentReport(told.is_complete, told.final, problem, told.turns, told.usage, told.conversation)


def _in_utc(time: datetime) -> datetime:
    try:
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{RESULT_FILE}: contains a time that does not exist") from None


def _limit(name: str | None, limits: Limits) -> ReachedLimit | None:
    if name is None:
        return None
    value = limits.as_dict().get(name)
    if value is None:
        raise ValueError(f"{RESULT_FILE}: names a limit that the session did not have")
    return ReachedLimit(name, value)
