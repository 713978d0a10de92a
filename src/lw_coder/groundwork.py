"""What every session stands on, whichever command starts it; and its container, as Compose gets it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lw_coder import engine, images, prompt_assets
from lw_coder.compose_file import ComposeSpec, ImageBuild, named_volumes, render
from lw_coder.config_loader import CodeConfig
from lw_coder.droid_files import steering_notes
from lw_coder.droid_session import (
    OVERRIDES_FILE,
    POLICY_FILE,
    Login,
    Mount,
    SessionSpec,
    allowed_hosts,
    ca_mounts,
    choose_login,
    fixed_environment,
    host_user,
    login_mounts,
    policy_mounts,
    project_name,
    session_labels,
    session_mounts,
)
from lw_coder.droid_settings import render_overrides, render_policy, render_settings
from lw_coder.environment import PROXY_NAMES, SessionEnvironment, load_environment
from lw_coder.git import Repository, root_commit
from lw_coder.image_names import repo_hash
from lw_coder.plan_file import TASKS_FOLDER
from lw_coder.report import say, warn
from lw_coder.runs_manager import Run, write_file

if TYPE_CHECKING:
    from lw_coder.docker_command import Approach
    from lw_coder.engine import Engine
    from lw_coder.session_git import SessionGit
    from lw_coder.worktrees import Worktree


@dataclass(frozen=True)
class Groundwork:
    """What was looked at before anything was made, and does not depend on the command.

    Attributes:
        repository: the person's.
        config: its settings.
        environment: the session's variables.
        login: how the agent signs in.
        identity: the repository's, from `image_names.repo_hash`.
        ca_bundle: certificates that builds and sessions trust, or None.
    """

    repository: Repository
    config: CodeConfig
    environment: SessionEnvironment
    login: Login
    identity: str
    ca_bundle: Path | None


@dataclass(frozen=True)
class Workplace:
    """Where one session works, once it is made.

    Attributes:
        ground: what it stands on.
        run: its folder, partial until it is sealed.
        worktree: the tree that the agent has.
        git: what it sees of git.
    """

    ground: Groundwork
    run: Run
    worktree: Worktree
    git: SessionGit

    def as_sealed(self) -> Workplace:
        """Return the same with the run's final folder, which may not be there yet."""
        run = replace(self.run, folder=self.run.final_folder)
        return replace(self, run=run, git=replace(self.git, run_folder=run.folder))


def look_around(repository: Repository, config: CodeConfig) -> Groundwork:
    """Look at everything that is cheap and can be wrong, but for the engine; make nothing.

    Raises:
        LwCoderError: the env file, the certificates or the repository cannot be used.
    """
    environment = load_environment(repository.root, config.env_file, config.forward_env, os.environ)
    login = choose_login(environment.values, Path.home())
    ca_bundle = config.find_ca_bundle(repository.root, os.environ)
    identity = repo_hash(root_commit(repository), repository.common_dir)
    return Groundwork(repository, config, environment, login, identity, ca_bundle)


def reach_engine(approach: Approach, ground: Groundwork, *, build_tells: bool = False) -> Engine:
    """See that the engine answers, can do what the configuration asks for, and reads the env file as we do.

    Args:
        approach: what was asked of it.
        ground: what the session stands on.
        build_tells: as `engine.connect` has it.

    Raises:
        EngineError: it does not, or cannot.
        EnvironmentFileError: Compose reads another value, or none.
    """
    found, environment = engine.connect(approach, build_tells=build_tells), ground.environment
    if ground.config.allow_hosts is not None:
        engine.require_isolation(found.version)
    if environment.env_file:
        engine.check_env_file(environment.env_file, environment.values)
    return found


def tell(ground: Groundwork) -> None:
    """Say what a person should know before the session: warnings, and who the agent is signed in as."""
    config, environment = ground.config, ground.environment
    for line in config.warnings():
        warn(line)
    if config.allow_hosts is not None and not environment.values.keys().isdisjoint(PROXY_NAMES):
        warn("allow_hosts: sessions go out by a proxy of their own, which does not use yours")
    say(f"Agent: {ground.login.value}")


