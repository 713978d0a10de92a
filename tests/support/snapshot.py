"""A whole folder, `.git` included, as it can be compared: nothing is left out."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

Snapshot = dict[str, tuple[str, str, str]]


def snapshot(root: Path) -> Snapshot:
    """Return type, mode and content (a hash, or a symlink's target) of every path below a folder."""
    paths = (Path(folder, name) for folder, folders, files in os.walk(root) for name in [*folders, *files])
    return {str(path.relative_to(root)): _state(path) for path in [root, *paths]}


def _state(path: Path) -> tuple[str, str, str]:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return "link", "", str(path.readlink())
    if stat.S_ISDIR(mode):
        return "folder", oct(stat.S_IMODE(mode)), ""
    content = hashlib.sha256(path.read_bytes()).hexdigest() if stat.S_ISREG(mode) else ""
    return "file", oct(stat.S_IMODE(mode)), content


def changes(before: Snapshot, after: Snapshot) -> list[str]:
    """Name what came, went or changed, a line each."""
    names = sorted(before.keys() | after.keys())
    return [
        f"{name}: {before.get(name)} -> {after.get(name)}"
        for name in names
        if before.get(name) != after.get(name)
    ]
