"""Clean checkouts of commits in a container, with their history and submodules; no worktree is involved.

lw_coder writes git folders without objects. The container copies one, and checks the commit out from the
repository's own objects, which are mounted read-only.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct, field

from lw_coder.foundation.errors import GitError
from lw_coder.foundation.files import resolved
from lw_coder.foundation.report import printable
from lw_coder.repository.content_filters import filter_settings
from lw_coder.repository.git import Place, Repository, config_text, init_bare, list_refs, run_git
from lw_coder.repository.git_settings import GitSettings, read_settings
from lw_coder.repository.lfs_objects import lfs_folder
from lw_coder.repository.private_git import (
    CONTAINER_LFS,
    CONTAINER_OBJECTS,
    COPIED_REFS,
    GitMount,
    object_dirs,
    object_targets,
)
from lw_coder.repository.worktrees import Worktree

MAX_EXPORTED = 4 << 30  # bytes
CONTAINER_MODULES = "/repo-modules"

# Tests commit too. Neither the user nor the agent is named.
_IDENTITY = {"user.name": "lw_coder check", "user.email": "check@lw-coder.invalid"}
_ATTRIBUTES = "info/lw_coder-attributes"
_NO_ALTERNATES = "no-alternates"
_GITLINK = "160000"
_DEEPEST = 5  # submodules in submodules


class _Module(NamedTuple):
    """A git folder that holds a submodule's objects, and its number in the container."""

    git_dir: Path
    number: int

    @property
    def place(self) -> Place:
        return Place(self.git_dir, git_dir=self.git_dir)


class _Link(NamedTuple):
    """A submodule in a commit: its path, its own commit, and the module that has it, or None."""

    path: str
    sha: str
    module: _Module | None


class _Modules(Struct):
    """The modules that the checkouts need; each is numbered when it is first seen."""

    common_dir: Path
    known: dict[Path, _Module] = field(default_factory=dict)

    def find(self, parent: Path, name: str) -> _Module | None:
        """Find a submodule's git folder by its name in .gitmodules, which an agent can write."""
        top = resolved(parent / "modules")
        found = resolved(top / name)
        if found == top or not found.is_relative_to(top) or not (found / "objects").is_dir():
            return None
        return self.known.setdefault(found, _Module(found, len(self.known)))


class Checkouts(Struct, frozen=True):
    """What the container needs besides the folder.

    Attributes:
        mounts: objects of the repository and its submodules, read-only.
        notes: submodules that will be empty, and why; escaped.
    """

    mounts: tuple[GitMount, ...]
    notes: tuple[str, ...]


def prepare_checkouts(repository: Repository, folder: Path, commits: Mapping[str, str]) -> Checkouts:
    """Write what a container needs to check commits out.

    Args:
        repository: the user's.
        folder: an empty folder, which the container will read.
        commits: ids by the name of a checkout. For each there will be a folder with the files `commit` and
            `submodules` (lines of commit, module's number and path).

    Raises:
        GitError: git failed, or the repository borrows objects in a way that cannot be mounted.
    """
    settings = read_settings(_as_worktree(repository), repository.common_dir)
    modules = _Modules(repository.common_dir)
    notes: dict[str, None] = {}
    (folder / _NO_ALTERNATES).write_bytes(b"")
    for name, sha in commits.items():
        links = list(_links(repository.place, repository.common_dir, sha, modules))
        notes |= dict.fromkeys(_note(link) for link in links if link.module is None)
        _write_checkout(folder / name, sha, links)
    own = _write_git(folder / "git", repository.common_dir, CONTAINER_OBJECTS, repository, settings)
    mounts = _mounts(folder, own, CONTAINER_OBJECTS)
    for module in modules.known.values():
        target = f"{CONTAINER_MODULES}/{module.number}"
        (folder / "modules").mkdir(mode=0o700, exist_ok=True)
        borrowed = _write_git(
            folder / "modules" / str(module.number), module.git_dir, target, repository, settings
        )
        mounts += _mounts(folder, borrowed, target)
    return Checkouts((*mounts, *_lfs_mounts(repository)), tuple(notes))


def _as_worktree(repository: Repository) -> Worktree:
    """Return the settings' place: the repository itself, whatever is checked out."""
    return Worktree(repository.root, None, repository.common_dir, "")


def _write_checkout(folder: Path, sha: str, links: list[_Link]) -> None:
    folder.mkdir(mode=0o700)
    (folder / "commit").write_text(f"{sha}\n", encoding="ascii")
    lines = [f"{link.sha} {link.module.number} {link.path}\n" for link in links if link.module is not None]
    (folder / "submodules").write_bytes(os.fsencode("".join(lines)))


def _note(link: _Link) -> str:
    return (
        f"submodule {printable(link.path)}: its commit {link.sha[:12]} is not in this repository, "
        "so its folder is empty in the checks; to get it, type: git submodule update --init --recursive"
    )


