"""Merges that git computes from commits alone: no working tree is read, and no branch moves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from msgspec import Struct

from lw_coder.foundation.errors import GitError
from lw_coder.repository.git import Place, Repository, git_failed, is_older, run_git

MERGES_TREES = (2, 38)  # the first git whose merge-tree computes a merge without a working tree
MOST_PAIRS = 1000  # of 45 branches; each is a git process, which takes some 10 ms or more
MOST_FILES = 100  # in conflict that are named of a pair
_CONFLICT = 1  # exit code of merge-tree
_IDENTITY = ("user.name=lw_coder", "user.email=merge@lw-coder.invalid")


class TreeMerge(Struct, frozen=True):
    """A merge of two commits.

    Attributes:
        tree: id of the merged tree; with conflicts, of one that has their marks in it.
        conflicts: the paths in conflict, each once.
    """

    tree: str
    conflicts: tuple[str, ...]


class Pair(Struct, frozen=True):
    """Whether two branches merge.

    Attributes:
        first: the name of one.
        second: the name of the other.
        merges: whether git merges them without a conflict; None if that is not known.
        files: the files in conflict, at most MOST_FILES of them.
        count: how many there are.
    """

    first: str
    second: str
    merges: bool | None
    files: tuple[str, ...] = ()
    count: int = 0


def can_merge_trees(repository: Repository) -> bool:
    """Return whether this git can compute a merge without a working tree."""
    return not is_older(run_git("version", place=repository.place).stdout, MERGES_TREES)


def merge_trees(place: Place, ours: str, theirs: str) -> TreeMerge:
    """Compute the merge of two commits; what is written are objects that no ref names.

    Args:
        place: a working tree whose attributes and merge drivers count.
        ours: a commit.
        theirs: another one.

    Raises:
        GitError: they have no commit in common, or git failed. Ask `can_merge_trees` first.
    """
    asked = ("merge-tree", "--write-tree", "--name-only", "--no-messages", "-z", ours, theirs)
    found = run_git(*asked, place=place, check=False)
    tree, *conflicts = found.stdout.split("\0")
    if found.code not in {0, _CONFLICT}:
        raise git_failed("merge-tree", found)
    return TreeMerge(tree, tuple(dict.fromkeys(filter(None, conflicts))) if found.code else ())


def commit_of_tree(repository: Repository, tree: str, parents: Sequence[str]) -> str:
    """Make a commit that no ref names, and return its id.

    Raises:
        GitError: git failed.
    """
    of = [part for parent in parents for part in ("-p", parent)]
    made = run_git("commit-tree", tree, *of, "-m", "merge", place=repository.place, config=_IDENTITY)
    return made.stdout


def merge_pairs(repository: Repository, tips: Mapping[str, str], most: int = MOST_PAIRS) -> list[Pair]:
    """Find which branches merge with which, each pair once, in the order of the names.

    It is not known if git is older than 2.38, of branches without a commit in common, and of the pairs after
    the first `most`.

    Args:
        repository: the branches'.
        tips: the commit of each branch, by its name.
        most: how many pairs are merged.
    """
    can = can_merge_trees(repository) if len(tips) > 1 else False
    return list(_pairs(repository, tips, most if can else 0))


def _pairs(repository: Repository, tips: Mapping[str, str], most: int) -> Iterator[Pair]:
    for number, (first, second) in enumerate(combinations(tips, 2)):
        if number < most:
            yield _pair(repository, tips, first, second)
        else:
            yield Pair(first, second, None)


def _pair(repository: Repository, tips: Mapping[str, str], first: str, second: str) -> Pair:
    try:
        merged = merge_trees(Place(repository.root), tips[first], tips[second])
    except GitError:
        return Pair(first, second, None)
    conflicts = merged.conflicts
    return Pair(first, second, not conflicts, conflicts[:MOST_FILES], len(conflicts))
