"""`lw_coder doctor`: check what a session needs, and find what sessions left behind. It changes nothing."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


from lw_coder.commands.doctor.clone import check_clone
from lw_coder.commands.doctor.findings import Checks, Finding
from lw_coder.commands.doctor.machine import check_machine
from lw_coder.containers import images
from lw_coder.containers.compose_check import require_readable
from lw_coder.containers.docker_command import EngineProbe
from lw_coder.containers.engine import check_env_file, connect, require_isolation
from lw_coder.containers.engine_kind import ask_info, find_kinds
from lw_coder.containers.image_names import BASE_TAG, repo_hash
from lw_coder.foundation.errors import ExitCode
from lw_coder.foundation.report import Cell, show, show_json, shown_if_slow
from lw_coder.gateway.settings import lacks_cost
from lw_coder.plans.plan_file import TASKS_FOLDER
from lw_coder.prompts.prompt_files import code_droids, plan_droids
from lw_coder.repository import git
from lw_coder.repository.git_settings import read_configuration
from lw_coder.repository.importing.nested_repositories import (
    find_nested_repositories,
    find_repositories_in,
    nested_repositories_note,
)
from lw_coder.repository.incomplete_worktrees import is_incomplete
from lw_coder.repository.notices import session_notices
from lw_coder.repository.worktrees import WORKTREES_FOLDER, plan_worktree
from lw_coder.runs.pending import has_pending
from lw_coder.runs.run_folders import Run, list_runs
from lw_coder.sessions.context import compose_values, session_environment, session_login
from lw_coder.sessions.droid_files import factory_notes
from lw_coder.sessions.leftovers import Leftovers, find_leftovers
from lw_coder.sessions.login import Login, require_reachable_model
from lw_coder.settings.config import CodeConfig, load_config
from lw_coder.settings.docker_variables import dropped_variables
from lw_coder.settings.environment import API_KEY, SessionEnvironment, build_variables
from lw_coder.settings.model_access import ModelAccess


def doctor_command(start: Path, probe: EngineProbe, *, as_json: bool, online: bool = False) -> ExitCode:
    """Check everything that a session needs, and print the result or the remedy of each check.

    Args:
        start: a folder in the repository.
        probe: docker queries that were started with the command.
        as_json: print an array of findings.
        online: ask the model too.

    Returns:
        ERROR if a check found a problem.
    """
    with shown_if_slow("Checking docker, git and what sessions left ..."):
        findings = examine(start, probe, online=online)
    if as_json:
        show_json([asdict(finding) for finding in findings])
    else:
        _print(findings)
    return ExitCode.ERROR if any(finding.remedy for finding in findings) else ExitCode.OK


def examine(start: Path, probe: EngineProbe, *, online: bool = False) -> Sequence[Finding]:
    """Check the engine, the repository and, if both are usable, what sessions left in them."""
    checks = Checks()
    info: Mapping[str, Any] = {}
    engine = checks.run(
        "docker",
        lambda: connect(probe),
        lambda found: f"Engine {found.version}, Compose {found.compose_version}",
    )
    checks.run("shell", lambda: dropped_variables(os.environ), _describe_shell)
    repository = checks.run("git", lambda: git.find_repository(start), _describe_repository)
    if engine:
        info = ask_info()
        checks.run("base image", lambda: images.is_current(probe.base_image), _describe_base)
    check_machine(checks, repository.root if repository else None, info)
    if repository:
        config = checks.run("config.toml", lambda: load_config(repository.root), _describe_config)
        if engine and config and config.has_networks:
            key = config.network_key
            checks.run(key, lambda: require_isolation(engine.version, key), lambda _: "supported")
        environment = _examine_environment(checks, repository, config) if config else None
        if config and environment and config.gateway:
            _check_gateway(checks, config, environment.model, has_program=images.is_current(probe.base_image))
        if engine and config and environment and (env_file := environment.env_file):
            values = compose_values(environment, config)
            checks.run(
                "env file",
                lambda: check_env_file(env_file, values),
                lambda _: "Compose reads it as lw_coder does",
            )
        if engine and config:
            _check_docker_args(checks, repository.root, config, info)
        if online and environment:
            _check_answer(checks, environment.model)
        _check_git(checks, repository)
        checks.run("runs", lambda: _pending_runs(repository), _describe_runs)
        checks.run("worktrees", lambda: _incomplete_worktrees(repository), _describe_incomplete)
        checks.run(
            "nested repositories", lambda: _nested_repositories(repository), _describe_nested_repositories
        )
    if repository and engine:
        checks.run("leftovers", lambda: _leftovers(repository), _describe_leftovers)
    return checks.findings


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


def _check_answer(checks: Checks, access: ModelAccess) -> None:
    from lw_coder.commands.doctor.online import ask_model

    checks.run("model's answer", lambda: ask_model(access), str)


def _check_git(checks: Checks, repository: git.Repository) -> None:
    place, worktree = git.Place(repository.root), repository.root / WORKTREES_FOLDER / "<plan_id>"
    check_clone(checks, repository)
    checks.run("identity", lambda: git.require_identity(place), lambda who: f"{who.name} <{who.email}>")
    checks.run(
        "git set-up",
        lambda: session_notices(repository, read_configuration(place), git.head_commit(repository), worktree),
        lambda notices: "; ".join(notices) or "nothing is missing in sessions",
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


def _describe_repository(repository: git.Repository) -> str:
    return f"{repository.root}, with {git.run_git('version', place=repository.place).stdout}"


def _describe_shell(names: Sequence[str]) -> str:
    shown = ", ".join(names)
    return (
        f"{shown}: set in this shell, but not passed to docker"
        if names
        else "no variable changes what docker does"
    )


def _describe_base(is_current: bool) -> str:  # noqa: FBT001 - the result of a check
    state = "current" if is_current else "missing or out of date; the next run builds it"
    return f"{BASE_TAG} is {state}"


def _describe_config(config: CodeConfig) -> str:
    return "; ".join(["can be read", *config.warnings()])


def _describe_variables(environment: SessionEnvironment) -> str:
    model = environment.model
    return f"{model.model} at {model.base_url}; a session gets {', '.join(environment.names) or 'none'}"


def _describe_gateway(model: ModelAccess, *, has_program: bool) -> str:
    where = f"is in {BASE_TAG}" if has_program else f"is built into {BASE_TAG} by the next run"
    return f"holds {API_KEY}, and counts what {model.model} is asked; its program {where}"


def _describe_cost(model: ModelAccess) -> Finding:
    host = urlsplit(model.base_url).hostname
    return Finding(
        "model gateway",
        f"[code] limits.cost_usd: {host} may report no cost, and prices has none of {model.model}; then the "
        "first answer ends a session",
        f'write prices = {{ "{model.model}" = {{ input = DOLLARS, output = DOLLARS }} }} below [code]',
    )


def _describe_ignored(env_file: Path, *, is_ignored: bool) -> str | Finding:
    if is_ignored:
        return f"{env_file.name} is ignored by git"
    remedy = f"add {env_file.name} to .gitignore; if it is tracked, type git rm --cached, and change the keys"
    return Finding("env file", f"{env_file}: git does not ignore it, and would commit its keys", remedy)


def _pending_runs(repository: git.Repository) -> list[Run]:
    return [run for run in list_runs(repository.root) if has_pending(repository, run)]


def _describe_runs(runs: Sequence[Run]) -> str | Finding:
    if not runs:
        return "all commits of sessions are in the repository"
    names = ", ".join(run.identity for run in runs)
    remedy = " && ".join(f"lw_coder runs import {run.identity}" for run in runs)
    return Finding("runs", f"{names}: commits that are not in the repository", remedy)


def _incomplete_worktrees(repository: git.Repository) -> list[str]:
    folder = (repository.root / WORKTREES_FOLDER).resolve()
    names = (path.name for path in sorted(folder.glob("*")) if path.is_dir() and not path.is_symlink())
    return [name for name in names if is_incomplete(repository, folder / name)]


def _describe_incomplete(names: Sequence[str]) -> str | Finding:
    if not names:
        return "no worktree is incomplete"
    remedy = " && ".join(f"lw_coder code {shlex.quote(name)}" for name in names)
    found = (
        f"{', '.join(names)}: git was stopped while it created the worktree; the next start creates it again"
    )
    return Finding("worktrees", found, remedy)


def _nested_repositories(repository: git.Repository) -> list[str]:
    """Find repositories in the folders that agents write, except bare ones that HEAD contains."""
    tasks, worktrees = repository.root / TASKS_FOLDER, repository.root / WORKTREES_FOLDER
    found = {tasks: find_repositories_in(tasks)} if tasks.is_dir() else {}
    for folder in sorted(path for path in worktrees.glob("*") if path.is_dir() and not path.is_symlink()):
        worktree = plan_worktree(repository, folder.name)
        top = () if worktree is None or worktree.has_own_pointer() else (".git",)
        nested = find_nested_repositories(folder)
        # No commit contains a `.git`, so only the HEAD of a bare repository, such as test data, is left out.
        own = git.committed_files(repository, "HEAD") if nested else {}
        found[folder] = (*top, *(name for name in nested if name not in own))
    return [nested_repositories_note(place, names) for place, names in found.items() if names]


def _describe_nested_repositories(notes: Sequence[str]) -> str | Finding:
    if not notes:
        return "none among the plans or in their worktrees"
    return Finding("nested repositories", "; ".join(notes), "inspect each without git, and remove it")


def _leftovers(repository: git.Repository) -> Leftovers:
    return find_leftovers(repo_hash(git.root_commit(repository), repository.common_dir))


def _describe_leftovers(left: Leftovers) -> str | Finding:
    if not left:
        return "no session has left a container or a network"
    parts = (
        (len(left.sessions), "stopped container(s) that contain the variables' values"),
        (len(left.proxies), "idle proxy container(s)"),
        (len(left.networks), "unused network(s)"),
    )
    result = ", ".join(f"{count} {what}" for count, what in parts if count)
    return Finding("leftovers", f"{result}, left by replays or by an lw_coder that was killed", left.removal)


def _print(findings: Sequence[Finding]) -> None:
    width = max(len(finding.subject) for finding in findings)
    for finding in sorted(findings, key=lambda finding: bool(finding.remedy)):  # what is wrong comes last
        mark = Cell("wrong", "bad") if finding.remedy else Cell("ok   ", "good")
        show(mark, f"  {finding.subject.ljust(width)}  {finding.result}")
        if finding.remedy:
            show(f"{' ' * (width + 9)}-> {finding.remedy}")
