"""Run a session without a terminal: read droid's events, keep them, and end it at a limit or a signal."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lw_coder.containers import docker_command, engine
from lw_coder.containers.docker_command import HeadlessCall, PipedClient, start_headless
from lw_coder.containers.labels import OWN_LABEL, PLAN_LABEL
from lw_coder.foundation.clock import not_before
from lw_coder.foundation.redaction import Redaction
from lw_coder.foundation.report import printable, say
from lw_coder.foundation.signals import Signalled, stop_raising
from lw_coder.gateway.state import read_state, shown_time
from lw_coder.runs.session_result import AgentReport, ReachedLimit, SessionResult
from lw_coder.sessions.droid_events import Event, Lines, parse
from lw_coder.sessions.event_log import EventLog, write_summary
from lw_coder.sessions.session import remove_containers
from lw_coder.sessions.session_watch import Counts, SessionWatch, is_setting_up
from lw_coder.sessions.transcript_watch import stopped_if_flooded
from lw_coder.sessions.transcripts import SESSIONS, TranscriptCounts
from lw_coder.settings.limits import MOST_TURNS, shown

if TYPE_CHECKING:
    from lw_coder.containers.specs import SessionSpec
    from lw_coder.sessions.progress import Progress
    from lw_coder.settings.limits import Limits

_TICK = 1.0  # seconds; how often progress is shown while nothing happens
_LONGEST_STDERR = 4000  # bytes kept of what docker and droid print beside the events
_LONGEST_PROBLEM = 300
_LONGEST_ID = 100


class Account:
    """What a session has reported so far.

    Args:
        folder: the run's.
        log: receives each event.
        redaction: is applied to everything.
        progress: shows it.
    """

    def __init__(self, folder: Path, log: EventLog, redaction: Redaction, progress: Progress) -> None:
        self._folder, self._log, self._redaction, self._progress = folder, log, redaction, progress
        self._transcripts = TranscriptCounts(folder)
        self._answers: set[str] = set()
        self._steps = 0
        self._completion = Event({})
        self.conversation = ""
        self.problem = ""

    def take(self, line: bytes) -> None:
        """Take a line of the session's output into account."""
        event = self._safe(parse(line))
        self._log.write(dict(event.raw))
        self.conversation = self.conversation or event.session
        if event.answer and len(self._answers) < MOST_TURNS:  # an agent can print any number of them
            self._answers.add(event.answer[:_LONGEST_ID])
        self._steps += event.is_step
        if event.kind == "completion":
            self._completion = event
        if event.kind == "error" and event.message != "Exec failed":  # that follows each other error
            self.problem = printable(event.message)[:_LONGEST_PROBLEM]
        self._progress.show(event)

    def take_all(self, lines: Iterable[bytes]) -> None:
        """Take lines into account, of which there may be none: time has passed anyhow."""
        for line in lines:
            self.take(line)
        self._progress.tick(self._turns)

    def add_problem(self, stderr: bytes) -> None:
        """Use the last line of stderr as the problem, if no event told one."""
        lines = [line for line in stderr.decode(errors="replace").split("\n") if line.strip()]
        if lines and not self.problem:
            self.problem = printable(self._redaction.text(lines[-1].strip()))[:_LONGEST_PROBLEM]

    def counts(self) -> Counts:
        """Return what the agent and its subagents have done; for the watching thread."""
        if self.conversation:  # until then, its own transcript cannot be told from a subagent's
            self._transcripts.update(without=self.conversation)
        steps = self._steps + self._transcripts.steps
        return Counts(bool(self.conversation), self._turns, steps, is_setting_up(self._folder))

    def report(self) -> AgentReport:
        """Return all of it, after the session."""
        return AgentReport(
            is_complete=self._completion.kind == "completion",
            final=self._completion.message,
            problem=self.problem,
            turns=self.counts().turns,
            usage=self._completion.usage,
            conversation=self.conversation,
        )

    @property
    def _turns(self) -> int:
        return len(self._answers) + self._transcripts.turns

    def _safe(self, event: Event) -> Event:
        kept = {name: event.raw[name] for name in ("type", "role", "toolName") if name in event.raw}
        safe: dict[str, Any] = self._redaction.json(dict(event.raw))
        return Event({**safe, **kept})


