"""`lw_coder runs show RUN --html`: write a run's page, and open it."""

from __future__ import annotations

import os
import webbrowser
from pathlib import Path

from lw_coder.foundation.errors import ExitCode, LwCoderError, RunError
from lw_coder.foundation.files import resolved
from lw_coder.foundation.redaction import Redaction
from lw_coder.foundation.report import is_utf8, output, printable, shown_if_slow, tell, warn
from lw_coder.foundation.signals import interruptible
from lw_coder.pages.html import GENERATOR
from lw_coder.pages.page import render_page
from lw_coder.repository.git import find_repository
from lw_coder.runs.exported import score_fields
from lw_coder.runs.find_run import find_run
from lw_coder.runs.run_folders import Run, disk_error, read_record, write_file
from lw_coder.runs.scores import read_score
from lw_coder.sessions.context import redaction_of
from lw_coder.settings.config import load_config
from lw_coder.settings.environment import load_environment

_STANDARD_OUTPUT = "-"
_MARK = f'<meta name="generator" content="{GENERATOR} '.encode("ascii")
_HEAD = 2000  # bytes in which a page of ours has the mark


def page_command(start: Path, name: str, target: str, *, opens: bool) -> ExitCode:
    """Write the page of a run, and show it in the person's browser if they want that.

    Args:
        start: a folder in the repository.
        name: the run's name.
        target: the file, or the folder to write it to; `-` for standard output; empty for the current folder.
        opens: whether to show it.

    Raises:
        RunError: there is no such run, its record is damaged, something else is at that place, or the file
            cannot be written.
        GitError: git failed.
    """
    repository = find_repository(start)
    run = find_run(repository.home, name)
    record, score = read_record(run), score_fields(read_score(run))
    path = None if target == _STANDARD_OUTPUT else _place(target, run)
    redaction = page_redaction(repository.root)
    with shown_if_slow("Page: being written"):
        page = render_page(repository, run, record, score, redaction)
    if path is None:
        output(page)
        return ExitCode.OK
    _write(path, page)
    if opens:
        _open(path)
    return ExitCode.OK


def page_redaction(root: Path) -> Redaction:
    """Return what removes the values that a session would get now; those of that time are nowhere."""
    try:
        config = load_config(root)
        environment = load_environment(root, config.env_file, config.forward_env, os.environ)
    except LwCoderError as error:
        warn(f"{error.message}; so the page shows values of variables if the agent printed them")
        return Redaction({})
    return redaction_of(config, environment)


def _write(path: Path, page: str) -> None:
    had_one = path.exists()
    try:
        write_file(path.parent, path.name, page)
    except OSError as error:
        raise disk_error(path, error) from error
    tell(f"Page:     {path}{' (in place of an earlier one)' if had_one else ''}")


def _open(path: Path) -> None:
    address = resolved(path).as_uri()
    with interruptible():
        is_shown = webbrowser.open(address)
    if not is_shown:
        warn(f"no browser could be started; open {address}")


def _place(target: str, run: Run) -> Path:
    """Return the file to write.

    Raises:
        RunError: its name is not UTF-8, its folder does not exist, or something else is there.
    """
    path = Path(target or ".")
    if path.is_dir():
        path /= f"{run.plan_id.lstrip('@')}-{run.name}.html"
    shown = printable(str(path))
    if not is_utf8(str(path)):
        raise RunError(f"{shown}: is not UTF-8 text", "give another FILE")
    if not path.parent.is_dir():
        raise RunError(f"{shown}: its folder does not exist", "create the folder, or give another FILE")
    if (path.exists() or path.is_symlink()) and not _is_page(path):
        raise RunError(f"{shown}: exists, and is not a page of lw_coder", "remove it, or give another FILE")
    return path


def _is_page(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return _MARK in file.read(_HEAD)
    except OSError:
        return False
