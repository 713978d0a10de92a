"""Where lw_coder keeps what belongs to no repository: the prompt cache and the logs."""

from __future__ import annotations

import os
import traceback
from datetime import UTC, datetime
from pathlib import Path

import platformdirs

from lw_coder.errors import StateError

APP = "lw_coder"

_FOLDER_REMEDY = "correct its owner and permissions, or set XDG_STATE_HOME to a folder of yours"


def prompt_cache_folder() -> Path:
    """Return the folder of DSPy's cache; it is made with the first answer."""
    return Path(platformdirs.user_cache_dir(APP)) / "dspy"


def log_folder() -> Path:
    """Return the folder of the logs, made for its owner alone."""
    return _private(Path(platformdirs.user_log_dir(APP)))


def lock_folder() -> Path:
    """Return the folder of the locks, made for its owner alone."""
    return _private(Path(platformdirs.user_state_dir(APP)) / "locks")


def _private(folder: Path) -> Path:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise StateError(f"{error.filename or folder}: cannot be made: {reason}", _FOLDER_REMEDY) from error
    if not os.access(folder, os.W_OK | os.X_OK):  # of root, after one `sudo lw_coder`
        raise StateError(f"{folder}: is not yours to write", _FOLDER_REMEDY)
    return folder


def write_crash_log(error: BaseException) -> Path:
    """Write where an unexpected error arose.

    An exception's text can hold a secret (a command line, a server's answer): the log has each
    exception's type and stack, without its text.
    """
    path = log_folder() / f"crash-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.log"
    path.touch(mode=0o600)
    path.write_text("".join(_stacks(error)), encoding="utf-8")
    return path


def _stacks(error: BaseException | None) -> list[str]:
    if error is None:
        return []
    stack = traceback.format_list(traceback.extract_tb(error.__traceback__))
    is_ours = type(error).__module__.startswith("lw_coder.")  # its notes are the stack of a child process
    notes = getattr(error, "__notes__", []) if is_ours else []
    earlier = _stacks(error.__cause__ or error.__context__)
    return [*earlier, *notes, f"{type(error).__qualname__}\n", *stack]
