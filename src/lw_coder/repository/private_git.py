"""The private git folder of a run, the container's `/repo-git`, so that it never writes the host's `.git`.

It has the layout of a bare repository, one worktree with the same name as the host's, all branches, tags and
remote-tracking refs of the repository, and none of its objects: those are mounted read-only.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lw_coder.foundation.errors import GitError
from lw_coder.repository.git import Identity, Repository, config_text, init_bare, list_refs, text_lines

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lw_coder.repository.worktrees import Worktree

CONTAINER_GIT = "/repo-git"
CONTAINER_OBJECTS = "/repo-objects"
CONTAINER_POINTER = "/workspace/.git"

_RECORD = "git-refs.json"
_COPIED_REFS = ("refs/heads", "refs/tags", "refs/remotes")
_MAX_ALTERNATES_DEPTH = 5  # git's own


class GitMount(NamedTuple):
    """A bind mount that the container's git needs: an existing host path, and its path in the container."""

    source: Path
    target: str
    read_only: bool


@dataclass(frozen=True)
class PrivateGit:
    """The private git folder of one run, and its initial state.

    Attributes:
        run_folder: the run's folder; `git/` in it is the one that the container writes.
        worktree_name: name below `worktrees/`, here as in the repository.
        branch: short name of the worktree's branch, or None if its HEAD was detached.
        head: id of the commit that was checked out initially.
        object_dirs: the repository's object folders: its own, then those that it borrows from.
        refs: full name and object id of each initial ref.
    """

    run_folder: Path
    worktree_name: str
    branch: str | None
    head: str
    object_dirs: tuple[Path, ...]
    refs: Mapping[str, str] = field(repr=False)

    @property
    def folder(self) -> Path:
        """The folder that is mounted writable; after the session its contents are hostile."""
        return self.run_folder / "git"

    @property
    def pointer(self) -> Path:
        """The file that is mounted over the worktree's `.git`."""
        return self.run_folder / "pointer"

    def mounts(self) -> tuple[GitMount, ...]:
        """List the mounts, outer folders before those that cover parts of them."""
        mounts = [
            GitMount(self.folder, CONTAINER_GIT, read_only=False),
            GitMount(self.pointer, CONTAINER_POINTER, read_only=True),
            GitMount(
                self.run_folder / "alternates", f"{CONTAINER_GIT}/objects/info/alternates", read_only=True
            ),
        ]
        for source, target in zip(self.object_dirs, _targets(self.object_dirs), strict=True):
            mounts.append(GitMount(source, target, read_only=True))
            if (source / "info/alternates").exists():
                # It contains host paths, and git would print an error about them at every command.
                hidden = self.run_folder / "no-alternates"
                mounts.append(GitMount(hidden, f"{target}/info/alternates", read_only=True))
        return tuple(mounts)


def create_private_git(
    repository: Repository, worktree: Worktree, run_folder: Path, identity: Identity | None
) -> PrivateGit:
    """Make `git/`, `pointer`, `alternates`, `no-alternates` and `git-refs.json` in a run's folder.

    Args:
        repository: where the refs and objects are.
        worktree: the session's worktree.
        run_folder: an existing folder; it may be renamed afterwards, see `open_private_git`.
        identity: the committer in the container, or None: then git there asks for it.

    Raises:
        GitError: git failed, or the repository borrows objects in a way that cannot be mounted.
    """
    session = PrivateGit(
        run_folder,
        worktree.git_dir.name,
        worktree.branch,
        worktree.head,
        object_dirs(repository.common_dir / "objects"),
        list_refs(repository, *_COPIED_REFS),
    )
    _initialise(repository, session, identity)
    _write_refs(repository, session)
    _write_worktree(worktree, session)
    _write_mounted_files(session)
    _write_record(session)
    return session


