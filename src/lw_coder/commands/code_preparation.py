"""From the inputs of `lw_coder code` to a sealed run, whose session is about to begin."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from lw_coder.commands.code_inputs import CodeInputs
from lw_coder.commands.image_notice import report_image_source
from lw_coder.containers import engine, images
from lw_coder.containers.build_inputs import build_digest
from lw_coder.containers.docker_command import HeadlessCall
from lw_coder.containers.early_compose import EarlyCompose
from lw_coder.containers.image_names import repo_tag
from lw_coder.containers.images import Built, Images
from lw_coder.foundation import signals
from lw_coder.foundation.report import say, tell, waiting, warn
from lw_coder.foundation.temporary import remove_abandoned_temporary
from lw_coder.prompts import prompt_files
from lw_coder.prompts.continued import for_continuing
from lw_coder.prompts.generation import generate_prompts
from lw_coder.prompts.unattended import for_nobody
from lw_coder.repository import git
from lw_coder.repository.git_settings import read_configuration
from lw_coder.repository.notices import session_notices
from lw_coder.repository.private_git import create_private_git
from lw_coder.repository.worktrees import ensured_worktree
from lw_coder.runs import run_folders, run_record
from lw_coder.runs.pruning import prune
from lw_coder.runs.run_folders import NODE_RECORD
from lw_coder.sessions.cleanup import ask_for_sessions, stop_abandoned_sessions
from lw_coder.sessions.context import SessionContext
from lw_coder.sessions.dependencies import Dependencies
from lw_coder.sessions.setup import (
    SessionSetup,
    write_build_files,
    write_compose_files,
    write_prompt_files,
    write_settings,
)
from lw_coder.sessions.spec import project_name, session_spec
from lw_coder.sessions.unfinished import import_unfinished_runs
from lw_coder.verdicts.stub import INCLUDED, write_stub

if TYPE_CHECKING:
    from lw_coder.containers.compose_files import ImageBuild
    from lw_coder.containers.docker_command import Question
    from lw_coder.containers.specs import SessionSpec
    from lw_coder.dspy.generated_prompts import GeneratedPrompts
    from lw_coder.foundation.background import Background
    from lw_coder.repository.worktrees import Worktree
    from lw_coder.runs.run_folders import Run

_BRIEF = 0.3  # seconds; rich is imported only to show a longer wait


def prepare(inputs: CodeInputs, dependencies: Dependencies, early: EarlyCompose) -> SessionSetup:
    """Create the worktree, the run's folder, the images and the prompts; on failure, remove them."""
    context, repository = inputs.context, inputs.context.repository
    run_folders.remove_abandoned(repository.home, inputs.plan_id)
    remove_abandoned_temporary()
    _import_what_is_left(inputs)
    where = f"{inputs.plan.path}: {'depends_on' if inputs.starts_from else 'git_sha'}"
    with (
        ask_for_sessions(context.identity, inputs.plan_id) as asked,
        ensured_worktree(repository, inputs.plan.metadata, where, yes=inputs.options.yes) as worktree,
        run_folders.removed_on_failure(run_folders.open_run(repository.home, inputs.plan_id)) as run,
    ):
        if inputs.is_remote:
            from lw_coder.engines.choice import require_committed

            require_committed(worktree)
        configured = read_configuration(worktree.place)
        identity = git.require_identity(worktree.place, configured)
        # Everything else is done while the images are built: neither needs the other.
        with _building(inputs, run) as building:
            if isinstance(building, Built) and inputs.options.headless and not inputs.is_remote:
                early.start(_headless_call(inputs, run))
            _remove_what_is_left(inputs, asked)
            setup = _set_up(inputs, run, worktree, identity, configured)
            if inputs.base and images.is_current(inputs.base) and not inputs.is_remote:
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
    return setup


def _headless_call(inputs: CodeInputs, run: Run) -> HeadlessCall:
    """Return what the session's client will be started with."""
    context = inputs.context
    project = project_name(context.identity, run.plan_id, run.name)
    return HeadlessCall(run.folder, project, dependencies=not context.config.has_networks)


def _import_what_is_left(inputs: CodeInputs) -> None:
    """Import what nodes still have of the plan, and what killed commands did not import."""
    repository, plan_id, yes = inputs.context.repository, inputs.plan_id, inputs.options.yes
    runs = run_folders.list_runs(repository.home, plan_id)
    if not any((run.folder / NODE_RECORD).exists() for run in runs):
        import_unfinished_runs(repository, inputs.context.identity, plan_id, yes=yes)
        return
    from lw_coder.engines.late_results import follow_after_kill, import_late_results

    import_late_results(repository, plan_id, gives_up=inputs.options.retry_lost, yes=yes)
    import_unfinished_runs(repository, inputs.context.identity, plan_id, yes=yes)
    follow_after_kill(repository, plan_id)


def _remove_what_is_left(inputs: CodeInputs, asked: Question) -> None:
    """Remove what earlier sessions left; docker has been asked whether there is anything."""
    identity, has_networks = inputs.context.identity, inputs.context.config.has_networks
    if has_networks:
        engine.load_client()
    stop_abandoned_sessions(identity, inputs.plan_id, asked, has_proxies=has_networks)


