"""`lw_coder verify`: run the checks over what a run committed, at any time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from lw_coder.commands.session_report import shell_path
from lw_coder.commands.verdict_report import report_verdict
from lw_coder.containers import engine
from lw_coder.foundation.errors import ConfigError, EnvironmentFileError, ExitCode
from lw_coder.foundation.locks import plan_lock
from lw_coder.foundation.redaction import Redaction
from lw_coder.foundation.report import say, show, show_json, warn
from lw_coder.plans.plan_file import read_plan
from lw_coder.repository.git import find_repository
from lw_coder.runs.find_run import find_run
from lw_coder.runs.pending import has_pending
from lw_coder.settings.config import CONFIG_FILE, load_config
from lw_coder.settings.environment import load_environment
from lw_coder.verdicts.checks import current_plan
from lw_coder.verdicts.subject import Subject, subject_of
from lw_coder.verdicts.verification import verify

if TYPE_CHECKING:
    from lw_coder.containers.docker_command import EngineProbe


def verify_command(start: Path, name: str, probe: EngineProbe, *, as_json: bool) -> ExitCode:
    """Run the checks of a run, and print the verdict.

    Args:
        start: a folder in the repository.
        name: a run, a plan's id, or the path of a plan's file.
        probe: what docker was asked at the start.
        as_json: print the verdict as JSON, as it is in run.json.

    Raises:
        LwCoderError: there is no such run, no check, or the checks cannot be run.
    """
    subject = _subject(start, name)
    found = engine.connect(probe, build_gives_version=True)  # Compose built the run's image
    if subject.config.checks_network and subject.config.allow_hosts is not None:
        engine.require_isolation(found.version)
    run, root = subject.run, subject.repository.root
    with plan_lock(subject.repository.common_dir, run.plan_id):
        if has_pending(subject.repository, run):
            warn(f"some commits are not in the repository: lw_coder runs import {run.identity}")
        say(f"Checks:   running {len(subject.checks)}, each at the tip and at the base")
        verdict = verify(subject)
    if as_json:
        show_json({"run": run.identity, **verdict.as_record()})
    else:
        report_verdict(verdict, shell_path(root, run.folder), show)
    return ExitCode.OK if verdict.passed else ExitCode.VERDICT


def _subject(start: Path, name: str) -> Subject:
    repository = find_repository(start)
    config = load_config(repository.root)
    run = find_run(repository.home, _plan_or_run(name))
    plan = current_plan(repository, run.plan_id)
    subject = subject_of(repository, run, config, plan)
    if not subject.checks:
        raise ConfigError(
            f"{CONFIG_FILE}: [code] checks: there are none, and none in the plan",
            'add some, such as checks = ["uv run pytest -q"]',
        )
    return _with_redaction(subject) if subject.notes else subject


def _plan_or_run(name: str) -> str:
    # Not Path.is_file, which raises an error for a name that is too long.
    return read_plan(Path(name)).metadata.plan_id if os.path.isfile(name) else name  # noqa: PTH113


def _with_redaction(subject: Subject) -> Subject:
    """Add what removes the session's values; if they are unknown, the agent's words are left out."""
    config = subject.config
    try:
        found = load_environment(subject.repository.root, config.env_file, config.forward_env, os.environ)
    except EnvironmentFileError as error:
        warn(f"{error.message}; so the agent's word on the evaluation notes is left out")
        return replace(subject, notes=())
    return replace(subject, redaction=Redaction(found.values))
