"""`lw_coder runs`: show, score and export the runs of a repository."""

from __future__ import annotations

import json
from pathlib import Path

import click

from lw_coder.commands.run_row import RunRow
from lw_coder.commands.session_report import replay_command
from lw_coder.foundation.errors import ExitCode
from lw_coder.foundation.report import show, show_json, tell, warn
from lw_coder.pages.brief import brief
from lw_coder.repository.git import find_repository
from lw_coder.runs.exported import exported_runs, score_fields
from lw_coder.runs.find_run import find_run, require_known_plan
from lw_coder.runs.pending import has_pending
from lw_coder.runs.run_folders import read_record
from lw_coder.runs.scores import parse_score, read_score, write_score
from lw_coder.sessions.event_log import EVENTS_FILE, SETUP_LOG, SUMMARY_FILE

_WORDS = {"setup": SETUP_LOG, "summary": SUMMARY_FILE, "events": EVENTS_FILE}  # as far as they exist
_SHOWN = ("run", "model", "status", "commits")


def show_command(start: Path, name: str, *, as_json: bool) -> ExitCode:
    """Print one run: its record, or its files and the command that replays it.

    Raises:
        RunError: there is no such run, or its record or score is damaged.
    """
    repository = find_repository(start)
    run = find_run(repository.home, name)
    record, score = read_record(run), score_fields(read_score(run))
    if as_json:
        show_json({"run": run.identity, **record, **score})
        return ExitCode.OK
    folder = repository.shown(run.folder)
    files = {"prompts": folder / "prompts", "droids": folder / "droids"}
    files |= {label: folder / name for label, name in _WORDS.items() if (run.folder / name).is_file()}
    row = RunRow(run, record)
    shown = {name: row.as_json()[name] for name in _SHOWN}
    for label, value in {**shown, "cost": row.facts.cost or None, **score, **files}.items():
        show(f"{label + ':':9} {'-' if value is None else value}")
    for line in brief(repository, run, record):
        show(line)
    if record.get("kind") not in {"plan", "replay", "take"}:  # their worktrees were temporary, or none
        replay = replay_command(repository.root, run, headless=record.get("headless") is True)
        show(f"{'replay:':9} {replay}")
    if has_pending(repository, run):
        warn(
            "the run has commits that are not in the repository; to import them, type: "
            f"lw_coder runs import {run.identity}"
        )
    return ExitCode.OK


def score_command(start: Path, name: str, typed: str, feedback: str) -> ExitCode:
    """Store a person's score of a run, in place of an earlier one.

    Args:
        start: a folder in the repository.
        name: the run's name.
        typed: the score, a number from 0 to 1.
        feedback: why, in the person's words; may be empty.

    Raises:
        RunError: there is no such run, its record is damaged, or it is no score.
    """
    score = parse_score(typed, feedback)
    run = find_run(find_repository(start).home, name)
    read_record(run)  # a score of a run that cannot be read would be of no use
    write_score(run, score)
    tell(f"Scored:   {run.identity}: {score.score:g}")
    return ExitCode.OK


def export_command(start: Path, plan_id: str | None) -> ExitCode:
    """Print each run as JSON Lines: the signature's inputs and outputs, the result and the score.

    Raises:
        RunError: there is neither a plan nor a run with this id.
    """
    repository = find_repository(start)
    require_known_plan(repository, plan_id)
    for line in exported_runs(repository.home, plan_id):
        click.echo(json.dumps(line, sort_keys=True))
    return ExitCode.OK