def open_private_git(run_folder: Path) -> PrivateGit:
    """Read back what `create_private_git` wrote, wherever the run's folder is now.

    Raises:
        GitError: the record is missing or damaged.
    """
    path = run_folder / _RECORD
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="ascii"))
        names = _of_texts({name: found[name] for name in ("worktree", "head")})
        branch = found["branch"]
        return PrivateGit(
            run_folder,
            names["worktree"],
            branch if branch is None else _of_texts({"branch": branch})["branch"],
            names["head"],
            tuple(Path(folder) for folder in found["object_dirs"]),
            _of_texts(found["refs"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise GitError(f"{path}: cannot be read", "keep the run's folder, and inspect its git/") from error


def _of_texts(values: dict[str, Any]) -> dict[str, str]:
    if not all(isinstance(value, str) for value in values.values()):
        raise TypeError("is not a text")
    return values


def object_dirs(objects: Path, depth: int = 0) -> tuple[Path, ...]:
    """List an objects folder and all its alternates (`clone --shared`, `--reference`), each once.

    Raises:
        GitError: its alternates file is quoted or nested deeper than git allows.
    """
    found = [objects.resolve()]
    for borrowed in _alternates(objects):
        if depth >= _MAX_ALTERNATES_DEPTH:
            raise GitError(f"{objects}: has too many levels of alternates", "type: git repack -a -d")
        found += object_dirs(borrowed, depth + 1) if borrowed.is_dir() else ()
    return tuple(dict.fromkeys(found))


def _alternates(objects: Path) -> list[Path]:
    file = objects / "info/alternates"
    lines = text_lines(os.fsdecode(file.read_bytes())) if file.is_file() else []
    names = [line for line in lines if line and not line.startswith("#")]
    if any(name.startswith('"') for name in names):
        raise GitError(f"{file}: contains a quoted path", "type: git repack -a -d, then remove that file")
    return [objects / name for name in names]


def _targets(folders: tuple[Path, ...]) -> list[str]:
    return [CONTAINER_OBJECTS + (f"-{index}" if index else "") for index in range(len(folders))]


def _initialise(repository: Repository, session: PrivateGit, identity: Identity | None) -> None:
    init_bare(session.folder, repository.object_format)
    settings = {"core.logAllRefUpdates": "true"}
    if identity is not None:
        settings |= {"user.name": identity.name, "user.email": identity.email}
        if identity.committer is not None:
            settings |= {"committer.name": identity.committer[0], "committer.email": identity.committer[1]}
    with (session.folder / "config").open("ab") as config:
        config.write(os.fsencode(config_text(settings)))


def _write_refs(repository: Repository, session: PrivateGit) -> None:
    # One packed-refs file: update-ref would write a file for each ref, and fail if an object is missing.
    lines = [f"{sha} {name}\n" for name, sha in session.refs.items()]
    (session.folder / "packed-refs").write_bytes(os.fsencode("".join(lines)))
    (session.folder / "HEAD").write_text(_head(session), encoding="utf-8")
    (session.folder / "info").mkdir(exist_ok=True)
    for name in ("shallow", "info/exclude"):
        if (repository.common_dir / name).is_file():
            shutil.copyfile(repository.common_dir / name, session.folder / name)
    (session.folder / "objects/info").mkdir(exist_ok=True)
    own_objects = os.fsencode(f"{session.object_dirs[0]}\n")
    (session.folder / "objects/info/alternates").write_bytes(own_objects)


def _write_worktree(worktree: Worktree, session: PrivateGit) -> None:
    folder = session.folder / "worktrees" / session.worktree_name
    folder.mkdir(parents=True)
    (folder / "HEAD").write_text(_head(session), encoding="utf-8")
    (folder / "commondir").write_text("../..\n", encoding="ascii")
    (folder / "gitdir").write_text(f"{CONTAINER_POINTER}\n", encoding="ascii")
    # With core.splitIndex the index is two files.
    for index in (worktree.git_dir / "index", *worktree.git_dir.glob("sharedindex.*")):
        if index.is_file():
            shutil.copyfile(index, folder / index.name)


def _head(session: PrivateGit) -> str:
    return f"ref: refs/heads/{session.branch}\n" if session.branch else f"{session.head}\n"


def _write_mounted_files(session: PrivateGit) -> None:
    session.pointer.write_text(
        f"gitdir: {CONTAINER_GIT}/worktrees/{session.worktree_name}\n", encoding="utf-8"
    )
    lines = "".join(f"{target}\n" for target in _targets(session.object_dirs))
    (session.run_folder / "alternates").write_text(lines, encoding="ascii")
    (session.run_folder / "no-alternates").write_bytes(b"")


def _write_record(session: PrivateGit) -> None:
    record = {
        "worktree": session.worktree_name,
        "branch": session.branch,
        "head": session.head,
        "object_dirs": [str(folder) for folder in session.object_dirs],
        "refs": dict(session.refs),
    }
    (session.run_folder / _RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="ascii")
