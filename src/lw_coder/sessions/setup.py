"""The set-up of a session: its folders, and the files that are written before it starts."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import field
from msgspec.structs import replace

from lw_coder.containers import engine
from lw_coder.containers.compose_files import (
    ComposeSpec,
    ImageBuild,
    named_volumes,
    render,
    render_dependencies,
)
from lw_coder.containers.images import Images
from lw_coder.containers.specs import SessionSpec
from lw_coder.foundation.report import warn
from lw_coder.foundation.values import Secret
from lw_coder.gateway.settings import FOLDER as GATEWAY_FOLDER
from lw_coder.gateway.settings import SETTINGS_FILE, agents_access, render_gateway_settings
from lw_coder.prompts import prompt_files
from lw_coder.runs.run_folders import Run, write_file
from lw_coder.sessions.context import session_redaction
from lw_coder.sessions.droid_files import factory_notes
from lw_coder.sessions.droid_settings import (
    OVERRIDES_FILE,
    render_overrides,
    render_policy,
    render_settings,
)
from lw_coder.sessions.login import POLICY_FILE, policy_mounts
from lw_coder.settings.limits import Limits

if TYPE_CHECKING:
    from lw_coder.repository.private_git import PrivateGit
    from lw_coder.repository.worktrees import Worktree
    from lw_coder.sessions.context import SessionContext
    from lw_coder.sessions.continuing import Conversation


class SessionSetup(Secret, frozen=True):
    """The folders of one session, after they were created.

    Attributes:
        context: the session's settings and variables.
        run: its folder, partial until it is sealed.
        worktree: the tree that the agent works on.
        git: its private git folder.
        conversation: the earlier conversation that it goes on with, or None.
        limits: the session's.
        token: what the agent shows to the run's gateway, if there is one; it is good for this run alone.
    """

    context: SessionContext
    run: Run
    worktree: Worktree
    git: PrivateGit
    conversation: Conversation | None = None
    limits: Limits = field(default_factory=Limits)
    token: str = field(default_factory=secrets.token_urlsafe)


def write_settings(setup: SessionSetup) -> None:
    """Write what every session mounts, and create the named volumes."""
    context, folder = setup.context, setup.run.folder
    (folder / "sessions").mkdir(mode=0o700)
    settings = _settings(setup)
    write_file(folder, "settings.json", settings)
    write_file(folder, POLICY_FILE, render_policy(settings))
    if setup.conversation:
        from lw_coder.sessions.continuing import copy_conversation

        copy_conversation(setup.conversation, folder, session_redaction(context))
    if context.config.gateway:
        _write_gateway_files(setup)
    for volume in named_volumes(context.config.run_options):
        engine.ensure_volume(volume)


def _write_gateway_files(setup: SessionSetup) -> None:
    context, folder = setup.context, setup.run.folder
    (folder / GATEWAY_FOLDER).mkdir(mode=0o700)
    model, names = context.environment.model, context.environment.names
    settings = render_gateway_settings(setup.token, model, context.config, setup.limits, names)
    write_file(folder, SETTINGS_FILE, settings)


def write_prompt_files(setup: SessionSetup, texts: Mapping[str, str]) -> None:
    """Write a run's prompts and subagents, and the settings that stop other subagents from replacing them.

    Args:
        setup: the session's folders.
        texts: by the files' paths below the run's folder.
    """
    folder, login = setup.run.folder, setup.context.login
    for path, text in texts.items():
        write_file(folder, path, text)
    subagents = prompt_files.subagents(texts)
    write_file(folder, OVERRIDES_FILE, render_overrides(_settings(setup), subagents))
    names = [subagent.front["name"] for subagent in subagents]
    for line in factory_notes(setup.worktree.path, names, hooks_run=not policy_mounts(login, folder)):
        warn(line)


def _settings(setup: SessionSetup) -> str:
    context, config = setup.context, setup.context.config
    model = context.environment.model
    return render_settings(
        context.login,
        agents_access(model, setup.token) if config.gateway else model,
        max_output_tokens=config.max_output_tokens,
        is_confined=config.allow_hosts is not None,
        has_token=config.gateway,
    )


def write_build_files(context: SessionContext, folder: Path, builds: Mapping[str, ImageBuild]) -> None:
    """Write the Compose files that the images are built from; they do not describe the session yet.

    Args:
        context: the session's settings and variables.
        folder: the run's; paths are written relative to it.
        builds: the services' builds, by service.
    """
    _write(_compose_spec(context, folder, builds))


def write_compose_files(
    setup: SessionSetup,
    session: SessionSpec,
    builds: Mapping[str, ImageBuild],
    used: Images,
    includes: tuple[str, ...] = (),
) -> None:
    """Write a run's Compose files.

    Args:
        setup: the session's folders; paths are written relative to its run's folder.
        session: the droid service.
        builds: the other services' builds, by service.
        used: the images of the droid service and of its proxy.
        includes: other Compose files of the run, relative to its folder.
    """
    spec = _compose_spec(setup.context, setup.run.folder, builds)
    spec = replace(spec, image=used.repo, proxy_image=used.base)
    _write(replace(spec, session=session, includes=includes))


def write_dependencies(setup: SessionSetup, session: SessionSpec, image: str) -> None:
    """Write a Compose file of the services that the session depends on, and what they mount.

    Args:
        setup: the session's folders; paths are written relative to its run's folder.
        session: the session's container.
        image: id of the services' image.
    """
    spec = replace(_compose_spec(setup.context, setup.run.folder, {}), proxy_image=image)
    for name, text in render_dependencies(spec, session).items():
        write_file(setup.run.folder, name, text)


def _compose_spec(context: SessionContext, folder: Path, builds: Mapping[str, ImageBuild]) -> ComposeSpec:
    return ComposeSpec(
        folder=folder,
        root=context.repository.root,
        session=None,
        run_options=context.config.run_options,
        builds=builds,
        env_file=context.environment.env_file,
        ca_bundle=context.ca_bundle,
    )


def _write(spec: ComposeSpec) -> None:
    for name, text in render(spec).items():
        write_file(spec.folder, name, text)