def session_spec(work: Workplace, owner: str, *extra: Mount, tasks_read_only: bool = True) -> SessionSpec:
    """Describe a session's container.

    Args:
        work: where it works.
        owner: what its container is found again by: a plan's id, or a name that no plan can have.
        extra: what its command mounts besides.
        tasks_read_only: False where plans are what the session writes.
    """
    ground, run = work.ground, work.run
    allowed = allowed_hosts(ground.login, ground.environment.model, ground.config.allowed_hosts)
    tasks = ground.repository.root / TASKS_FOLDER
    return SessionSpec(
        project=project_name(ground.identity, run.plan_id, run.name),
        user=host_user(),
        mounts=(
            *session_mounts(run.folder, work.worktree.path, work.git, tasks, tasks_read_only=tasks_read_only),
            *extra,
            *policy_mounts(ground.login, run.folder),
            *login_mounts(ground.login, Path.home()),
            *ca_mounts(ground.ca_bundle),
        ),
        forwarded=ground.environment.names,
        fixed=fixed_environment(
            ground.login, has_ca_bundle=ground.ca_bundle is not None, has_proxy=allowed is not None
        ),
        labels=session_labels(ground.identity, owner, run.name),
        allowed=allowed,
    )


def write_settings(work: Workplace) -> None:
    """Write what a session mounts whatever its command, and make the volumes that it names."""
    ground, folder = work.ground, work.run.folder
    (folder / "sessions").mkdir(mode=0o700)
    settings = _settings(ground)
    write_file(folder, "settings.json", settings)
    write_file(folder, POLICY_FILE, render_policy(settings))
    for volume in named_volumes(ground.config.run_options):
        engine.ensure_volume(volume)


def write_prompt_files(work: Workplace, texts: Mapping[str, str]) -> None:
    """Write a run's prompts and subagents, and the settings by which no others take the subagents' place.

    Args:
        work: where the session works.
        texts: by the files' paths below the run's folder.
    """
    for path, text in texts.items():
        write_file(work.run.folder, path, text)
    subagents = prompt_assets.subagents(texts)
    write_file(work.run.folder, OVERRIDES_FILE, render_overrides(_settings(work.ground), subagents))
    names = [subagent.front["name"] for subagent in subagents]
    hooks_run = not policy_mounts(work.ground.login, work.run.folder)
    for line in steering_notes(work.worktree.path, names, hooks_run=hooks_run):
        warn(line)


def _settings(ground: Groundwork) -> str:
    is_confined = ground.config.allow_hosts is not None
    return render_settings(ground.login, ground.environment.model, is_confined=is_confined)


def write_build_files(ground: Groundwork, folder: Path, builds: Mapping[str, ImageBuild]) -> None:
    """Write the Compose files that the images are built from, before there is a session to describe.

    Args:
        ground: what the builds stand on.
        folder: the run's; paths are written relative to it.
        builds: the services' builds, by service.
    """
    _write(folder, _compose_spec(ground, folder, builds))


def write_compose_files(
    work: Workplace, session: SessionSpec, builds: Mapping[str, ImageBuild], used: images.Images, into: Path
) -> None:
    """Write a run's Compose files.

    Args:
        work: where the session works; paths are written relative to its run's folder.
        session: the droid service.
        builds: the other services' builds, by service.
        used: the images of the droid service and of its proxy.
        into: the folder that they are written to: before a run is sealed, not the one they are made for.
    """
    spec = _compose_spec(work.ground, work.run.folder, builds)
    _write(into, replace(spec, session=session, image=used.repo, proxy_image=used.base))


def _compose_spec(ground: Groundwork, folder: Path, builds: Mapping[str, ImageBuild]) -> ComposeSpec:
    return ComposeSpec(
        folder=folder,
        root=ground.repository.root,
        session=None,
        run_options=ground.config.run_options,
        builds=builds,
        env_file=ground.environment.env_file,
        ca_bundle=ground.ca_bundle,
    )


def _write(into: Path, spec: ComposeSpec) -> None:
    for name, text in render(spec).items():
        write_file(into, name, text)


def inside(root: Path, path: Path) -> str:
    """Write a path as it is typed from the repository's root: whole, where a link led out of that."""
    return shlex.quote(str(path.relative_to(root) if path.is_relative_to(root) else path))
