"""One commit from several: the merge that a plan starts from. No branch and no worktree is touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lw_coder.foundation.errors import GitError
from lw_coder.foundation.report import printable
from lw_coder.repository.git import Place, Repository, require_identity, run_git, text_lines
from lw_coder.repository.tree_merges import MERGES_TREES, can_merge_trees, merge_trees

_MOST_NAMED = 5  # files


def independent_commits(repository: Repository, commits: Sequence[str]) -> list[str]:
    """Return those commits that none of the others has in its history, in their order.

    Raises:
        GitError: git failed.
    """
    different = list(dict.fromkeys(commits))
    if len(different) == 1:
        return different
    asked = run_git("merge-base", "--independent", *different, place=repository.place).stdout
    kept = set(text_lines(asked))
    return [commit for commit in different if commit in kept]


def combined_commit(repository: Repository, commits: Mapping[str, str], where: str) -> str:
    """Merge commits, one after the other; the same commits give the same merge, whenever that is.

    Args:
        repository: the person's, who is the author of the merges.
        commits: full ids, and what a message calls each.
        where: the file that asks for it, for a message.

    Returns:
        The full id of the last merge, or of the only commit. No ref names it.

    Raises:
        GitError: they conflict, git failed, or this git cannot merge without a working tree.
    """
    merged, *others = commits
    if others and not can_merge_trees(repository):
        raise GitError(
            f"{where}: depends_on: this git cannot merge {_listed(commits.values())}",
            f"install git {'.'.join(map(str, MERGES_TREES))} or newer, or merge them yourself",
        )
    done = [commits[merged]]
    for other in others:
        found = merge_trees(Place(repository.root), merged, other)
        if found.conflicts:
            raise _conflict(where, done, commits[other], found.conflicts)
        done.append(commits[other])
        merged = _commit(repository, found.tree, (merged, other), f"Merge {_listed(done)}")
    return merged


def _listed(names: object) -> str:
    *first, last = list(names)  # type: ignore[call-overload]
    return f"{', '.join(first)} and {last}"


def _conflict(where: str, done: Sequence[str], other: str, conflicts: Sequence[str]) -> GitError:
    more = len(conflicts) - _MOST_NAMED
    files = ", ".join([*map(printable, conflicts[:_MOST_NAMED]), *([f"and {more} more"] if more > 0 else [])])
    both = done[-1] if len(done) == 1 else _listed(done)
    return GitError(
        f"{where}: depends_on: {both} and {other} conflict: {files}",
        f"merge one into the other's branch yourself, and then type: lw_coder verify {other}",
    )


def _commit(repository: Repository, tree: str, parents: Sequence[str], message: str) -> str:
    """Write a merge commit whose time is that of its newest parent: `git commit` would take the clock's."""
    who = require_identity(Place(repository.root))
    dates = run_git("show", "--no-patch", "--format=%ct", *parents, "--", place=repository.place).stdout
    when = f"{max(map(int, dates.split()))} +0000"
    committer = who.committer or (who.name, who.email)
    lines = [
        f"tree {tree}",
        *(f"parent {parent}" for parent in parents),
        f"author {who.name} <{who.email}> {when}",
        f"committer {committer[0]} <{committer[1]}> {when}",
        "",
        message,
        "",
    ]
    written = run_git(
        "hash-object", "-t", "commit", "-w", "--stdin", place=repository.place, stdin="\n".join(lines)
    )
    return written.stdout
