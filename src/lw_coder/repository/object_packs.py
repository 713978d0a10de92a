"""Packs of a repository's objects, to be sent to another machine."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lw_coder.repository.git import Place, Repository, missing_objects, run_git


def write_pack(repository: Repository, folder: Path, tips: Iterable[str], known: Iterable[str] = ()) -> None:
    """Write one pack, and its index, of all objects that some reach and others do not.

    Args:
        repository: the user's.
        folder: gets `pack-*.pack` and `pack-*.idx`, or nothing if there are no such objects.
        tips: ids of commits or tags, whose objects are packed.
        known: ids of those whose objects are not.

    Raises:
        GitError: an object is missing or damaged.
    """
    lines = [*dict.fromkeys(tips), *(f"^{sha}" for sha in dict.fromkeys(known))]
    options = ("--revs", "--non-empty", "--quiet", "--delta-base-offset")
    stdin = "".join(f"{line}\n" for line in lines)
    run_git("pack-objects", *options, str(folder / "pack"), place=repository.place, stdin=stdin)


def present(repository: Repository, shas: Iterable[str]) -> list[str]:
    """Return those of some objects that the repository has."""
    wanted = list(dict.fromkeys(shas))
    missing = set(missing_objects(repository, wanted)) if wanted else set()
    return [sha for sha in wanted if sha not in missing]


def check_out(git_dir: Path, worktree: Path, head: str, config: tuple[str, ...] = ()) -> None:
    """Write a commit's files to a new worktree, and `index` to the git folder.

    Args:
        git_dir: a repository that has the objects, which nobody else has written to.
        worktree: an empty folder.
        head: id of the commit.
        config: settings, each `key=value`.

    Raises:
        GitError: an object is missing or damaged.
    """
    place = Place(git_dir, git_dir=git_dir, work_tree=worktree, alone=True)
    run_git("read-tree", "-u", "--reset", head, place=place, config=config)
