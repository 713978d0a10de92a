"""The private git folder of a run, the container's `/repo-git`, so that it never writes the host's `.git`.

It has the layout of a bare repository, one worktree with the same name as the host's, all branches, tags and
remote-tracking refs of the repository, and none of its objects: those are mounted read-only.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import Struct, field
from msgspec.structs import replace

from lw_coder.foundation.errors import GitError
from lw_coder.foundation.files import read_regular, resolved
from lw_coder.foundation.json_text import read_json
from lw_coder.foundation.report import printable
from lw_coder.repository.content_filters import (
    UNCHANGED,
    filter_settings,
    filters_note,
    unchanged_files,
    used_filters,
)
from lw_coder.repository.git import (
    Identity,
    Place,
    Repository,
    config_text,
    init_bare,
    list_refs,
    run_git,
    text_lines,
)
from lw_coder.repository.git_settings import GitSettings, read_settings
from lw_coder.repository.importing.nested_repositories import READ_BY_GIT, find_nested_repositories
from lw_coder.repository.incomplete_worktrees import quoted
from lw_coder.repository.lfs_objects import lfs_folder
from lw_coder.repository.submodules import populated
from lw_coder.repository.worktree_index import copy_index, has_base

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lw_coder.repository.worktrees import Worktree

CONTAINER_GIT = "/repo-git"
CONTAINER_OBJECTS = "/repo-objects"
CONTAINER_WORKTREE = "/workspace"
CONTAINER_POINTER = f"{CONTAINER_WORKTREE}/.git"
CONTAINER_LFS = "/lfs/objects"  # where Git LFS looks for the objects that belong to CONTAINER_OBJECTS

_RECORD = "git-refs.json"
_ABSENT = "absent-files"
_ATTRIBUTES = "info/lw_coder-attributes"
_GITLINK = "160000"
COPIED_REFS = ("refs/heads", "refs/tags", "refs/remotes")
_MAX_ALTERNATES_DEPTH = 5  # git's own


class GitMount(NamedTuple):
    """A bind mount that the container's git needs: an existing host path, and its path in the container."""

    source: Path
    target: str
    read_only: bool


class PrivateGit(Struct, frozen=True):
    """The private git folder of one run, and its initial state.

    Attributes:
        run_folder: the run's folder; `git/` in it is the one that the container writes.
        worktree_name: name below `worktrees/`, here as in the repository.
        branch: short name of the worktree's branch, or None if its HEAD was detached.
        head: id of the commit that was checked out initially.
        object_dirs: the repository's object folders: its own, then those that it borrows from.
        refs: full name and object id of each ref at the start.
        submodules: contents of the `.git` files of the submodules that the user populated, by their paths in
            the worktree.
        lfs_objects: the folder of the repository's Git LFS objects, if it exists.
        notes: lines to show to the user before the session, escaped.
        has_submodules: whether the worktree's index has submodules; false after `open_private_git`.
    """

    run_folder: Path
    worktree_name: str
    branch: str | None
    head: str
    object_dirs: tuple[Path, ...]
    refs: Mapping[str, str]
    submodules: Mapping[str, str] = field(default_factory=dict)
    lfs_objects: Path | None = None
    notes: tuple[str, ...] = ()
    has_submodules: bool = False

    @property
    def folder(self) -> Path:
        """The folder that is mounted writable; after the session its contents are hostile."""
        return self.run_folder / "git"

    @property
    def worktree_folder(self) -> Path:
        """The worktree's own part of it."""
        return self.folder / "worktrees" / self.worktree_name

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
        for source, target in zip(self.object_dirs, object_targets(self.object_dirs), strict=True):
            mounts.append(GitMount(source, target, read_only=True))
            if (source / "info/alternates").exists():
                # It contains host paths, and git would print an error about them at every command.
                hidden = self.run_folder / "no-alternates"
                mounts.append(GitMount(hidden, f"{target}/info/alternates", read_only=True))
        if self.lfs_objects is not None:
            mounts.append(GitMount(self.lfs_objects, CONTAINER_LFS, read_only=True))
        # Git does not accept a device as `.git`, so it treats the submodule as not populated.
        covered = (f"{CONTAINER_WORKTREE}/{path}" for path in self.submodules)
        mounts += [GitMount(Path(os.devnull), target, read_only=True) for target in covered]
        return tuple(mounts)

    def absent_files(self) -> frozenset[str]:
        """Return the tracked files that were not in the worktree when the session began."""
        path = self.run_folder / _ABSENT
        text = os.fsdecode(path.read_bytes()) if path.is_file() else ""
        return frozenset(name for name in text.split("\0") if name)