def run_headless(
    folder: Path,
    session: SessionSpec,
    limits: Limits,
    redaction: Redaction,
    progress: Progress,
    start: Callable[[HeadlessCall], PipedClient] = start_headless,
) -> SessionResult:
    """Run the container without a terminal, and always remove it afterwards.

    A signal, or a limit, only ends the session: its commits can still be imported. The same applies if the
    engine stops answering.

    Args:
        folder: the run's.
        session: its container.
        limits: what ends it.
        redaction: is applied to everything that is kept or shown of what the agent says.
        progress: shows what the agent does.
        start: starts the container's client, or lets one go on that has been started.
    """
    from lw_coder.gateway.spending import read_spending

    started, status, is_removed = datetime.now(UTC), 0, False
    with EventLog(folder) as log:
        account = Account(folder, log, redaction, progress)
        watch = SessionWatch(
            session.labels[PLAN_LABEL],
            limits,
            account.counts,
            _announce,
            state=partial(read_state, folder),
            on_wait=_announce_wait,
        )
        try:
            status, is_removed = _attended(folder, session, account, watch, start)
        except Signalled:
            watch.end(stop_raising())
        finally:
            stop_raising()  # what follows is short
            progress.end()
            refused = remove_containers(session, is_removed=is_removed, may_come=not is_removed)
    watch.note_end()
    report = account.report()
    if report.final.strip():
        write_summary(folder, report.final)
    return SessionResult(
        watch.signalled or status,
        started,
        not_before(started),
        refused,
        watch.signalled,
        limit=watch.reached,
        pause=watch.pause,
        report=report,
        spending=read_spending(folder),
    )


def _announce(limit: ReachedLimit) -> None:
    say(f"Limit:    {limit.name} = {shown(limit.value)} is reached; the session is asked to end")


def _announce_wait(until: datetime) -> None:
    say(f"Model:    waiting for the provider until {shown_time(until)}")


def _attended(
    folder: Path,
    session: SessionSpec,
    account: Account,
    watch: SessionWatch,
    start: Callable[[HeadlessCall], PipedClient],
) -> engine.SessionEnd:
    labels = {PLAN_LABEL: session.labels[PLAN_LABEL], OWN_LABEL: "true"}
    flooded = stopped_if_flooded(folder / SESSIONS, stop=lambda: remove_containers(session))
    with flooded as reasons, watch:
        client = start(HeadlessCall(folder, session.project, dependencies=not session.has_dependencies))
        end = engine.followed_to_end(
            _follow(client, account, watch),
            labels,
            lambda container: _follow_again(container, account, watch),
        )
    account.problem = next(iter(reasons), account.problem)
    return end


def _follow_again(container: str, account: Account, watch: SessionWatch) -> int:
    # attach may not know the status of a container that is removed when it ends.
    ended = docker_command.Question("wait", container)
    try:
        client = docker_command.follow_headless(container)
        status = _follow(client, account, watch)
        told = ended.answer(docker_command.LONGEST_ANSWER) if status == 0 else ""
    finally:
        ended.end()
    return int(told) if told.isdigit() else status


def _follow(client: PipedClient, account: Account, watch: SessionWatch) -> int:
    """Read a client's output to its end, and return its status; a signal only asks the session to end."""
    lines, stderr = Lines(), b""
    try:
        while not watch.has_given_up.is_set():
            try:
                chunks = client.read(_TICK)
            except Signalled:
                watch.end(stop_raising())
                say("Signal:   the session is asked to end; then its commits are imported")
                continue
            if chunks is None:
                break
            account.take_all(lines.feed(chunks[0]))
            stderr = (stderr + chunks[1])[-_LONGEST_STDERR:]
    finally:
        status = client.end()
    account.take_all(lines.end())
    account.add_problem(stderr)
    return status
