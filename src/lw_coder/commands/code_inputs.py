"""What `lw_coder code` checks before it creates anything."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import field

from lw_coder.commands.code_options import CodeOptions
from lw_coder.commands.set_up import all_named, require_set_up
from lw_coder.containers import engine, images
from lw_coder.containers.image_names import repo_tag
from lw_coder.foundation.report import say
from lw_coder.foundation.values import Secret
from lw_coder.plans.plan_checks import load_plan
from lw_coder.plans.plan_file import PlanFile
from lw_coder.repository import git
from lw_coder.runs import run_folders
from lw_coder.sessions.context import (
    SessionContext,
    load_context,
    report_context,
    require_engine,
)
from lw_coder.settings.config import load_config
from lw_coder.settings.environment import build_variables
from lw_coder.settings.limits import Limits, require_known

if TYPE_CHECKING:
    from lw_coder.containers.docker_command import EngineProbe, LocalImage
    from lw_coder.sessions.continuing import Conversation


class CodeInputs(Secret, frozen=True):
    """The validated inputs of the command; nothing has been created yet.

    Attributes:
        plan: the plan to carry out.
        build_files: what the repository's image is built from.
        context: the session's settings and variables.
        engine: the Docker engine.
        base: the base image as it was at the start.
        build_variables: variables for the repository's build.
        options: what was typed besides the plan.
        probe: what docker was asked at the start.
        conversation: the earlier conversation to go on with, or None.
        starts_from: the commit of each plan that it depends on, by the plan's id.
    """

    plan: PlanFile
    build_files: images.RepoBuildFiles
    context: SessionContext
    engine: engine.Engine
    base: LocalImage | None
    build_variables: Mapping[str, str]
    options: CodeOptions
    probe: EngineProbe
    conversation: Conversation | None = None
    starts_from: Mapping[str, str] = field(default_factory=dict)

    @property
    def plan_id(self) -> str:
        """The plan's name."""
        return self.plan.metadata.plan_id

    @property
    def repo(self) -> LocalImage | None:
        """The repository's image as it was at the start, if it may be used without a build."""
        return self.probe.repo_image

    @property
    def is_remote(self) -> bool:
        """Whether the session runs on a node of a cluster; one at a terminal never does."""
        return self.options.runs_remotely(self.context.config.engine)

    @property
    def limits(self) -> Limits:
        """The limits of the session."""
        return self.options.effective_limits(self.context.config.limits)


def load_inputs(name: str, start: Path, probe: EngineProbe, options: CodeOptions) -> CodeInputs:
    """Do all checks that are cheap, and create nothing."""
    repository = git.find_repository(start)
    require_set_up(repository.root)
    with all_named(repository, probe, name):
        inputs = _checked(name, repository, probe, options)
    report_context(inputs.context)
    if inputs.starts_from:
        results = ", ".join(inputs.starts_from)
        say(f"Base:     {inputs.plan.metadata.git_sha[:12]}, with the results of {results}")
    return inputs


def _checked(name: str, repository: git.Repository, probe: EngineProbe, options: CodeOptions) -> CodeInputs:
    plan, starts_from = _start(repository, load_plan(repository, name))
    context = load_context(repository, load_config(repository.root))
    if options.headless:  # at a terminal it is always built
        probe.ask_repo_image(repo_tag(context.identity))
    if options.runs_remotely(context.config.engine):
        from lw_coder.engines.choice import require_remote

        require_remote(context)
    if not context.config.gateway:
        require_known(options.limits, "--")
    build_files = images.read_build_files(
        repository.root, context.environment.env_file, context.config.build_options
    )
    variables = build_variables(context.environment, context.config.build_options.variables, os.environ)
    base = probe.base_image
    # Compose built the current base image, and labels the next image that it builds with its version.
    is_told = images.is_current(base) and not options.headless
    found = require_engine(probe, context, build_gives_version=is_told)
    earlier = _conversation(repository.home, plan.metadata.plan_id, options.continues)
    return CodeInputs(
        plan,
        build_files,
        context,
        found,
        base,
        variables,
        options,
        probe,
        earlier,
        starts_from=starts_from,
    )


def _start(repository: git.Repository, plan: PlanFile) -> tuple[PlanFile, Mapping[str, str]]:
    """Find the commit that a plan starts from, which is its git_sha from here on, and what led to it."""
    if not plan.depends_on:
        return plan, {}
    from lw_coder.batches.starting_points import starting_point

    start = starting_point(repository, plan)
    return start.plan, start.tips


def _conversation(home: Path, plan_id: str, named: str | None) -> Conversation | None:
    """Find the conversation to go on with, if that is wanted."""
    if named is None:
        return None
    from lw_coder.runs.find_run import find_run
    from lw_coder.sessions.continuing import find_conversation

    run = find_run(home, named, plan_id) if named else None
    return find_conversation([run] if run else run_folders.list_runs(home, plan_id), named or plan_id)