def create_private_git(
    repository: Repository,
    worktree: Worktree,
    run_folder: Path,
    identity: Identity | None,
    configured: Mapping[str, str] | None = None,
) -> PrivateGit:
    """Make `git/`, `pointer`, `alternates`, `no-alternates` and `git-refs.json` in a run's folder.

    Args:
        repository: where the refs and objects are.
        worktree: the session's worktree.
        run_folder: an existing folder.
        identity: the committer in the container; if it is None, git in the container refuses to commit.
        configured: the result of `read_configuration` in the worktree, if it is known.

    Raises:
        GitError: git failed, the repository borrows objects in a way that cannot be mounted, or an earlier
            session left a pipe that git would read.
    """
    session = _planned(repository, worktree, run_folder)
    settings = read_settings(worktree, repository.common_dir, configured)
    if has_base(worktree) or any(name.startswith("filter.") for name in settings.all):
        _refuse_pipes(worktree)
    _initialise(repository, session, identity, settings)
    _write_refs(repository, session)
    _write_worktree(repository, worktree, session)
    state = _read_state(session, worktree)
    session = replace(
        session,
        submodules=populated(worktree.path, repository.common_dir, state.gitlinks),
        has_submodules=state.has_submodules,
        **_with_filters(repository, worktree, session, settings),
    )
    _write_absent(session, state.absent)
    _write_mounted_files(session)
    _write_record(session)
    return session


def _planned(repository: Repository, worktree: Worktree, run_folder: Path) -> PrivateGit:
    return PrivateGit(
        run_folder,
        worktree.git_dir.name,
        worktree.branch,
        worktree.head,
        object_dirs(repository.common_dir / "objects"),
        list_refs(repository, *COPIED_REFS),
    )


def _refuse_pipes(worktree: Worktree) -> None:
    """Refuse a worktree in which git, which then reads more than its index, would wait for ever."""
    found = find_nested_repositories(worktree.path)
    pipes = [name for name in found if name.rpartition("/")[2] in READ_BY_GIT]
    if pipes:
        path = worktree.path / pipes[0]
        raise GitError(
            f"{printable(str(path))}: is not a file, and git would wait for it", f"type: rm {quoted(path)}"
        )


