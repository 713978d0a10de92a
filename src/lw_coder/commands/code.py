"""`lw_coder code`: a sequence of steps from a plan to its commits. Each step is a separate module."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from lw_coder.commands.code_inputs import CodeInputs, load_inputs
from lw_coder.commands.code_options import CodeOptions
from lw_coder.commands.code_preparation import code_session, prepare
from lw_coder.commands.code_report import CodeEnd, report_end, report_pause, report_uncommitted
from lw_coder.commands.judgement import judged
from lw_coder.commands.result_document import ResultDocument, ended_on_failure
from lw_coder.commands.session_report import exit_code, shell_path
from lw_coder.containers.early_compose import EarlyCompose
from lw_coder.foundation.errors import ExitCode, LwCoderError, RunError
from lw_coder.foundation.locks import plan_lock
from lw_coder.foundation.report import say
from lw_coder.plans.finished import is_wanted
from lw_coder.repository import git
from lw_coder.repository.importing.commits import import_commits
from lw_coder.repository.importing.uncommitted import find_uncommitted
from lw_coder.runs import run_record
from lw_coder.sessions.context import session_redaction
from lw_coder.sessions.dependencies import Dependencies
from lw_coder.sessions.session import run_session
from lw_coder.sessions.setup import SessionSetup
from lw_coder.sessions.terminal import require_terminal
from lw_coder.settings.config import CodeConfig, load_config
from lw_coder.settings.limits import limits_line

if TYPE_CHECKING:
    from lw_coder.containers.docker_command import EngineProbe
    from lw_coder.runs.run_folders import Run
    from lw_coder.runs.session_result import SessionResult
    from lw_coder.sessions.pausing import Resumption


def run_code_command(name: str | None, start: Path, probe: EngineProbe, options: CodeOptions) -> ExitCode:
    """Carry out a plan in a session: at the person's terminal, or headless.

    Args:
        name: path of a plan file, or the id or file name of a plan in the repository's tasks folder; None
            for the plan of the run to go on with.
        start: a folder in the repository.
        probe: what docker was asked at the start.
        options: what was typed besides the plan.

    Raises:
        LwCoderError: an expected failure. Before the session, nothing has been changed; after it, its
            commits could not be imported.
        SystemExit: a signal ended the session; its commits were imported.
    """
    document = ResultDocument(*([click.echo] if options.as_json else [])) if options.headless else None
    with ended_on_failure(document):
        if not options.headless:
            require_terminal("or add --headless")
        code = _begin_and_end(_load(name, start, probe, options, document), document)
    if document:
        document.end(code)
    return code


def _load(
    name: str | None,
    start: Path,
    probe: EngineProbe,
    options: CodeOptions,
    document: ResultDocument | None,
) -> CodeInputs:
    if name is None:
        name, options = _plan_and_run(git.find_repository(start).home, options)
    try:
        return load_inputs(name, start, probe, options)
    except LwCoderError:
        if document:
            document.name_plan(start, name)
            _notify_of_failure(document, start)
        raise


def _notify_of_failure(document: ResultDocument, start: Path) -> None:
    """Let the person be notified although the set-up is wrong, if the plan and the config are known."""
    with suppress(LwCoderError):
        root = git.find_repository(start).root
        if document.values["plan_id"]:
            _add_notification(document, load_config(root), root)


def _add_notification(document: ResultDocument, config: CodeConfig, root: Path) -> None:
    if config.notify:
        from lw_coder.commands.notification import notify

        document.receivers.append(partial(notify, config.notify, root))


def _plan_and_run(home: Path, options: CodeOptions) -> tuple[str, CodeOptions]:
    """Return the plan of the run to go on with; a plan's id alone stands for its newest conversation."""
    from lw_coder.runs.find_run import find_run

    named = options.continues or ""
    run = find_run(home, named)
    return run.plan_id, replace(options, continues="" if named == run.plan_id else run.identity)


def _begin_and_end(inputs: CodeInputs, document: ResultDocument | None) -> ExitCode:
    if document:
        document.begin(inputs.plan_id, inputs.limits)
        _add_notification(document, inputs.context.config, inputs.context.repository.root)
    options = inputs.options
    if not is_wanted(inputs.plan, yes=options.yes, can_ask=not options.headless):
        return ExitCode.ERROR
    with plan_lock(inputs.context.repository.common_dir, inputs.plan_id):
        inputs, setup, end = carry_out_with_pauses(inputs, document)
        end = with_verdict(inputs, setup, end)
    if document:
        verdict = end.verdict.as_record() if end.verdict else None
        document.complete(setup, end.result, end.imported, end.uncommitted, verdict)
    report_end(inputs, setup, end)
    report_uncommitted(setup, end.uncommitted)
    if end.verdict is not None:
        from lw_coder.commands.verdict_report import report_verdict

        report_verdict(end.verdict, shell_path(setup.context.repository.root, setup.run.folder))
    return exit_code(setup.run, end.result, end.imported, end.verdict)


