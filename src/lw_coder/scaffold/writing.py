"""Write several files, all or none."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from lw_coder.foundation.errors import SetUpError
from lw_coder.foundation.signals import held
from lw_coder.scaffold.changes import Action, Change

_ENDING = ".lw_coder-new"  # of names that exist only meanwhile

Steps = list[Callable[[], object]]


@contextmanager
def written(root: Path, changes: Sequence[Change]) -> Iterator[None]:
    """Write files, and undo it if that or the block fails.

    Args:
        root: what the paths are relative to.
        changes: what to write; kept files are left alone.

    Raises:
        SetUpError: a file cannot be written; everything is as it was.
    """
    undo: Steps = []
    try:
        with held():
            _write([(root / change.path, change) for change in changes], undo)
        yield
    except BaseException:
        with held():
            for step in reversed(undo):
                with suppress(OSError):
                    step()
        raise


def _write(files: Sequence[tuple[Path, Change]], undo: Steps) -> None:
    files = [(path, change) for path, change in files if change.action is not Action.KEEP]
    try:
        for path, change in files:  # a full disk shows now, before anything takes its place
            _make_folders(path.parent, undo)
            undo.append(_beside(path).unlink)
            _beside(path).write_bytes(change.content)
        for path, change in files:
            _put_in_place(path, change, undo)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        remedy = "correct the folder's owner and permissions, or free some space"
        raise SetUpError(f"{error.filename}: cannot be written: {reason}", remedy) from error


def _make_folders(folder: Path, undo: Steps) -> None:
    if not folder.is_dir():
        _make_folders(folder.parent, undo)
        folder.mkdir()
        undo.append(folder.rmdir)


def _put_in_place(path: Path, change: Change, undo: Steps) -> None:
    if change.action is not Action.CREATE:
        old, mode = path.read_bytes(), path.stat().st_mode & 0o777
        _beside(path).chmod(mode)
        undo.append(lambda: _restore(path, old, mode))
    elif os.path.lexists(path):
        raise FileExistsError(0, "it was created meanwhile", str(path))
    else:
        undo.append(path.unlink)
    _beside(path).replace(path)


def _restore(path: Path, content: bytes, mode: int) -> None:
    _beside(path).write_bytes(content)
    _beside(path).chmod(mode)
    _beside(path).replace(path)


def _beside(path: Path) -> Path:
    return path.with_name(path.name + _ENDING)
