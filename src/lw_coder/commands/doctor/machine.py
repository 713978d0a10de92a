"""Checks of the machine: free space, and the folders that belong to no repository."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lw_coder.commands.doctor.findings import Checks, Finding
from lw_coder.foundation.state import require_folders

_GIB = 1 << 30
_ENGINES = "docker's disk"
_REPOSITORYS = "the repository's disk"
_LEAST = {_ENGINES: 3 * _GIB, _REPOSITORYS: _GIB}  # bytes
_REMEDIES = {
    _ENGINES: "docker system df shows what takes it; docker builder prune removes the build cache",
    _REPOSITORYS: "free some space; lw_coder runs prune removes old runs",
}


class _Disk(NamedTuple):
    """A disk: what it is for, a folder on it, and its free bytes and files."""

    what: str
    folder: Path
    free: int
    files: int


def check_machine(checks: Checks, root: Path | None, info: Mapping[str, Any]) -> None:
    """Check the folders and the disks; nothing is written.

    Args:
        checks: gets the findings.
        root: the repository's, or None.
        info: what `docker info` tells; empty if the engine does not answer.
    """
    checks.run("folders", require_folders, lambda folders: f"{', '.join(map(str, folders))}: can be written")
    places = {_ENGINES: info.get("DockerRootDir"), _REPOSITORYS: root}
    disks = [disk for what, folder in places.items() if folder and (disk := _disk(what, Path(folder)))]
    checks.run("disk space", lambda: disks, _describe)


def _disk(what: str, folder: Path) -> _Disk | None:
    """Look at a disk; None if it is none of this machine, as that of Docker Desktop."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    has_files = found.f_files > 0  # some file systems do not count them
    return _Disk(what, folder, found.f_bavail * found.f_frsize, found.f_favail if has_files else 1)


def _describe(disks: list[_Disk]) -> str | Finding:
    told = "; ".join(f"{disk.what} ({disk.folder}) has {_gib(disk.free)} free" for disk in disks)
    for disk in disks:
        if disk.free < _LEAST[disk.what]:
            least = f"less than {_gib(_LEAST[disk.what])}"
            return Finding("disk space", f"{told}; {disk.what} has {least}", _REMEDIES[disk.what])
        if not disk.files:
            return Finding(
                "disk space", f"{told}; {disk.what} has no room for another file", _REMEDIES[disk.what]
            )
    return told or "is not known"


def _gib(size: int) -> str:
    return f"{size / _GIB:.1f} GiB"
