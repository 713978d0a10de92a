"""Fetch a run on a node, and rebuild what a session mounts: the run's folder, the worktree, the objects."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from lw_coder.engines.job_document import JOB_FILE, OBJECTS, RUNS, JobDocument, read_job
from lw_coder.engines.node_paths import OBJECTS_FOLDER, NodeRun, cached_objects
from lw_coder.foundation.errors import EngineError
from lw_coder.foundation.plain_tar import BadTarError, TarReader, unpack
from lw_coder.repository.git import init_bare
from lw_coder.repository.object_packs import check_out

if TYPE_CHECKING:
    from lw_coder.containers.registry import Artifact, Registry

_MOST = 1 << 40  # bytes; what comes from the user's machine is trusted
_MOST_FILES = 10_000_000
_REMEDY = "start the plan again; nothing has been run"


def fetch_run(registry: Registry, manifest: str, work: Path) -> JobDocument:
    """Fetch a run into a work folder, and return what it says.

    Raises:
        EngineError: it is not there, or is damaged.
        OSError: the disk is full.
    """
    artifact = registry.find(RUNS, manifest)
    if artifact is None:
        raise EngineError(f"{registry.place.host}: has no run {manifest}", _REMEDY)
    _fetch_tar(registry, artifact, work)
    try:
        return read_job((work / JOB_FILE).read_bytes())
    except ValueError as error:
        raise EngineError(f"{JOB_FILE}: cannot be read: {error}", _REMEDY) from None


def rebuild(registry: Registry, job: JobDocument, run: NodeRun) -> None:
    """Rebuild the worktree and the folders of a run that was fetched.

    Raises:
        LwCoderError: an object is missing.
        OSError: the disk is full.
    """
    cached = _ensure_objects(registry, job)
    for folder in job.folders:
        (run.folder / folder).mkdir(parents=True, exist_ok=True)
    git_dir = run.root / OBJECTS_FOLDER.parent
    init_bare(git_dir, job.object_format)
    alternates = git_dir / "objects/info/alternates"
    alternates.write_bytes(os.fsencode(f"{cached}\n"))
    run.worktree.mkdir(parents=True)
    check_out(git_dir, run.worktree, job.head, tuple(f"{name}={value}" for name, value in job.eol.items()))
    alternates.unlink()  # the session has both folders, under other paths
    shutil.move(git_dir / "index", run.folder / "git/worktrees" / job.worktree / "index")
    (run.worktree / ".git").touch()  # the pointer is mounted over it
    _give(run.root, job.user)


def _ensure_objects(registry: Registry, job: JobDocument) -> Path:
    """Return the folder of the repository's objects, which is fetched unless it is there."""
    objects = cached_objects(job.layer)
    if objects.is_dir():
        return objects
    artifact = registry.find(OBJECTS, job.objects)
    if artifact is None:
        raise EngineError(f"{registry.place.host}: has no objects {job.objects}", _REMEDY)
    objects.parent.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=objects.parent.parent) as temporary:
        new = Path(temporary, "layer")
        (new / "objects/pack").mkdir(parents=True)
        _fetch_tar(registry, artifact, new / "objects/pack")
        _open_to_all(new)
        try:
            new.rename(objects.parent)
        except OSError:  # another runner was faster
            if not objects.is_dir():
                raise
    return objects


def _open_to_all(folder: Path) -> None:
    """Let sessions of any user read; what is there is mounted read-only."""
    for place, _, files in os.walk(folder):
        Path(place).chmod(0o755)
        for name in files:
            Path(place, name).chmod(0o444)


def _fetch_tar(registry: Registry, artifact: Artifact, folder: Path) -> None:
    with tempfile.TemporaryFile(dir=folder) as file:
        registry.fetch(artifact, file, _MOST)
        file.seek(0)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            reader = TarReader(file, _MOST, _MOST_FILES)
            for entry in reader:
                unpack(reader, entry, handle, 0o700 if entry.is_program else 0o600)
        except BadTarError as error:
            raise EngineError(f"what was fetched is damaged: {error}", _REMEDY) from None
        finally:
            os.close(handle)


def _give(folder: Path, user: str) -> None:
    """Give all of a folder to a session's user."""
    uid, _, gid = user.partition(":")
    for place, folders, files in os.walk(folder):
        for name in (".", *folders, *files):
            os.chown(f"{place}/{name}", int(uid), int(gid), follow_symlinks=False)
