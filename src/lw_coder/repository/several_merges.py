"""Merge several branches: first in commits and trees alone, then by git in a temporary worktree.

The branch that a person has checked out stays where it is; a fast-forward can move it to the result.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from lw_coder.foundation.errors import GitError
from lw_coder.repository.git import Repository
from lw_coder.repository.merging import (
    Hooks,
    How,
    Merge,
    Target,
    listed,
    make_merge,
    prepare_merge,
    require_mergeable,
)
from lw_coder.repository.temporary_worktrees import temporary_worktree
from lw_coder.repository.tree_merges import (
    MERGES_TREES,
    can_merge_trees,
    commit_of_tree,
    merge_trees,
)


class Step(Struct, frozen=True):
    """A branch to merge.

    Attributes:
        branch: its short name.
        tip: id of its commit.
        message: the paragraphs of the message of its commit.
    """

    branch: str
    tip: str
    message: tuple[str, ...]


class ConflictError(GitError):
    """A branch conflicts with what is merged before it.

    Args:
        step: the branch.
        files: those in conflict.
        others: what it conflicts with: the target, or branches that are merged before it.
    """

    def __init__(self, step: Step, files: tuple[str, ...], others: Sequence[str]) -> None:
        super().__init__(
            f"{step.branch} conflicts with {' and '.join(others)}: {listed(files)}; nothing was merged",
            f"leave that plan out; or take the others, then merge it yourself: git merge {step.branch}",
        )
        self.branch, self.files = step.branch, files


def predict(repository: Repository, target: Target, steps: Sequence[Step], how: How) -> Merge:
    """Compute the merges of all steps, one after the other, without a working tree.

    Returns:
        The merge of all: its tip is a commit with the files that the target will have, which no ref names.

    Raises:
        ConflictError: a branch conflicts with what comes before it.
        GitError: this git is too old to tell, or the files of the person are in the way.
    """
    if not can_merge_trees(repository):
        raise GitError(
            "this git cannot tell whether the branches conflict with each other",
            f"install git {'.'.join(map(str, MERGES_TREES))} or newer, or take one plan at a time",
        )
    head = target.head
    for number, step in enumerate(steps):
        merged = merge_trees(target.place, head, step.tip)
        if merged.conflicts:
            raise ConflictError(step, merged.conflicts, _opponents(target, steps[:number], step))
        parents = (head,) if how is How.SQUASH else (head, step.tip)
        head = commit_of_tree(repository, merged.tree, parents)
    merge = prepare_merge(repository, target, head)
    require_mergeable(repository, merge)
    return merge


def _opponents(target: Target, before: Sequence[Step], step: Step) -> list[str]:
    """Return the names of what a branch conflicts with by itself; of all before it if it is none of them."""
    tips = {target.branch: target.head, **{each.branch: each.tip for each in before}}
    found = [name for name, tip in tips.items() if merge_trees(target.place, tip, step.tip).conflicts]
    return found or list(tips)


def merge_apart(
    repository: Repository, target: Target, steps: Sequence[Step], how: How, hooks: Hooks
) -> list[str | None]:
    """Merge with the person's hooks and signing, in a temporary worktree at the target's commit.

    Args:
        repository: the person's.
        target: the branch that they have checked out; it does not move.
        steps: what to merge, in this order; `predict` has found no conflict.
        how: the kind of merge.
        hooks: the person's; they run if they are safe.

    Returns:
        For each step the commit after it, or None if it changed nothing. The commits are named by no ref.

    Raises:
        GitError: git or a hook refused; the worktree is gone.
    """
    commits: list[str | None] = []
    with temporary_worktree(repository, target.head) as worktree:
        inner, head = replace(repository, root=worktree.path), target.head
        for step in steps:
            here = Target(worktree.path, worktree.git_dir, target.branch, head)
            commit = _merged(inner, prepare_merge(inner, here, step.tip), step, how, hooks)
            commits.append(commit)
            head = commit or head
    return commits


def _merged(inner: Repository, merge: Merge, step: Step, how: How, hooks: Hooks) -> str | None:
    if merge.is_done:
        return None
    changes_files = require_mergeable(inner, merge)
    if how is How.SQUASH and not changes_files:
        return None
    return make_merge(merge, how, step.message, hooks)