def open_private_git(run_folder: Path) -> PrivateGit:
    """Read back what `create_private_git` wrote, wherever the run's folder is now.

    Raises:
        GitError: the record is missing or damaged.
    """
    path = run_folder / _RECORD
    try:
        found: dict[str, Any] = read_json(read_regular(path).decode("ascii"))
        names = _of_texts({name: found[name] for name in ("worktree", "head")})
        branch = found["branch"]
        return PrivateGit(
            run_folder,
            names["worktree"],
            branch if branch is None else _of_texts({"branch": branch})["branch"],
            names["head"],
            tuple(Path(folder) for folder in found["object_dirs"]),
            _of_texts(found["refs"]),
            _of_texts(found.get("submodules", {})),
            Path(found["lfs_objects"]) if found.get("lfs_objects") else None,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
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
    found = [resolved(objects)]
    for borrowed in borrowed_objects(objects):
        if depth >= _MAX_ALTERNATES_DEPTH:
            raise GitError(f"{objects}: has too many levels of alternates", "type: git repack -a -d")
        found += object_dirs(borrowed, depth + 1) if borrowed.is_dir() else ()
    return tuple(dict.fromkeys(found))


def borrowed_objects(objects: Path) -> list[Path]:
    """List the object folders that one borrows from itself; they may not exist.

    Raises:
        GitError: its alternates file is quoted.
    """
    file = objects / "info/alternates"
    lines = text_lines(os.fsdecode(file.read_bytes())) if file.is_file() else []
    names = [line for line in lines if line and not line.startswith("#")]
    if any(name.startswith('"') for name in names):
        raise GitError(f"{file}: contains a quoted path", "type: git repack -a -d, then remove that file")
    return [objects / name for name in names]


def object_targets(folders: tuple[Path, ...], first: str = CONTAINER_OBJECTS) -> list[str]:
    """Return the paths of object folders in a container; `first` is that of the first."""
    return [first + (f"-{index}" if index else "") for index in range(len(folders))]


def _initialise(
    repository: Repository, session: PrivateGit, identity: Identity | None, settings: GitSettings
) -> None:
    init_bare(session.folder, repository.object_format)
    written = {"core.logAllRefUpdates": "true", **settings.inert}
    if settings.attributes:
        written["core.attributesfile"] = f"{CONTAINER_GIT}/{_ATTRIBUTES}"
    if identity is not None:
        written |= {"user.name": identity.name, "user.email": identity.email}
        if identity.committer is not None:
            written |= {"committer.name": identity.committer[0], "committer.email": identity.committer[1]}
    _append_config(session, written)
    (session.folder / "info").mkdir(exist_ok=True)
    (session.folder / _ATTRIBUTES).write_bytes(settings.attributes)
    (session.folder / "info/exclude").write_bytes(settings.ignored)


def _append_config(session: PrivateGit, settings: Mapping[str, str]) -> None:
    with (session.folder / "config").open("ab") as config:
        config.write(os.fsencode(config_text(settings)))


def _write_refs(repository: Repository, session: PrivateGit) -> None:
    # One packed-refs file: update-ref would write a file for each ref, and fail if an object is missing.
    lines = [f"{sha} {name}\n" for name, sha in session.refs.items()]
    (session.folder / "packed-refs").write_bytes(os.fsencode("".join(lines)))
    (session.folder / "HEAD").write_text(_head(session), encoding="utf-8")
    for name in ("shallow", "info/attributes"):
        if (repository.common_dir / name).is_file():
            shutil.copyfile(repository.common_dir / name, session.folder / name)
    (session.folder / "objects/info").mkdir(exist_ok=True)
    own_objects = os.fsencode(f"{session.object_dirs[0]}\n")
    (session.folder / "objects/info/alternates").write_bytes(own_objects)


def _write_worktree(repository: Repository, worktree: Worktree, session: PrivateGit) -> None:
    folder = session.worktree_folder
    (folder / "info").mkdir(parents=True)
    (folder / "HEAD").write_text(_head(session), encoding="utf-8")
    (folder / "commondir").write_text("../..\n", encoding="ascii")
    (folder / "gitdir").write_text(f"{CONTAINER_POINTER}\n", encoding="ascii")
    if (worktree.git_dir / "info/sparse-checkout").is_file():
        shutil.copyfile(worktree.git_dir / "info/sparse-checkout", folder / "info/sparse-checkout")
    copy_index(repository, worktree, session.run_folder, folder)


class _State(NamedTuple):
    absent: list[str]
    gitlinks: list[str]
    has_submodules: bool


def _read_state(session: PrivateGit, worktree: Worktree) -> _State:
    """Find the tracked files that are missing in the worktree, and the submodules.

    Raises:
        GitError: the index has conflicts.
    """
    asked = ("ls-files", "-z", "--stage", "-t", "--cached", "--deleted")
    listed = run_git(*asked, place=_own_place(session, worktree)).stdout
    absent, gitlinks, has_submodules = [], [], False
    for line in listed.split("\0")[:-1]:
        described, path = line.split("\t", 1)
        tag, mode, _, stage = described.split(" ")
        if stage != "0":
            raise _conflict(worktree, path)
        has_submodules = has_submodules or mode == _GITLINK
        if tag in {"S", "R"}:
            absent.append(path)
        elif mode == _GITLINK:
            gitlinks.append(path)
    return _State(absent, gitlinks, has_submodules)


def _conflict(worktree: Worktree, path: str) -> GitError:
    git = f"git -C {quoted(worktree.path)}"
    return GitError(
        f"{worktree.path}: has merge conflicts, for example in {printable(path)}",
        f"resolve them (to list them: {git} status), then type: {git} add --all && {git} commit",
    )


def _own_place(session: PrivateGit, worktree: Worktree) -> Place:
    """Return a place for git in the session's folder: before the session, nobody else has written there."""
    return Place(session.folder, git_dir=session.worktree_folder, work_tree=worktree.path, alone=True)


def _with_filters(
    repository: Repository, worktree: Worktree, session: PrivateGit, settings: GitSettings
) -> dict[str, Any]:
    place = _own_place(session, worktree)
    own = session.folder / "info/attributes"
    read = own.read_bytes() if own.is_file() else b""
    used = used_filters(settings.all, place, settings.attributes, read)
    if used:
        config = (f"core.attributesFile={session.folder / _ATTRIBUTES}",)
        lines = unchanged_files(worktree.path, place, used, repository.sha_length // 2, config)
        text = "".join(f"{line}\n" for line in lines)
        (session.worktree_folder / UNCHANGED).write_text(text, encoding="ascii")
    # This must be the last step: from here on, git in that folder would run the filters.
    _append_config(session, filter_settings(settings.all))
    objects = lfs_folder(repository) if used else None
    return {
        "notes": filters_note(settings.all, used),
        "lfs_objects": objects if objects is not None and objects.is_dir() else None,
    }


def _write_absent(session: PrivateGit, absent: Sequence[str]) -> None:
    if absent:
        (session.run_folder / _ABSENT).write_bytes(os.fsencode("".join(f"{path}\0" for path in absent)))


def _head(session: PrivateGit) -> str:
    return f"ref: refs/heads/{session.branch}\n" if session.branch else f"{session.head}\n"


def _write_mounted_files(session: PrivateGit) -> None:
    session.pointer.write_text(
        f"gitdir: {CONTAINER_GIT}/worktrees/{session.worktree_name}\n", encoding="utf-8"
    )
    lines = "".join(f"{target}\n" for target in object_targets(session.object_dirs))
    (session.run_folder / "alternates").write_text(lines, encoding="ascii")
    (session.run_folder / "no-alternates").write_bytes(b"")


def _write_record(session: PrivateGit) -> None:
    record = {
        "worktree": session.worktree_name,
        "branch": session.branch,
        "head": session.head,
        "object_dirs": [str(folder) for folder in session.object_dirs],
        "refs": dict(session.refs),
        "submodules": dict(session.submodules),
        "lfs_objects": str(session.lfs_objects) if session.lfs_objects else None,
    }
    (session.run_folder / _RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="ascii")
