"""What `lw_coder code` reports at the end: the results, and the next commands."""

from __future__ import annotations

import shlex
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec import Struct

from lw_coder.commands.code_inputs import CodeInputs
from lw_coder.commands.session_report import replay_command, report_session, shell_path
from lw_coder.foundation.report import say, show, tell, warn
from lw_coder.gateway.state import shown_time
from lw_coder.repository import git
from lw_coder.repository.importing.commits import REFS_PREFIX, ImportResult
from lw_coder.repository.importing.uncommitted import Uncommitted
from lw_coder.sessions.setup import SessionSetup
from lw_coder.settings.limits import shown

if TYPE_CHECKING:
    from lw_coder.runs.run_folders import Run
    from lw_coder.runs.session_result import AgentReport, SessionResult
    from lw_coder.sessions.pausing import Resumption
    from lw_coder.verdicts.verdict import Verdict

_MOST_SHOWN = 5  # refs


class CodeEnd(Struct, frozen=True):
    """What there is after a session.

    Attributes:
        result: how it ended.
        imported: its commits.
        uncommitted: the files that it left uncommitted, or None if that is unknown.
        verdict: what independent checks of its commits gave, or None if there were none.
    """

    result: SessionResult
    imported: ImportResult
    uncommitted: Uncommitted | None
    verdict: Verdict | None = None

    @property
    def has_answers(self) -> bool:
        """Whether the agent, if it was headless, got an answer of its model."""
        return self.result.report is not None and self.result.report.turns > 0


def report_pause(setup: SessionSetup, end: CodeEnd, resumption: Resumption) -> None:
    """Report a session that was paused, and when the next one goes on with its conversation."""
    report_session(end.result, end.imported, setup.context.config.run_options)
    report_commits(setup, end.imported)
    tell(f"Run:      {shell_path(setup.context.repository.root, setup.run.folder)}")
    at, left = shown_time(resumption.at), shown(round(resumption.limits.max_wait or 0, 1))
    tell(f"Model:    waiting for the provider until {at}; {left} min of max_wait are left then")
    say("          to end it, press Ctrl+C")


def report_commits(setup: SessionSetup, imported: ImportResult) -> None:
    """Report how many commits are new on the plan's branch."""
    if not imported.problem:
        tell(f"Commits:  {imported.commits if imported.moved else 'none'} new on {setup.worktree.branch}")


def report_end(inputs: CodeInputs, setup: SessionSetup, end: CodeEnd) -> None:
    """Report the results and the next commands."""
    imported = end.imported
    report_session(end.result, imported, setup.context.config.run_options)
    if end.result.report and not inputs.options.as_json:
        print_summary(end.result.report)
    root, branch, run = setup.context.repository.root, setup.worktree.branch, setup.run
    report_commits(setup, imported)
    if inputs.options.headless and _has_nothing_to_show(end):
        warn(
            "nothing was committed, and there are no checks: only the agent says that the plan is carried out"
        )
    report_other_refs(run, imported, str(branch))
    say(f"Worktree: {shell_path(root, setup.worktree.path)}")
    tell(f"Run:      {shell_path(root, run.folder)}")
    if imported.moved:
        name = shlex.quote(git.unambiguous_name(setup.context.repository, f"refs/heads/{branch}"))
        say(f"Review:   git log -p {inputs.plan.metadata.git_sha[:12]}..{name}")
        say(f"Merge:    git merge {name}")
        say(f"Take:     lw_coder take {shlex.quote(inputs.plan_id)}, which first shows what is unusual in it")
    say(f"Replay:   {replay_command(root, run, headless=inputs.options.headless)}")
    headless_too = "--headless " if inputs.options.headless else ""
    say(f"Go on:    lw_coder code {shlex.quote(inputs.plan_id)} {headless_too}--continue")
    if end.result.pause and end.result.outcome == "paused":
        by_itself = ", or with --max-wait MINUTES by itself" if headless_too else ""
        say(f"          from {shown_time(end.result.pause.until)} on{by_itself}")


def _has_nothing_to_show(end: CodeEnd) -> bool:
    """Return whether a session ended well, and nothing but the agent's words is there to see it by."""
    is_empty = not (end.imported.problem or end.imported.commits or end.imported.refs)
    return is_empty and end.verdict is None and end.result.outcome == "completed"


def print_summary(report: AgentReport) -> None:
    """Print the agent's final message, which is the result of a headless session."""
    with suppress(OSError):  # nobody reads it any more; summary.md has it
        for line in report.final.split("\n"):
            show(line)


def report_uncommitted(setup: SessionSetup, left: Uncommitted | None) -> None:
    """Report uncommitted files, and what to do with them."""
    if not left:
        return
    place = shell_path(setup.context.repository.root, setup.worktree.path)
    names = ", ".join([*left.first, *(["..."] if left.count > len(left.first) else [])])
    files = "file" if left.count == 1 else "files"
    tell(f"Left:     {left.count} uncommitted {files} in {place}: {names}")
    tell("          the plan's next session continues with them; to commit them yourself, type:")
    tell(f"          git -C {place} add --all && git -C {place} commit")


def report_other_refs(run: Run, imported: ImportResult, branch: str) -> None:
    """Name the refs of a session, except the plan's own branch."""
    own = f"{REFS_PREFIX}/{run.identity}/heads/{branch}"
    others = [ref for ref in imported.refs if ref != own]
    for ref in others[:_MOST_SHOWN]:
        tell(f"Also:     {ref}")
    if more := len(others[_MOST_SHOWN:]):
        tell(f"Also:     {more} more; git for-each-ref refs/lw_coder/{run.identity}")