def carry_out_with_pauses(
    inputs: CodeInputs, document: ResultDocument | None
) -> tuple[CodeInputs, SessionSetup, CodeEnd]:
    """Run a session, and others that go on with its conversation as long as pauses may be waited for.

    Returns:
        What the last one was started from, its set-up, and its end.
    """
    in_vain = 0
    while True:
        setup, end = carry_out(inputs, document)
        if end.result.pause is None or not inputs.options.headless or end.imported.problem:
            return inputs, setup, end
        from lw_coder.sessions.pausing import resumption_after, waited_until

        resumption = resumption_after(end.result, inputs.limits, in_vain, datetime.now(UTC))
        if resumption is None:
            return inputs, setup, end
        if signalled := waited_until(resumption.at, partial(report_pause, setup, end, resumption)):
            return inputs, setup, replace(end, result=replace(end.result, signalled=signalled))
        in_vain = 0 if end.has_answers else in_vain + 1
        inputs = after_pause(inputs, setup.run, end, resumption)


def after_pause(inputs: CodeInputs, run: Run, end: CodeEnd, resumption: Resumption) -> CodeInputs:
    """Return the inputs of the session that goes on; a new conversation begins where there was none yet."""
    from lw_coder.sessions.continuing import find_conversation

    message = None if end.has_answers else inputs.options.message
    options = replace(inputs.options, message=message, limits=resumption.limits)
    try:
        conversation = find_conversation([run], run.identity)
    except RunError:
        conversation = None
    return replace(inputs, options=options, conversation=conversation)


def carry_out(inputs: CodeInputs, document: ResultDocument | None) -> tuple[SessionSetup, CodeEnd]:
    """Prepare and run one session, and complete it; the checks come later."""
    with Dependencies() as dependencies, EarlyCompose() as early:
        setup = prepare(inputs, dependencies, early)
        result = _kept(setup, run(inputs, setup, early, has_dependencies=dependencies.are_started))
        if result.status:
            dependencies.warn_of_failure()
    return setup, complete(inputs, setup, result, document)


def complete(
    inputs: CodeInputs, setup: SessionSetup, result: SessionResult, document: ResultDocument | None
) -> CodeEnd:
    """Import the session's commits, count its uncommitted files, and record both."""
    repository, identity = setup.context.repository, setup.run.identity
    if inputs.is_remote:
        from lw_coder.engines.late_results import follow_branch, note_untouched

        untouched = note_untouched(setup.worktree)
    imported = import_commits(repository, setup.worktree, setup.git, identity, yes=inputs.options.yes)
    if inputs.is_remote:
        follow_branch(setup.worktree, imported, was_untouched=untouched)
    uncommitted = find_uncommitted(setup.worktree, imported)
    run_record.complete(setup.run, result, imported, uncommitted=uncommitted)
    if document:  # the checks can fail
        document.complete(setup, result, imported, uncommitted, None)
    return CodeEnd(result, imported, uncommitted)


def with_verdict(inputs: CodeInputs, setup: SessionSetup, end: CodeEnd) -> CodeEnd:
    """Run the checks over a session's result."""
    if not inputs.options.checks or end.result.setup:
        return end
    verdict, result = judged(setup, inputs.plan, end.result, end.imported)
    return replace(end, result=result, verdict=verdict)


def _kept(setup: SessionSetup, result: SessionResult) -> SessionResult:
    """Keep what the setup commands printed, if there are any."""
    if not (commands := setup.context.config.setup):
        return result
    from lw_coder.sessions.setup_commands import with_setup

    return with_setup(setup.run.folder, commands, session_redaction(setup.context), result)


def run(
    inputs: CodeInputs, setup: SessionSetup, early: EarlyCompose, *, has_dependencies: bool
) -> SessionResult:
    """Run the session, at the person's terminal or headless."""
    folder, session = setup.run.folder, replace(code_session(setup), has_dependencies=has_dependencies)
    if count := len(setup.context.config.setup):
        say(f"Setup:    before the agent starts, {count} {'commands run' if count > 1 else 'command runs'}")
    if not inputs.options.headless:
        if inputs.conversation:
            say("Session:  droid shows the earlier conversation; type what it is to do next")
        return run_session(folder, session, inputs.limits or None, ends_at_pause=True)
    from lw_coder.commands.session_job import carried_out

    say(f"Session:  {limits_line(inputs.limits)}; to end it, press Ctrl+C")
    return carried_out(inputs, setup, session, early)
