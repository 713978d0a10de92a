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


def require_absolute_homes() -> None:
    """Check the variables that say where these folders are: a relative one would lead into a repository.

    Raises:
        StateError: one of them is not absolute.
    """
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        if os.environ.get(name) and not os.path.isabs(os.environ[name]):  # noqa: PTH117 - a text
            raise StateError(f"{name}: it is not an absolute path", f"correct {name} in your environment")


def prompt_cache_folder() -> Path:
    """Return the folder of DSPy's cache; it is created with the first answer."""
    return Path(platformdirs.user_cache_dir(APP)) / "dspy"


def log_folder() -> Path:
    """Return the folder of the logs, which only its owner can read."""
    return _private(Path(platformdirs.user_log_dir(APP)))


def lock_folder() -> Path:
    """Return the folder of the locks, which only its owner can read."""
    return _private(Path(platformdirs.user_state_dir(APP)) / "locks")


def require_folders() -> tuple[Path, ...]:
    """Return the folders of the cache, the logs and the locks, whether or not they exist; nothing is created.

    Raises:
        StateError: one could not be created or written.
    """
    log, state = Path(platformdirs.user_log_dir(APP)), Path(platformdirs.user_state_dir(APP))
    folders = (prompt_cache_folder(), log, state / "locks")
    for folder in folders:
        place = next(path for path in (folder, *folder.parents) if path.exists())
        if not (place.is_dir() and os.access(place, os.W_OK | os.X_OK)):
            remedy = _FOLDER_REMEDY.replace("STATE", "CACHE") if folder is folders[0] else _FOLDER_REMEDY
            raise StateError(f"{folder}: {place} is not a folder that you can write to", remedy)
    return folders


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
