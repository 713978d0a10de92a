"""Import a session's objects into the person's repository through a quarantine.

They are copied by name into a new repository, and the person's repository fetches from it, with every object
checked. An agent can create objects of a few bytes that cost git minutes or gigabytes: those are refused.
"""

from __future__ import annotations

import os
import re
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lw_coder.repository.git import Place, Repository, config_text, init_bare, list_refs, run_git, text_lines
from lw_coder.repository.importing.untrusted_files import MAX_ENTRIES, UntrustedFolder, too_large

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lw_coder.repository.private_git import PrivateGit

MAX_OBJECT_BYTES = 4 << 30  # compressed, all new objects of a session together
MAX_BESIDES_BLOBS = 64 << 20  # bytes of a commit, tree or tag, which git always loads into memory
MAX_PACKS = 200  # git searches all of them for each object

# Fetching packs the new objects. Without deltas, which need many files in memory, large files work too.
_SPARING = {"pack.window": "0", "pack.threads": "1"}
_LOOSE = re.compile(r"[0-9a-f]{38}(?:[0-9a-f]{24})?")
_PACK = re.compile(r"pack-[0-9a-f]{40}(?:[0-9a-f]{24})?\.pack")


def import_refs(
    repository: Repository, session: PrivateGit, values: Mapping[str, str], prefix: str
) -> tuple[str, ...]:
    """Import refs and everything that they reach into a repository.

    Args:
        repository: the person's.
        session: the run's private git folder, which is hostile.
        values: object ids by the refs' names.
        prefix: the prefix of the imported names.

    Returns:
        The full names of all refs below the prefix.

    Raises:
        GitError: git's check rejects an object, or something is too large.
        OSError: the disk is full, or the run's folder cannot be written.
    """
    if not values:
        return ()
    with _quarantine(repository, session) as quarantine:
        _take_refs(repository, quarantine, values, prefix)
    return tuple(list_refs(repository, prefix))


def import_blobs(repository: Repository, session: PrivateGit, shas: Sequence[str], ref: str) -> None:
    """Bring contents that no commit has into a repository; the ref keeps them, as the files of one tree.

    Args:
        repository: the person's.
        session: the run's private git folder, which is hostile.
        shas: their ids.
        ref: full name of a ref.

    Raises:
        GitError: one of them is not there, git's check refuses it, or it is too large.
        OSError: the disk is full, or the run's folder cannot be written.
    """
    with _quarantine(repository, session) as quarantine:
        lines = "".join(f"100644 blob {sha}\t{number}\0" for number, sha in enumerate(shas))
        tree = run_git("mktree", "-z", place=quarantine, stdin=lines).stdout
        prefix, _, name = ref.rpartition("/")
        _take_refs(repository, quarantine, {name: tree}, prefix)


@contextmanager
def _quarantine(repository: Repository, session: PrivateGit) -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="quarantine-", dir=session.run_folder) as folder:
        quarantine = Place(Path(folder, "git"), git_dir=Path(folder, "git"))
        init_bare(quarantine.cwd, repository.object_format)
        _append_config(quarantine.cwd, _SPARING)
        _copy_objects(UntrustedFolder(session.folder), quarantine.cwd)
        _index_packs(quarantine)
        _require_modest(quarantine)
        _borrow(repository, quarantine.cwd)
        yield quarantine


def _take_refs(repository: Repository, quarantine: Place, values: Mapping[str, str], prefix: str) -> None:
    commands = (f"create {prefix}/{name}\0{sha}\0" for name, sha in values.items())
    run_git("update-ref", "-z", "--stdin", place=quarantine, stdin="".join(commands))
    _fetch(repository, quarantine, prefix)


def _append_config(folder: Path, settings: Mapping[str, str]) -> None:
    with (folder / "config").open("a", encoding="ascii") as config:
        config.write(config_text(settings))


def _borrow(repository: Repository, folder: Path) -> None:
    """Make the repository's objects available to the quarantine."""
    (folder / "objects/info").mkdir(exist_ok=True)
    (folder / "objects/info/alternates").write_bytes(os.fsencode(f"{repository.common_dir / 'objects'}\n"))
    shallow = repository.common_dir / "shallow"
    if shallow.is_file():
        (folder / "shallow").write_bytes(shallow.read_bytes())


def _require_modest(quarantine: Place) -> None:
    """Raise an error for objects that are too large; the quarantine contains only the new objects so far."""
    every = ("cat-file", "--batch-all-objects", "--unordered", "--batch-check=%(objecttype) %(objectsize)")
    for line in text_lines(run_git(*every, place=quarantine).stdout):
        kind, size = line.rsplit(" ", 1)
        if size == "missing":
            continue  # damaged, for example by a crash; git's check rejects it if it is reachable
        if kind != "blob" and int(size) > MAX_BESIDES_BLOBS:
            raise too_large(f"it contains a {kind} of {size} bytes")


def _copy_objects(source: UntrustedFolder, target: Path) -> None:
    room = MAX_OBJECT_BYTES
    for count, name in enumerate(_object_names(source)):
        if count > MAX_ENTRIES:
            raise too_large("it contains too many objects")
        copy = target / name
        copy.parent.mkdir(exist_ok=True)
        room -= source.copy(name, copy, room)


def _object_names(source: UntrustedFolder) -> Iterator[str]:
    """Yield the names of loose objects and packs; the agent's pack indexes are not used."""
    for folder in source.entries("objects"):
        pattern = _PACK if folder.name == "pack" else _LOOSE
        if not folder.is_folder or not re.fullmatch(r"[0-9a-f]{2}|pack", folder.name):
            continue
        for entry in source.entries(f"objects/{folder.name}"):
            if pattern.fullmatch(entry.name):
                yield f"objects/{folder.name}/{entry.name}"


def _index_packs(quarantine: Place) -> None:
    packs = sorted((quarantine.cwd / "objects/pack").glob("pack-*.pack"))
    if len(packs) > MAX_PACKS:
        raise too_large(f"it contains more than {MAX_PACKS} packs")
    for pack in packs:
        run_git("index-pack", str(pack), place=quarantine)


def _fetch(repository: Repository, quarantine: Place, prefix: str) -> None:
    options = ("--quiet", "--atomic", "--no-tags", "--no-prune", "--no-write-fetch-head", "--no-auto-gc")
    run_git(
        *("fetch", *options, "--no-recurse-submodules", str(quarantine.cwd), f"+{prefix}/*:{prefix}/*"),
        place=repository.place,
        config=("fetch.fsckObjects=true", "transfer.fsckObjects=true", "protocol.file.allow=always"),
    )