def _set_up(
    inputs: CodeInputs, run: Run, worktree: Worktree, identity: git.Identity, configured: Mapping[str, str]
) -> SessionSetup:
    """Create the private git folder, and write the settings."""
    context = inputs.context
    private_git = create_private_git(context.repository, worktree, run.folder, identity, configured)
    for note in private_git.notes:
        warn(note)
    setup = SessionSetup(context, run, worktree, private_git, inputs.conversation, limits=inputs.limits)
    write_settings(setup)
    write_setup_commands(setup)
    return setup


def report_notices(inputs: CodeInputs, setup: SessionSetup, configured: Mapping[str, str]) -> None:
    """Warn of what does not work in the session."""
    repository, sha = setup.context.repository, inputs.plan.metadata.git_sha
    may_have = setup.git.has_submodules
    for line in session_notices(
        repository, configured, sha, setup.worktree.path, may_have_submodules=may_have
    ):
        warn(line)


def _building(inputs: CodeInputs, run: Run) -> AbstractContextManager[Background[Built] | Built]:
    """Build the images in the background, or return them if nothing that they are built from has changed.

    At a terminal the repository's image is always built: so there is a command that leaves it to BuildKit.
    """
    base, repo, digest = inputs.base, inputs.repo, _digest(inputs)
    write_dockerfile(inputs, run)
    identity = inputs.context.identity
    compose = inputs.engine.compose_version
    if base and repo and compose and images.are_current(base, repo, digest):
        say(f"Image: {repo_tag(identity)} is current: nothing that it is built from has changed")
        return nullcontext(Built(Images(base.id, repo.id), compose))
    from lw_coder.foundation.background import Background

    write_build_files(inputs.context, run.folder, _builds(inputs.context, run.folder, digest))
    return Background(
        lambda: images.build_images(run.folder, identity, base, inputs.build_variables), cleans_up=True
    )


def _digest(inputs: CodeInputs) -> str | None:
    """Return what the repository's image is built from; None if only a build can tell."""
    context, files = inputs.context, inputs.build_files
    tag, options = repo_tag(context.identity), context.config.build_options
    return build_digest(context.repository.root, tag, files.dockerfile, files.ignore, options)


def built_images(building: Background[Built] | Built, tag: str) -> Built:
    """Wait for the images; show a wait that is long enough to be noticed."""
    if isinstance(building, Built):
        return building
    if building.ends_within(_BRIEF):
        return building.result()
    with waiting(f"Building the image {tag} ..."):
        return building.result()


def write_dockerfile(inputs: CodeInputs, run: Run) -> None:
    """Write what the repository's image is built from, besides the repository's files."""
    run_folders.write_file(run.folder, images.DOCKERFILE.name, inputs.build_files.dockerfile)
    run_folders.write_file(run.folder, f"{images.DOCKERFILE.name}.dockerignore", inputs.build_files.ignore)


def _builds(context: SessionContext, folder: Path, digest: str | None = None) -> dict[str, ImageBuild]:
    tag = repo_tag(context.identity)
    repo = images.repo_build(context.repository.root, folder, tag, context.config.build_options, digest)
    return {"base": images.base_build(), "repo": repo}


def write_setup_commands(setup: SessionSetup) -> None:
    """Write what runs the setup commands, if there are any."""
    config = setup.context.config
    if config.setup:
        from lw_coder.sessions.setup_commands import write_setup_files

        variables = (*setup.context.environment.names, *config.run_options.variables)
        write_setup_files(setup.run.folder, config.setup, variables)


def code_session(setup: SessionSetup) -> SessionSpec:
    """Describe the session's container, with its setup commands."""
    if not setup.context.config.setup:
        return session_spec(setup, setup.run.plan_id)
    from lw_coder.sessions.setup_commands import setup_mounts

    return session_spec(setup, setup.run.plan_id, *setup_mounts(setup.run.folder))


def write_prompts(
    inputs: CodeInputs, setup: SessionSetup, building: Background[Built] | Built
) -> GeneratedPrompts:
    """Write the prompt files of a run; a build that fails meanwhile ends the wait for the model."""
    context, plan = inputs.context, inputs.plan.metadata
    named = context.config.prompt_program
    program = context.repository.root / named if named else None
    beside = [] if isinstance(building, Built) else [building]
    prompts = generate_prompts(plan, context.environment.model, program, *beside)
    texts = prompt_files.run_files(plan, prompts)
    if inputs.conversation:
        texts = for_continuing(texts, plan, inputs.options.message)
    write_prompt_files(setup, for_nobody(texts) if inputs.options.headless else texts)
    return prompts


def seal(inputs: CodeInputs, setup: SessionSetup, prompts: GeneratedPrompts, built: Built) -> None:
    """Complete the run's folder, and let it be listed."""
    session, builds = code_session(setup), _builds(setup.context, setup.run.folder)
    write_compose_files(setup, session, builds, built.images, (INCLUDED,))
    write_stub(setup.run, built.images.repo)
    login, forwarded = setup.context.login.name, setup.context.environment.names
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
        **({"engine": inputs.options.engine or inputs.context.config.engine} if inputs.is_remote else {}),
        "limits": inputs.limits.as_dict(),
        "continues": continued,
        "starts_from": dict(inputs.starts_from),
    }
