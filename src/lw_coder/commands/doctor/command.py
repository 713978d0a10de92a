"""`lw_coder doctor`: check what a session needs, and find what sessions left behind. It changes nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import asdict

from lw_coder.commands.doctor.clone import check_clone
from lw_coder.commands.doctor.findings import Checks, Finding
from lw_coder.commands.doctor.leavings import check_leavings, check_leftovers
from lw_coder.commands.doctor.machine import check_machine
from lw_coder.commands.doctor.settings import SeenEngine, check_settings
from lw_coder.containers import images
from lw_coder.containers.docker_command import EngineProbe
from lw_coder.containers.engine import connect
from lw_coder.containers.engine_kind import ask_info
from lw_coder.containers.image_names import BASE_TAG
from lw_coder.foundation.errors import ExitCode
from lw_coder.foundation.report import Cell, show, show_json, shown_if_slow
from lw_coder.repository import git
from lw_coder.repository.git_settings import read_configuration
from lw_coder.repository.notices import session_notices
from lw_coder.repository.worktrees import WORKTREES_FOLDER
from lw_coder.settings.docker_variables import dropped_variables
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
    engine = checks.run(
        "docker",
        lambda: connect(probe),
        lambda found: f"Engine {found.version}, Compose {found.compose_version}",
        needed="images, containers and the flags of docker are",
    )
    seen = SeenEngine(engine.version, ask_info(), images.is_current(probe.base_image)) if engine else None
    checks.run("shell", lambda: dropped_variables(os.environ), _describe_shell)
    settings = "the settings, the variables and what sessions left are"
    repository = checks.run("git", lambda: git.find_repository(start), _describe_repository, needed=settings)
    if seen:
        checks.run("base image", lambda: seen.has_base, _describe_base)
    check_machine(checks, repository.root if repository else None, seen.info if seen else {})
    if repository:
        environment = check_settings(checks, repository, seen)
        if online and environment:
            _check_answer(checks, environment.model)
        _check_git(checks, repository)
        check_leavings(checks, repository)
        if seen:
            check_leftovers(checks, repository)
    return checks.findings


def _check_answer(checks: Checks, access: ModelAccess) -> None:
    from lw_coder.commands.doctor.online import ask_model

    checks.run("model's answer", lambda: ask_model(access), str)


def _check_git(checks: Checks, repository: git.Repository) -> None:
    place, worktree = git.Place(repository.root), repository.home / WORKTREES_FOLDER / "<plan_id>"
    check_clone(checks, repository)
    checks.run("identity", lambda: git.require_identity(place), lambda who: f"{who.name} <{who.email}>")
    checks.run(
        "git set-up",
        lambda: session_notices(repository, read_configuration(place), git.head_commit(repository), worktree),
        lambda notices: "; ".join(notices) or "nothing is missing in sessions",
    )


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


def _print(findings: Sequence[Finding]) -> None:
    width = max(len(finding.subject) for finding in findings)
    for finding in sorted(findings, key=lambda finding: bool(finding.remedy)):  # what is wrong comes last
        mark = Cell("wrong", "bad") if finding.remedy else Cell("ok   ", "good")
        show(mark, f"  {finding.subject.ljust(width)}  {finding.result}")
        if finding.remedy:
            show(f"{' ' * (width + 9)}-> {finding.remedy}")
