"""`lw_coder code`: a sequence of steps from a plan to its commits. Each step is a separate module."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lw_coder.commands.code_options import CodeOptions
from lw_coder.commands.image_notice import report_image_source
from lw_coder.commands.judgement import judged
from lw_coder.commands.result_document import ResultDocument, ended_on_failure
from lw_coder.commands.session_report import exit_code, replay_command, report_session, shell_path
from lw_coder.commands.set_up import all_named, require_set_up
from lw_coder.containers import engine, images
from lw_coder.containers.image_names import repo_tag
from lw_coder.foundation import signals
from lw_coder.foundation.background import Background
from lw_coder.foundation.errors import ExitCode, LwCoderError, RunError
from lw_coder.foundation.locks import plan_lock
from lw_coder.foundation.report import say, show, tell, waiting, warn
from lw_coder.gateway.state import shown_time
from lw_coder.plans.finished import is_wanted
from lw_coder.plans.plan_checks import load_plan
from lw_coder.plans.plan_file import PlanFile
from lw_coder.prompts import prompt_files
from lw_coder.prompts.continued import for_continuing
from lw_coder.prompts.generation import generate_prompts
from lw_coder.prompts.unattended import for_nobody
from lw_coder.repository import git
from lw_coder.repository.git_settings import read_configuration
from lw_coder.repository.importing.commits import REFS_PREFIX, ImportResult, import_commits
from lw_coder.repository.importing.uncommitted import Uncommitted, find_uncommitted
from lw_coder.repository.notices import session_notices
from lw_coder.repository.private_git import create_private_git
from lw_coder.repository.worktrees import ensured_worktree
from lw_coder.runs import run_folders, run_record
from lw_coder.runs.pruning import prune
from lw_coder.sessions.cleanup import stop_abandoned_sessions
from lw_coder.sessions.context import (
    SessionContext,
    load_context,
    report_context,
    require_engine,
    session_redaction,
)
from lw_coder.sessions.dependencies import Dependencies
from lw_coder.sessions.session import run_session
from lw_coder.sessions.setup import (
    SessionSetup,
    write_build_files,
    write_compose_files,
    write_prompt_files,
    write_settings,
)
from lw_coder.sessions.spec import session_spec
from lw_coder.sessions.terminal import require_terminal
from lw_coder.sessions.unfinished import import_unfinished_runs
from lw_coder.settings.config import CodeConfig, load_config
from lw_coder.settings.environment import build_variables
from lw_coder.settings.limits import Limits, limits_line, require_known, shown
from lw_coder.verdicts.stub import INCLUDED, write_stub

if TYPE_CHECKING:
    from lw_coder.containers.compose_files import ImageBuild
    from lw_coder.containers.docker_command import EngineProbe, LocalImage
    from lw_coder.containers.images import Built
    from lw_coder.containers.specs import SessionSpec
    from lw_coder.dspy.generated_prompts import GeneratedPrompts
    from lw_coder.runs.run_folders import Run
    from lw_coder.runs.session_result import AgentReport, SessionResult
    from lw_coder.sessions.continuing import Conversation
    from lw_coder.sessions.pausing import Resumption
    from lw_coder.verdicts.verdict import Verdict

_MOST_SHOWN = 5  # refs
_BRIEF = 0.3  # seconds; rich is imported only to show a longer wait


@dataclass(frozen=True)
class CodeInputs:
    """The validated inputs of the command; nothing has been created yet.

    Attributes:
        plan: the plan to carry out.
        build_files: what the repository's image is built from.
        context: the session's settings and variables.
        engine: the Docker engine.
        base: the base image as it was at the start.
        build_variables: variables for the repository's build.
        options: what was typed besides the plan.
        conversation: the earlier conversation to go on with, or None.
    """

    plan: PlanFile
    build_files: images.RepoBuildFiles
    context: SessionContext
    engine: engine.Engine
    base: LocalImage | None
    build_variables: Mapping[str, str] = field(repr=False)
    options: CodeOptions
    conversation: Conversation | None = None

    @property
    def plan_id(self) -> str:
        """The plan's name."""
        return self.plan.metadata.plan_id

    @property
    def limits(self) -> Limits:
        """The limits of the session."""
        return self.options.effective_limits(self.context.config.limits)


@dataclass(frozen=True)
class CodeEnd:
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
        name, options = _plan_and_run(git.find_repository(start).root, options)
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


def _plan_and_run(root: Path, options: CodeOptions) -> tuple[str, CodeOptions]:
    """Return the plan of the run to go on with; a plan's id alone stands for its newest conversation."""
    from lw_coder.runs.find_run import find_run

    named = options.continues or ""
    run = find_run(root, named)
    return run.plan_id, replace(options, continues="" if named == run.plan_id else run.identity)


