"""Checks of the settings: config.toml, the variables, the model, the flags of docker."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from lw_coder.commands.doctor.cluster import check_cluster
from lw_coder.commands.doctor.findings import Checks, Finding
from lw_coder.containers import images
from lw_coder.containers.compose_check import require_readable
from lw_coder.containers.engine import check_env_file, require_isolation
from lw_coder.containers.engine_kind import find_kinds
from lw_coder.containers.image_names import BASE_TAG
from lw_coder.gateway.settings import lacks_cost
from lw_coder.prompts.prompt_files import code_droids, plan_droids
from lw_coder.repository import git
from lw_coder.sessions.context import compose_values, session_environment, session_login
from lw_coder.sessions.droid_files import factory_notes
from lw_coder.sessions.login import Login, require_reachable_model
from lw_coder.settings.config import CodeConfig, load_config
from lw_coder.settings.environment import API_KEY, SessionEnvironment, build_variables
from lw_coder.settings.model_access import ModelAccess


class SeenEngine(Struct, frozen=True):
    """An engine that answers.

    Attributes:
        version: its version.
        info: what `docker info` tells.
        has_base: whether it has the base image, as it is now.
    """

    version: str
    info: Mapping[str, Any]
    has_base: bool


def check_settings(
    checks: Checks, repository: git.Repository, engine: SeenEngine | None
) -> SessionEnvironment | None:
    """Check the settings; what needs an engine only if there is one.

    Args:
        checks: gets the findings.
        repository: the person's.
        engine: the engine, if it answers.

    Returns:
        The variables of a session, if they are in order.
    """
    config = checks.run("config.toml", lambda: load_config(repository.root), _describe_config)
    if config is None:
        return None
    if config.notify:
        _check_notify(checks, config.notify[0], repository.root)
    if engine and config.has_networks:
        key = config.network_key
        checks.run(key, lambda: require_isolation(engine.version, key), lambda _: "supported")
    if engine and config.engine != "local":
        check_cluster(checks, config)
    environment = _examine_environment(checks, repository, config)
    if environment and config.gateway:
        _check_gateway(checks, config, environment.model, has_program=bool(engine and engine.has_base))
    if engine:
        if environment and environment.env_file:
            _check_reading(checks, environment, config)
        _check_docker_args(checks, repository.root, config, engine.info)
    return environment


def _check_notify(checks: Checks, program: str, root: Path) -> None:
    """Check that a program can be run: one of PATH, or a file, relative to the repository's root."""
    found = shutil.which(str(root / program) if "/" in program else program) or ""
    wrong = f"{program}: is not a program that can be run"
    missing = Finding("notify", wrong, "correct notify in .lw_coder/config.toml")
    checks.run("notify", lambda: found, lambda path: path or missing)


def _check_reading(checks: Checks, environment: SessionEnvironment, config: CodeConfig) -> None:
    env_file, values = environment.env_file, compose_values(environment, config)
    if env_file:
        told = "Compose reads it as lw_coder does"
        checks.run("env file", lambda: check_env_file(env_file, values), lambda _: told)


def _examine_environment(
    checks: Checks, repository: git.Repository, config: CodeConfig
) -> SessionEnvironment | None:
    root = repository.root
    environment = checks.run(
        "variables",
        lambda: _checked_environment(root, config),
        _describe_variables,
    )
    env_file = environment.env_file if environment else None
    checks.run(
        "code.Dockerfile",
        lambda: images.read_build_files(root, env_file, config.build_options),
        lambda _: str(images.DOCKERFILE),
    )
    checks.run(
        "certificates",
        lambda: config.find_ca_bundle(root, os.environ),
        lambda path: str(path or "the defaults"),
    )
    if environment:
        login = checks.run("login", lambda: session_login(environment, config), lambda login: login.value)
        if login:
            _check_model(checks, login, environment, config)
        hooks_run = login is not Login.NONE
        checks.run(
            "reviewers",
            lambda: factory_notes(root, (*code_droids(), *plan_droids()), hooks_run=hooks_run),
            lambda notes: "; ".join(notes) or "not affected by .factory",
        )
    if env_file:
        checks.run(
            "env file",
            lambda: git.is_ignored(repository, env_file),
            lambda yes: _describe_ignored(env_file, is_ignored=yes),
        )
    return environment


def _check_model(checks: Checks, login: Login, environment: SessionEnvironment, config: CodeConfig) -> None:
    checks.run(
        "model",
        lambda: require_reachable_model(login, environment.model, config.run_options),
        lambda _: "its address can be one that a session reaches",
    )


def _check_gateway(checks: Checks, config: CodeConfig, model: ModelAccess, *, has_program: bool) -> None:
    """Check what only sessions with the model gateway need.

    Args:
        checks: receives the finding.
        config: the repository's settings.
        model: the model that sessions ask.
        has_program: whether the base image has the gateway's program, as it is now.
    """
    checks.run(
        "model gateway",
        lambda: lacks_cost(config, model),
        lambda lacks: _describe_cost(model) if lacks else _describe_gateway(model, has_program=has_program),
    )


def _check_docker_args(checks: Checks, root: Path, config: CodeConfig, info: Mapping[str, Any]) -> None:
    run, build = config.run_options, config.build_options
    checks.run(
        "docker args",
        lambda: require_readable(root, run, build),
        lambda _: "Compose accepts them",
    )
    checks.findings += [Finding("engine", kind.description, kind.remedy) for kind in find_kinds(run, info)]


def _checked_environment(root: Path, config: CodeConfig) -> SessionEnvironment:
    environment = session_environment(root, config)
    build_variables(environment, config.build_options.variables, os.environ)
    return environment


def _describe_config(config: CodeConfig) -> str:
    return "; ".join(["can be read", *config.warnings()])


def _describe_variables(environment: SessionEnvironment) -> str:
    model = environment.model
    return f"{model.model} at {model.base_url}; a session gets {', '.join(environment.names) or 'none'}"


def _describe_cost(model: ModelAccess) -> Finding:
    host = urlsplit(model.base_url).hostname
    return Finding(
        "model gateway",
        f"[code] limits.cost_usd: {host} may report no cost, and prices has none of {model.model}; then the "
        "first answer ends a session",
        f'write prices = {{ "{model.model}" = {{ input = DOLLARS, output = DOLLARS }} }} below [code]',
    )


def _describe_gateway(model: ModelAccess, *, has_program: bool) -> str:
    where = f"is in {BASE_TAG}" if has_program else f"is built into {BASE_TAG} by the next run"
    return f"holds {API_KEY}, and counts what {model.model} is asked; its program {where}"


def _describe_ignored(env_file: Path, *, is_ignored: bool) -> str | Finding:
    if is_ignored:
        return f"{env_file.name} is ignored by git"
    remedy = f"add {env_file.name} to .gitignore; if it is tracked, type git rm --cached, and change the keys"
    return Finding("env file", f"{env_file}: git does not ignore it, and would commit its keys", remedy)
