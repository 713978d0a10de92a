"""The folders of what belongs to no repository: the prompt cache, the logs and the locks."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import platformdirs

from lw_coder.foundation.errors import StateError
from lw_coder.foundation.traces import trace

APP = "lw_coder"

_FOLDER_REMEDY = "correct its owner and permissions, or set XDG_STATE_HOME to another folder"


def prompt_cache_folder() -> Path:
    """Return the folder of DSPy's cache; it is created with the first answer."""
    return Path(platformdirs.user_cache_dir(APP)) / "dspy"


def log_folder() -> Path:
    """Return the folder of the logs, which only its owner can read."""
    return _private(Path(platformdirs.user_log_dir(APP)))


def lock_folder() -> Path:
    """Return the folder of the locks, which only its owner can read."""
    return _private(Path(platformdirs.user_state_dir(APP)) / "locks")


def _private(folder: Path) -> Path:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise StateError(
            f"{error.filename or folder}: cannot be created: {reason}", _FOLDER_REMEDY
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):  # owned by root, after a `sudo lw_coder`
        raise StateError(f"{folder}: is not writable", _FOLDER_REMEDY)
    return folder


def write_crash_log(error: BaseException) -> Path:
    """Write the trace of an unexpected error.

    The log does not contain the exception's text, which can contain a secret.
    """
    path = log_folder() / f"crash-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.log"
    path.touch(mode=0o600)
    path.write_text(trace(error), encoding="utf-8")
    return path