def _begin_and_end(inputs: CodeInputs, document: ResultDocument | None) -> ExitCode:
    if document:
        document.begin(inputs.plan_id, inputs.limits)
        _add_notification(document, inputs.context.config, inputs.context.repository.root)
    options = inputs.options
    if not is_wanted(inputs.plan, yes=options.yes, can_ask=not options.headless):
        return ExitCode.ERROR
    with plan_lock(inputs.context.repository.root, inputs.plan_id):
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


def load_inputs(name: str, start: Path, probe: EngineProbe, options: CodeOptions) -> CodeInputs:
    """Do all checks that are cheap, and create nothing."""
    repository = git.find_repository(start)
    require_set_up(repository.root)
    with all_named(repository, probe, name):
        inputs = _checked(name, repository, probe, options)
    report_context(inputs.context)
    return inputs


def _checked(name: str, repository: git.Repository, probe: EngineProbe, options: CodeOptions) -> CodeInputs:
    plan = load_plan(repository, name)
    context = load_context(repository, load_config(repository.root))
    if not context.config.gateway:
        require_known(options.limits, "--")
    build_files = images.read_build_files(
        repository.root, context.environment.env_file, context.config.build_options
    )
    variables = build_variables(context.environment, context.config.build_options.variables, os.environ)
    base = probe.base_image
    # Compose built the current base image, and labels the next image that it builds with its version.
    found = require_engine(probe, context, build_gives_version=images.is_current(base))
    earlier = _conversation(repository.root, plan.metadata.plan_id, options.continues)
    return CodeInputs(plan, build_files, context, found, base, variables, options, earlier)


def _conversation(root: Path, plan_id: str, named: str | None) -> Conversation | None:
    """Find the conversation to go on with, if that is wanted."""
    if named is None:
        return None
    from lw_coder.runs.find_run import find_run
    from lw_coder.sessions.continuing import find_conversation

    run = find_run(root, named, plan_id) if named else None
    return find_conversation([run] if run else run_folders.list_runs(root, plan_id), named or plan_id)


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
    with Dependencies() as dependencies:
        setup = prepare(inputs, dependencies)
        result = _kept(setup, run(inputs, setup, has_dependencies=dependencies.are_started))
        if result.status:
            dependencies.warn_of_failure()
    return setup, complete(inputs, setup, result, document)


def complete(
    inputs: CodeInputs, setup: SessionSetup, result: SessionResult, document: ResultDocument | None
) -> CodeEnd:
    """Import the session's commits, count its uncommitted files, and record both."""
    repository, identity = setup.context.repository, setup.run.identity
    imported = import_commits(repository, setup.worktree, setup.git, identity, yes=inputs.options.yes)
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


def write_setup_commands(setup: SessionSetup) -> None:
    """Write what runs the setup commands, if there are any."""
    config = setup.context.config
    if config.setup:
        from lw_coder.sessions.setup_commands import write_setup_files

        variables = (*setup.context.environment.names, *config.run_options.variables)
        write_setup_files(setup.run.folder, config.setup, variables)


def _spec(setup: SessionSetup) -> SessionSpec:
    """Describe the session's container, with its setup commands."""
    if not setup.context.config.setup:
        return session_spec(setup, setup.run.plan_id)
    from lw_coder.sessions.setup_commands import setup_mounts

    return session_spec(setup, setup.run.plan_id, *setup_mounts(setup.run.folder))


def run(inputs: CodeInputs, setup: SessionSetup, *, has_dependencies: bool) -> SessionResult:
    """Run the session, at the person's terminal or headless."""
    folder, session = setup.run.folder, replace(_spec(setup), has_dependencies=has_dependencies)
    if count := len(setup.context.config.setup):
        say(f"Setup:    before the agent starts, {count} {'commands run' if count > 1 else 'command runs'}")
    if not inputs.options.headless:
        if inputs.conversation:
            say("Session:  droid shows the earlier conversation; type what it is to do next")
        return run_session(folder, session, inputs.limits or None, ends_at_pause=True)
    from lw_coder.sessions.headless import run_headless
    from lw_coder.sessions.progress import Progress

    redaction = session_redaction(setup.context)
    progress = Progress(folder, str(setup.worktree.branch), redaction)
    say(f"Session:  {limits_line(inputs.limits)}; to end it, press Ctrl+C")
    return run_headless(folder, session, inputs.limits, redaction, progress)


