"""What a session needs before it can start: everything that is missing is named at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from lw_coder.containers import engine, images
from lw_coder.containers.docker_command import EngineProbe
from lw_coder.foundation.errors import LwCoderError, SetUpError
from lw_coder.plans.plan_checks import load_plan
from lw_coder.repository import git
from lw_coder.sessions.context import session_environment, session_login
from lw_coder.settings.config import CONFIG_FILE, CodeConfig, load_config
from lw_coder.settings.environment import build_variables

T = TypeVar("T")


def require_set_up(root: Path) -> None:
    """Raise an error if a repository has neither of the two files that `lw_coder code` needs.

    Raises:
        SetUpError: its remedy is `lw_coder init`.
    """
    if not any(os.path.lexists(root / name) for name in (CONFIG_FILE, images.DOCKERFILE)):
        raise SetUpError(f"{root}: is not set up for lw_coder", "type: lw_coder init")


@contextmanager
def all_named(repository: git.Repository, probe: EngineProbe, plan: str | None = None) -> Iterator[None]:
    """If a check within the block fails, make the other checks too, and raise one error for all problems.

    Args:
        repository: the person's.
        probe: what docker was asked at the start.
        plan: what `lw_coder code` was given; None for a command that needs no plan and no Dockerfile.

    Raises:
        LwCoderError: the first problem, if it is the only one.
        SetUpError: there are several.
    """
    try:
        yield
    except LwCoderError as error:
        problems = find_problems(repository, probe, plan)
        lines = [(problem.message, problem.remedy) for problem in problems]
        if (error.message, error.remedy) not in lines:
            problems.insert(0, error)
        if len(problems) == 1:
            raise
        raise SetUpError(error.message, error.remedy, tuple(problems)) from error


def find_problems(repository: git.Repository, probe: EngineProbe, plan: str | None) -> list[LwCoderError]:
    """Make each check that does not depend on a failed one; return what is wrong, in that order."""
    problems: list[LwCoderError] = []

    def attempt(check: Callable[[], T]) -> T | None:
        try:
            return check()
        except LwCoderError as error:
            problems.extend(error.parts)
            return None

    attempt(lambda: git.head_commit(repository))
    if plan is not None:
        attempt(lambda: _check_plan(repository, plan))
    config = attempt(lambda: _config(repository.root, is_needed=plan is not None))
    settings = config or CodeConfig()
    env_file = attempt(lambda: _check_variables(repository.root, settings))
    attempt(lambda: settings.find_ca_bundle(repository.root, os.environ))
    if plan is not None:
        attempt(lambda: images.read_build_files(repository.root, env_file, settings.build_options))
    attempt(lambda: git.require_identity(git.Place(repository.root)))
    attempt(lambda: engine.connect(probe))
    return problems


def _check_plan(repository: git.Repository, name: str) -> None:
    load_plan(repository, name)


def _config(root: Path, *, is_needed: bool) -> CodeConfig | None:
    return load_config(root) if is_needed or os.path.lexists(root / CONFIG_FILE) else None


def _check_variables(root: Path, config: CodeConfig) -> Path | None:
    environment = session_environment(root, config)
    build_variables(environment, config.build_options.variables, os.environ)
    session_login(environment, config)
    return environment.env_file
