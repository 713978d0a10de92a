"""`lw_coder runs`: list, show, score, import and export the runs of a repository."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from lw_coder.commands.session_report import replay_command
from lw_coder.containers.image_names import repo_hash
from lw_coder.containers.labels import PLAN_RUNS, owner_of
from lw_coder.foundation.errors import EngineError, ExitCode, RunError
from lw_coder.foundation.locks import plan_lock
from lw_coder.foundation.report import printable, say, warn
from lw_coder.pages.brief import brief
from lw_coder.repository.git import find_repository, root_commit
from lw_coder.repository.importing.commits import import_commits
from lw_coder.repository.private_git import PrivateGit, open_private_git
from lw_coder.repository.worktrees import plan_worktree
from lw_coder.runs.exported import exported_runs, score_fields
from lw_coder.runs.find_run import find_run, require_known_plan
from lw_coder.runs.pending import has_pending
from lw_coder.runs.run_folders import Run, list_runs, read_record
from lw_coder.runs.scores import parse_score, read_score, write_score
from lw_coder.sessions.cleanup import require_idle
from lw_coder.sessions.event_log import EVENTS_FILE, SUMMARY_FILE

_WORDS = {"summary": SUMMARY_FILE, "events": EVENTS_FILE}  # of a headless session
_COLUMNS = ("run", "model", "status", "commits", "cost_usd")


def list_command(start: Path, plan_id: str | None, *, as_json: bool) -> ExitCode:
    """Print the runs, oldest first, as a table or as a JSON array.

    Raises:
        RunError: there is neither a plan nor a run with this id.
    """
    root = find_repository(start).root
    require_known_plan(root, plan_id)
    rows = [_row(run) for run in list_runs(root, plan_id)]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    elif rows:
        _print_table([_COLUMNS, *(tuple(_cell(row[name]) for name in _COLUMNS) for row in rows)])
    else:
        say("There are no runs yet." if plan_id is None else f"There are no runs of {plan_id} yet.")
    return ExitCode.OK


def show_command(start: Path, name: str, *, as_json: bool) -> ExitCode:
    """Print one run: its record, or its files and the command that replays it.

    Raises:
        RunError: there is no such run, or its record or score is damaged.
    """
    repository = find_repository(start)
    run = find_run(repository.root, name)
    record, score = read_record(run), score_fields(read_score(run))
    if as_json:
        click.echo(json.dumps({**record, **score}, indent=2))
        return ExitCode.OK
    folder = run.folder.relative_to(repository.root)
    files = {"prompts": folder / "prompts", "droids": folder / "droids"}
    files |= {label: folder / name for label, name in _WORDS.items() if (run.folder / name).is_file()}
    for label, value in {**_row(run), **score, **files}.items():
        click.echo(f"{label + ':':9} {_cell(value)}")
    for line in brief(repository, run, record):
        click.echo(line)
    if record.get("kind") != "plan":  # its worktree was a temporary one
        replay = replay_command(repository.root, run, headless=record.get("headless") is True)
        click.echo(f"{'replay:':9} {replay}")
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
    run = find_run(find_repository(start).root, name)
    read_record(run)  # a score of a run that cannot be read would be of no use
    write_score(run, score)
    say(f"Scored:   {run.identity}: {score.score:g}")
    return ExitCode.OK


def import_command(start: Path, name: str, *, yes: bool) -> ExitCode:
    """Import the commits in a run's private git folder, after a replay or a crash.

    Args:
        start: a folder in the repository.
        name: the run's name.
        yes: move the branch even to commits that delete files which the session did not have.

    Raises:
        RunError: there is no such run, or a session of its plan is running.
        SessionError: a replay is running, or a session of `plan`, or one whose lw_coder was killed.
    """
    repository = find_repository(start)
    run = find_run(repository.root, name)
    with plan_lock(repository.root, run.plan_id):
        session = open_private_git(run.folder)
        with suppress(EngineError):  # commits can be imported without an engine
            require_idle(repo_hash(root_commit(repository), repository.common_dir), _owner(run, session))
        worktree = plan_worktree(repository, run.plan_id)
        imported = import_commits(repository, worktree, session, run.identity, yes=yes)
    for note in imported.notes:
        warn(note)
    if imported.problem:
        raise RunError(f"{run.identity}: {imported.problem}", "replay the run, and correct it there")
    for ref in imported.refs:
        say(f"Imported: {printable(ref)}")
    if not imported.refs:
        say("There is nothing to import.")
    return ExitCode.OK


def _owner(run: Run, session: PrivateGit) -> str:
    """Return the owner that the labels of a run's containers name."""
    return owner_of(session.worktree_name) if run.plan_id == PLAN_RUNS else run.plan_id


def export_command(start: Path, plan_id: str | None) -> ExitCode:
    """Print each run as JSON Lines: the signature's inputs and outputs, the result and the score.

    Raises:
        RunError: there is neither a plan nor a run with this id.
    """
    root = find_repository(start).root
    require_known_plan(root, plan_id)
    for line in exported_runs(root, plan_id):
        click.echo(json.dumps(line, sort_keys=True))
    return ExitCode.OK


def _row(run: Run) -> dict[str, Any]:
    try:
        record = read_record(run)
    except RunError:
        return {"run": run.identity, "model": None, "status": "damaged", "commits": None, "cost_usd": None}
    ended = record.get("ended") or {}
    status = ended.get("status", "not ended")
    return {
        "run": run.identity,
        "model": record.get("model"),
        "status": status,
        "commits": ended.get("commits"),
        "cost_usd": _spent(ended).get("cost_usd"),
    }


def _spent(ended: dict[str, Any]) -> dict[str, Any]:
    """Return what a session's gateway has counted in all; empty without one."""
    spent = ended.get("spent")
    total = spent.get("total") if isinstance(spent, dict) else None
    return total if isinstance(total, dict) else {}


def _print_table(rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def _cell(value: object) -> str:
    return "-" if value is None else printable(str(value))
