"""Git LFS: copy the objects of a session into the repository, after a check of their hashes."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from lw_coder.foundation.errors import GitError
from lw_coder.repository.git import Place, Repository, run_git
from lw_coder.repository.importing.untrusted_files import UntrustedFolder, too_large

LONGEST_POINTER = 1024  # bytes; Git LFS defines this limit

_AT_ONCE = 10_000  # files that one git call reads
_MAX_BYTES = 16 << 30  # of all files of a session
# Git LFS allows ten lines of extensions in between. Unbounded, an agent's small files would take hours.
_POINTER = re.compile(
    r"version https://git-lfs\.github\.com/spec/v1\n(?:.*\n){0,10}?oid sha256:([0-9a-f]{64})\n"
)


def lfs_folder(repository: Repository) -> Path:
    """Return the folder of the repository's LFS objects, which may not exist."""
    asked = ("config", "--type=path", "--get", "lfs.storage")
    configured = run_git(*asked, place=repository.place, check=False).stdout
    return repository.common_dir / (configured or "lfs") / "objects"


def pointers_in(repository: Repository, new: str, old: str) -> list[str]:
    """List the ids of the LFS objects that the commits in `old..new` refer to, each once.

    Raises:
        GitError: git failed.
    """
    asked = ("rev-list", "--objects", "--no-object-names", new, f"^{old}", "--")
    listed = run_git(*asked, place=repository.place).stdout
    form = "--batch-check=%(objectname) %(objecttype) %(objectsize)"
    fields = (line.split(" ") for line in _batch(repository.place, form, listed).split("\n") if line)
    small = (sha for sha, kind, *size in fields if kind == "blob" and int(size[0]) <= LONGEST_POINTER)
    found: dict[str, None] = {}
    while names := "\n".join(islice(small, _AT_ONCE)):
        found |= dict.fromkeys(_POINTER.findall(_batch(repository.place, "--batch", names)))
    return list(found)


def is_pointer(text: str) -> bool:
    """Return whether a text is a Git LFS pointer."""
    return _POINTER.match(f"{text}\n") is not None


def copy_objects(session_git: Path, target: Path, wanted: Iterable[str]) -> list[str]:
    """Copy LFS objects from a session's git folder; return the ids that neither side has.

    Args:
        session_git: the session's git folder, which may be hostile.
        target: the folder of the repository's LFS objects.
        wanted: ids of the objects.

    Raises:
        GitError: the objects are too large.
        OSError: the disk is full.
    """
    source, room, missing = UntrustedFolder(session_git), _MAX_BYTES, []
    for name in wanted:
        path = target / name[:2] / name[2:4] / name
        if path.is_file():
            continue
        read, is_copied = _copy(source, f"lfs/objects/{name[:2]}/{name[2:4]}/{name}", path, room)
        if not is_copied:
            missing.append(name)
        room -= read
    return missing


def _copy(source: UntrustedFolder, name: str, path: Path, room: int) -> tuple[int, bool]:
    """Copy one object if its hash is correct; return how many bytes that read, and whether it was copied."""
    found = source.stat(name)
    if found is None:
        return 0, False
    if found.st_size > room:
        raise too_large("its Git LFS objects are too large")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="lw_coder-", dir=path.parent) as folder:
        copy = Path(folder, "copy")
        try:
            size = source.copy(name, copy, room)
        except GitError:
            return found.st_size, False
        if _sha256(copy) != path.name:
            return size, False
        copy.replace(path)
    return size, True


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _batch(place: Place, option: str, names: str) -> str:
    return run_git("cat-file", option, place=place, stdin=f"{names}\n").stdout