def _write_git(
    folder: Path, git_dir: Path, target: str, repository: Repository, settings: GitSettings
) -> tuple[Path, ...]:
    """Write a git folder that has the refs of another; return the folders of its objects."""
    objects = object_dirs(git_dir / "objects")
    init_bare(folder, repository.object_format)
    (folder / "info").mkdir(exist_ok=True)
    (folder / "objects/info").mkdir(exist_ok=True)
    lines = "".join(f"{line}\n" for line in object_targets(objects, target))
    (folder / "objects/info/alternates").write_text(lines, encoding="ascii")
    refs = list_refs(Repository(repository.root, git_dir, repository.object_format), *COPIED_REFS)
    packed = "".join(f"{sha} {name}\n" for name, sha in refs.items())
    (folder / "packed-refs").write_bytes(os.fsencode(packed))
    for name in ("shallow", "info/attributes"):
        if (git_dir / name).is_file():
            shutil.copyfile(git_dir / name, folder / name)
    _write_config(folder, settings)
    return objects


def _write_config(folder: Path, settings: GitSettings) -> None:
    # A sparse checkout would leave files out.
    inert = {name: value for name, value in settings.inert.items() if "sparse" not in name}
    written = {"core.bare": "false", **inert, **_IDENTITY}
    if settings.attributes:
        (folder / _ATTRIBUTES).write_bytes(settings.attributes)
        written["core.attributesfile"] = f"/workspace/.git/{_ATTRIBUTES}"
    with (folder / "config").open("ab") as config:
        config.write(os.fsencode(config_text({**written, **filter_settings(settings.all)})))


def _mounts(folder: Path, objects: tuple[Path, ...], target: str) -> list[GitMount]:
    mounts = []
    for source, place in zip(objects, object_targets(objects, target), strict=True):
        mounts.append(GitMount(source, place, read_only=True))
        if (source / "info/alternates").exists():  # it contains paths of the host
            mounts.append(GitMount(folder / _NO_ALTERNATES, f"{place}/info/alternates", read_only=True))
    return mounts


def _lfs_mounts(repository: Repository) -> list[GitMount]:
    objects = lfs_folder(repository)
    return [GitMount(objects, CONTAINER_LFS, read_only=True)] if objects.is_dir() else []


def _links(
    place: Place, git_dir: Path, sha: str, modules: _Modules, prefix: str = "", depth: int = 0
) -> Iterator[_Link]:
    """Yield the submodules of a commit, each before those in it."""
    listed = run_git("ls-tree", "-r", "-z", "--full-tree", sha, place=place).stdout
    names = None
    for described, path in (line.split("\t", 1) for line in listed.split("\0") if line):
        mode, _, commit = described.split(" ")
        if mode != _GITLINK or "\n" in path:
            continue
        names = _names(place, sha) if names is None else names
        module = _with_commit(modules.find(git_dir, names.get(path, path)), commit)
        yield _Link(prefix + path, commit, module)
        if module is not None and depth < _DEEPEST:
            yield from _links(module.place, module.git_dir, commit, modules, f"{prefix}{path}/", depth + 1)


def _with_commit(module: _Module | None, sha: str) -> _Module | None:
    if module is None:
        return None
    return (
        module
        if run_git("cat-file", "-e", f"{sha}^{{commit}}", place=module.place, check=False).code == 0
        else None
    )


def _names(place: Place, sha: str) -> dict[str, str]:
    """Map the paths of a commit's submodules to their names."""
    asked = ("config", "--blob", f"{sha}:.gitmodules", "--null", "--get-regexp", r"^submodule\..*\.path$")
    listed = run_git(*asked, place=place, check=False).stdout
    entries = (entry.partition("\n") for entry in listed.split("\0") if entry)
    return {path: key.removeprefix("submodule.").removesuffix(".path") for key, _, path in entries}


@contextmanager
def exported(repository: Repository, commit: str, folder: Path) -> Iterator[Path]:
    """Yield a temporary folder with a commit's files, without a git folder; no filter of the user runs.

    Args:
        repository: the user's.
        commit: the commit, which an agent can have made.
        folder: where to make the temporary folder.

    Raises:
        GitError: the files are larger than MAX_EXPORTED, or git failed.
        OSError: the disk is full.
    """
    size = _size(repository, commit)
    if size > MAX_EXPORTED:
        raise GitError(
            f"commit {commit[:12]}: its files have {size} bytes, too many to build an image from",
            "set checks_rebuild = false",
        )
    with tempfile.TemporaryDirectory(prefix=".context-", dir=folder) as made:
        files, git_dir = Path(made, "files"), Path(made, "git")
        files.mkdir()
        init_bare(git_dir, repository.object_format)
        (git_dir / "config").write_text(config_text({"core.bare": "false"}), encoding="ascii")
        (git_dir / "objects/info").mkdir(exist_ok=True)
        borrowed = os.fsencode(f"{repository.common_dir / 'objects'}\n")
        (git_dir / "objects/info/alternates").write_bytes(borrowed)
        run_git("reset", "--quiet", "--hard", commit, place=Place(files, git_dir, files, alone=True))
        yield files


def _size(repository: Repository, commit: str) -> int:
    listed = run_git("ls-tree", "-r", "-l", "-z", "--full-tree", commit, place=repository.place).stdout
    sizes = (line.partition("\t")[0].split(" ")[-1] for line in listed.split("\0") if line)
    return sum(int(size) for size in sizes if size.isdigit())
