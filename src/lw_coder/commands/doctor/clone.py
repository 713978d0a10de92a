"""Checks of what kind of clone the repository is, as far as sessions depend on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from lw_coder.commands.doctor.findings import Checks, Finding
from lw_coder.repository.git import Place, Repository, run_git
from lw_coder.repository.git_settings import read_configuration
from lw_coder.repository.private_git import borrowed_objects

_LFS_FILES = ("grep", "--cached", "--quiet", "-E", "filter=lfs( |$)", "--")


class _Clone(Struct, frozen=True):
    """What is special about a clone.

    Attributes:
        traits: in a few words each.
        missing: folders of objects that it borrows from, and that are not there.
        lacks_lfs: whether it has files in Git LFS, and git has no settings for them.
    """

    traits: tuple[str, ...]
    missing: tuple[Path, ...]
    lacks_lfs: bool


def check_clone(checks: Checks, repository: Repository) -> None:
    """Check whether the clone has all that a session needs of it."""
    checks.run("clone", lambda: _look_at(repository), _describe)


def _look_at(repository: Repository) -> _Clone:
    borrowed = borrowed_objects(repository.common_dir / "objects")
    settings = read_configuration(Place(repository.root))
    return _Clone(
        tuple(_traits(repository, settings, borrowed)),
        tuple(folder for folder in borrowed if not folder.is_dir()),
        _has_lfs_files(repository) and not {"filter.lfs.process", "filter.lfs.smudge"} & settings.keys(),
    )


def _traits(repository: Repository, settings: Mapping[str, str], borrowed: list[Path]) -> Iterator[str]:
    if (repository.common_dir / "shallow").is_file():
        yield "shallow: plans can start only from the commits that it has (git fetch --unshallow)"
    if settings.get("core.sparsecheckout") == "true":
        yield "a sparse checkout"
    if settings.get("extensions.worktreeconfig") == "true":
        yield "with settings of single worktrees"
    if borrowed:
        yield f"borrows objects from {', '.join(map(str, borrowed))}, which sessions can read"


def _has_lfs_files(repository: Repository) -> bool:
    names = (".gitattributes", ":(glob)**/.gitattributes")
    return run_git(*_LFS_FILES, *names, place=repository.place, check=False).code == 0


def _describe(clone: _Clone) -> str | Finding:
    if clone.missing:
        return Finding(
            "clone",
            f"it borrows objects from {clone.missing[0]}, which does not exist",
            "restore that folder, or clone the repository again",
        )
    if clone.lacks_lfs:
        return Finding(
            "clone",
            "it has files in Git LFS, and git has no settings for it: they are pointers, also in sessions",
            "install git-lfs, then type: git lfs install && git lfs pull",
        )
    return "; ".join(clone.traits) or "complete, with objects of its own"
