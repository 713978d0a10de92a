"""Folders of lw_coder: one that is not there is empty; one that cannot be read, or no folder, is an error."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from lw_coder.foundation.errors import FolderError
from lw_coder.foundation.files import resolved

_IGNORE_FILE = ".gitignore"
_ATTEMPTS = 1000  # other commands remove an empty folder in far fewer of them


def make_folder(folder: Path, *, gitignore: bool = False) -> None:
    """Create a folder for its owner alone, and its parents; `gitignore` hides from git what is in it.

    Another command that fails at this moment can remove it, as long as it is empty: then it is created again.

    Raises:
        OSError: it cannot be created.
    """
    for attempt in range(_ATTEMPTS):
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)  # whoever created it
            if gitignore:
                write_ignore_file(folder)
        except (FileNotFoundError, FileExistsError):
            if attempt == _ATTEMPTS - 1:
                raise
        else:
            return


def write_ignore_file(folder: Path) -> None:
    """Let git see nothing that is in a folder, if the folder has no ignore file yet.

    Raises:
        OSError: it cannot be written.
    """
    if not (folder / _IGNORE_FILE).exists():
        (folder / _IGNORE_FILE).write_text("*\n", encoding="ascii")


def remove_if_unused(folder: Path) -> None:
    """Remove a folder in which there is nothing except an ignore file; do nothing if that is impossible.

    Another command can put something there at this moment: then the folder stays, with its ignore file.
    """
    with suppress(OSError):
        names = [path.name for path in folder.iterdir()]
        if names == [_IGNORE_FILE]:
            (folder / _IGNORE_FILE).unlink()
        try:
            folder.rmdir()
        except OSError:
            if names == [_IGNORE_FILE]:
                write_ignore_file(folder)


def entries_of(folder: Path) -> list[os.DirEntry[str]]:
    """Return what is in a folder, sorted by name; nothing if it is not there.

    Raises:
        FolderError: it cannot be read, or it or one of its parents is something else than a folder.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        _require_absent(folder, error)
        return []


def real_path(folder: Path) -> Path:
    """Return where a folder is, or would be created, without links.

    Raises:
        FolderError: as `entries_of`.
    """
    try:
        folder.stat()
    except OSError as error:
        _require_absent(folder, error)
    else:
        _require_folder(folder)
    return resolved(folder)


def _require_absent(folder: Path, error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        reason = error.strerror or type(error).__name__
        raise FolderError(
            f"{folder}: cannot be read: {reason}", "correct its owner and permissions"
        ) from error
    _require_folder(next(path for path in (folder, *folder.parents) if os.path.lexists(path)))


def _require_folder(path: Path) -> None:
    # One look: another command can remove it, and create it again, between two.
    try:
        is_folder = stat.S_ISDIR(path.stat().st_mode)
    except OSError:
        is_folder = not path.is_symlink()  # it has gone at this moment
    if not is_folder:
        what = "is a link that leads to no folder" if path.is_symlink() else "is not a folder"
        raise FolderError(f"{path}: {what}", "rename it or remove it")