def prepare(inputs: CodeInputs, dependencies: Dependencies) -> SessionSetup:
    """Create the worktree, the run's folder, the images and the prompts; on failure, remove them."""
    context, repository = inputs.context, inputs.context.repository
    run_folders.remove_partial_runs(repository.root, inputs.plan_id)
    import_unfinished_runs(repository, context.identity, inputs.plan_id, yes=inputs.options.yes)
    where = f"{inputs.plan.path}: git_sha"
    with (
        ensured_worktree(repository, inputs.plan.metadata, where, yes=inputs.options.yes) as worktree,
        run_folders.removed_on_failure(run_folders.open_run(repository.root, inputs.plan_id)) as run,
    ):
        configured = read_configuration(worktree.place)
        identity = git.require_identity(worktree.place, configured)
        write_build_spec(inputs, run)
        # Everything else is done while the images are built: neither needs the other.
        with Background(
            lambda: images.build_images(run.folder, context.identity, inputs.base, inputs.build_variables),
            cleans_up=True,
        ) as building:
            engine.load_client()
            has_proxies = context.config.has_networks
            stop_abandoned_sessions(context.identity, inputs.plan_id, has_proxies=has_proxies)
            private_git = create_private_git(repository, worktree, run.folder, identity, configured)
            for note in private_git.notes:
                warn(note)
            setup = SessionSetup(
                context, run, worktree, private_git, inputs.conversation, limits=inputs.limits
            )
            write_settings(setup)
            write_setup_commands(setup)
            if inputs.base and images.is_current(inputs.base):
                dependencies.start(setup, inputs.base.id)
            sha = inputs.plan.metadata.git_sha
            report_image_source(repository, worktree, sha, inputs.build_files.dockerfile)
            report_notices(inputs, setup, configured)
            prompts = write_prompts(inputs, setup, building)
            built = built_images(building, repo_tag(context.identity))
        dependencies.wait_for_networks(setup)
        seal(inputs, setup, prompts, built)
    with signals.held():  # the run is sealed, and its session is about to begin
        for line in prune(repository, keep=run):
            tell(line)
    return setup.as_sealed()


def report_notices(inputs: CodeInputs, setup: SessionSetup, configured: Mapping[str, str]) -> None:
    """Warn of what does not work in the session."""
    repository, sha = setup.context.repository, inputs.plan.metadata.git_sha
    may_have = setup.git.has_submodules
    for line in session_notices(
        repository, configured, sha, setup.worktree.path, may_have_submodules=may_have
    ):
        warn(line)


def built_images(building: Background[Built], tag: str) -> Built:
    """Wait for the images; show a wait that is long enough to be noticed."""
    if building.ends_within(_BRIEF):
        return building.result()
    with waiting(f"Building the image {tag} ..."):
        return building.result()


def write_build_spec(inputs: CodeInputs, run: Run) -> None:
    """Write the files that the images are built from."""
    run_folders.write_file(run.folder, images.DOCKERFILE.name, inputs.build_files.dockerfile)
    run_folders.write_file(run.folder, f"{images.DOCKERFILE.name}.dockerignore", inputs.build_files.ignore)
    write_build_files(inputs.context, run.folder, _builds(inputs.context, run.folder))


def _builds(context: SessionContext, folder: Path) -> dict[str, ImageBuild]:
    tag = repo_tag(context.identity)
    repo = images.repo_build(context.repository.root, folder, tag, context.config.build_options)
    return {"base": images.base_build(), "repo": repo}


def write_prompts(inputs: CodeInputs, setup: SessionSetup, building: Background[Built]) -> GeneratedPrompts:
    """Write the prompt files of a run; a build that fails meanwhile ends the wait for the model."""
    context, plan = inputs.context, inputs.plan.metadata
    named = context.config.prompt_program
    program = context.repository.root / named if named else None
    prompts = generate_prompts(plan, context.environment.model, program, building)
    texts = prompt_files.run_files(plan, prompts)
    if inputs.conversation:
        texts = for_continuing(texts, plan, inputs.options.message)
    write_prompt_files(setup, for_nobody(texts) if inputs.options.headless else texts)
    return prompts


def seal(inputs: CodeInputs, setup: SessionSetup, prompts: GeneratedPrompts, built: Built) -> None:
    """Complete the run's folder and give it its final name."""
    final, context = setup.as_sealed(), setup.context
    session, builds = _spec(final), _builds(context, final.run.folder)
    write_compose_files(final, session, builds, built.images, setup.run.folder, (INCLUDED,))
    write_stub(setup.run, built.images.repo)
    login, forwarded = context.login.name, context.environment.names
    used = replace(inputs.engine, compose_version=built.compose_version)
    record = run_record.begin(inputs.plan, prompts, built.images, used, login=login, forwarded=forwarded)
    run_folders.write_record(setup.run, {**record, **_typed(inputs)})
    signals.check()  # a signal until here undoes everything; after it, it ends the session
    run_folders.seal_run(setup.run)


def _typed(inputs: CodeInputs) -> dict[str, Any]:
    """Return what the record has of the options."""
    continued = inputs.conversation.run.identity if inputs.conversation else None
    return {
        "headless": inputs.options.headless,
        "limits": inputs.limits.as_dict(),
        "continues": continued,
    }


def report_pause(setup: SessionSetup, end: CodeEnd, resumption: Resumption) -> None:
    """Report a session that was paused, and when the next one goes on with its conversation."""
    report_session(end.result, end.imported, setup.context.config.run_options)
    report_commits(setup, end.imported)
    tell(f"Run:      {shell_path(setup.context.repository.root, setup.run.folder)}")
    at, left = shown_time(resumption.at), shown(round(resumption.limits.max_wait or 0, 1))
    tell(f"Model:    waiting for the provider until {at}; {left} minutes of max_wait are left then")
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
