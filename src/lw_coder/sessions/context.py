"""The settings and variables of a session, checked before anything is created."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from lw_coder.containers import engine
from lw_coder.containers.compose_check import require_readable
from lw_coder.containers.image_names import repo_hash
from lw_coder.foundation.errors import ConfigError, EnvironmentFileError
from lw_coder.foundation.redaction import Redaction
from lw_coder.foundation.report import printable, say, warn
from lw_coder.repository.git import Repository, root_commit
from lw_coder.sessions.login import Login, choose_login, require_reachable_model
from lw_coder.settings.config import CONFIG_FILE, CodeConfig
from lw_coder.settings.docker_variables import dropped_variables
from lw_coder.settings.environment import (
    API_KEY,
    PROXY_NAMES,
    SessionEnvironment,
    load_environment,
    read_env_file,
    refuse_dropped,
)

if TYPE_CHECKING:
    from lw_coder.containers.docker_command import EngineProbe
    from lw_coder.containers.engine import Engine


class SessionContext(Struct, frozen=True):
    """The validated inputs of a session that do not depend on the command.

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


def load_context(repository: Repository, config: CodeConfig) -> SessionContext:
    """Do all cheap checks except those of the engine, and create nothing.

    Raises:
        LwCoderError: the env file, the certificates or the repository cannot be used.
    """
    environment = session_environment(repository.root, config).with_deadline(config.model_timeout)
    login = session_login(environment, config)
    ca_bundle = config.find_ca_bundle(repository.root, os.environ)
    identity = repo_hash(root_commit(repository), repository.common_dir)
    return SessionContext(repository, config, environment, login, identity, ca_bundle)


def session_environment(root: Path, config: CodeConfig) -> SessionEnvironment:
    """Read the variables of a session; with the gateway, the model's key is none of them.

    Raises:
        LwCoderError: they cannot be read, or cannot be passed on.
    """
    environment = load_environment(root, config.env_file, config.forward_env, os.environ)
    refuse_dropped([*environment.names, *config.run_options.variables], os.environ)
    if not config.gateway:
        return environment
    _require_key_outside(root, config)
    return environment.without(API_KEY)


def session_login(environment: SessionEnvironment, config: CodeConfig) -> Login:
    """Decide how the agent signs in.

    Raises:
        EnvironmentFileError: as `choose_login` has it.
        ConfigError: Factory's server would ask the models, and not the gateway.
    """
    login = choose_login(compose_values(environment, config), Path.home())
    if config.gateway and login is not Login.NONE:
        raise ConfigError(
            f"{CONFIG_FILE}: [code] gateway: the agent signs in with Factory, whose server asks the models",
            "remove gateway = true, or use a model of your own, without Factory",
        )
    return login


def compose_values(environment: SessionEnvironment, config: CodeConfig) -> dict[str, str]:
    """Return the variables that Compose passes on: those of the session, and the key to the gateway."""
    key = {API_KEY: environment.known[API_KEY]} if config.gateway else {}
    return {**environment.values, **key}


def _require_key_outside(root: Path, config: CodeConfig) -> None:
    """Refuse an env file of docker_run_args that has the key."""
    for entry in config.run_options.keys.get("env_file", ()):
        path = root / entry["path"]
        if path.is_file() and API_KEY in read_env_file(path):
            place = f"{CONFIG_FILE}: docker_run_args: --env-file {printable(entry['path'])}"
            raise ConfigError(
                f"{place}: has {API_KEY}, and with gateway = true no session gets the key",
                "move the key to another file, and name that as env_file",
            )


def require_engine(
    probe: EngineProbe, context: SessionContext, *, build_gives_version: bool = False
) -> Engine:
    """Check that the engine answers, supports the configuration, and reads the env file as lw_coder does.

    Args:
        probe: docker queries that were started with the command.
        context: the session's settings and variables.
        build_gives_version: as `engine.connect` has it.

    Raises:
        EngineError: it does not answer, or does not support the configuration.
        EnvironmentFileError: Compose reads a different value, or none.
        ConfigError: Compose refuses docker_run_args or docker_build_args.
    """
    found, environment = engine.connect(probe, build_gives_version=build_gives_version), context.environment
    if context.config.has_networks:
        engine.require_isolation(found.version, context.config.network_key)
    if environment.env_file:
        engine.check_env_file(environment.env_file, compose_values(environment, context.config))
    require_readable(context.repository.root, context.config.run_options, context.config.build_options)
    return found


def report_context(context: SessionContext) -> None:
    """Report warnings and how the agent is signed in."""
    config, environment = context.config, context.environment
    for line in config.warnings():
        warn(line)
    if names := dropped_variables(os.environ):
        warn(f"{', '.join(map(printable, names))}: set in this shell, but not passed to docker")
    if config.allow_hosts is not None and not environment.values.keys().isdisjoint(PROXY_NAMES):
        warn("allow_hosts: sessions use their own proxy, which does not use yours")
    try:
        require_reachable_model(context.login, environment.model, config.run_options)
    except EnvironmentFileError as error:  # the image can have a way of its own
        warn(f"{error.message}; {error.remedy}")
    say(f"Agent: {context.login.value}")
    if config.gateway:
        say(f"Gateway: {API_KEY} stays outside of the session")


def session_redaction(context: SessionContext) -> Redaction:
    """Return what removes the values of the session's variables from copies of what its agent says."""
    return redaction_of(context.config, context.environment)


def redaction_of(config: CodeConfig, environment: SessionEnvironment) -> Redaction:
    """Return what removes the values of the variables that a session gets with these settings."""
    named = config.run_options.variables
    return Redaction(
        {
            **{name: os.environ[name] for name in named if name in os.environ},
            API_KEY: environment.model.api_key,
            **environment.values,
        }
    )
