"""Merge a plan's branch into the branch that a person has checked out: all of it, or nothing.

What git's merge could overwrite or leave half done is looked for first, in commits and trees: untracked and
ignored files, conflicts, a merge under way. Git itself then merges, with the person's hooks and signing.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path

from msgspec import Struct

from lw_coder.foundation.errors import GitError
from lw_coder.foundation.files import resolved
from lw_coder.foundation.report import printable, say
from lw_coder.foundation.signals import held
from lw_coder.repository.git import (
    GitResult,
    Place,
    Repository,
    changed_since,
    git_failed,
    head_commit,
    run_as_person,
    run_git,
    text_lines,
)
from lw_coder.repository.git_settings import read_configuration
from lw_coder.repository.hidden_files import SHOW, hidden_files
from lw_coder.repository.incomplete_worktrees import quoted
from lw_coder.repository.notices import COMMIT_HOOKS, hooks_folder
from lw_coder.repository.tree_merges import MERGES_TREES, can_merge_trees, merge_trees
from lw_coder.repository.worktrees import require_nothing_unfinished, require_unlocked

_MOST_NAMED = 5  # files
_MOST_LINES = 20  # of what git and hooks print
# Whatever the person's merge.* settings and branch.<name>.mergeOptions say.
_PLAIN = ("--quiet", "--no-edit", "--no-log", "--no-autostash", "--no-overwrite-ignore")
_CONFIG = ("submodule.recurse=false",)


class How(StrEnum):
    """How a branch is merged: with a merge commit, by a fast-forward if possible, or as one new commit."""

    MERGE = "merge"
    FAST_FORWARD = "fast-forward"
    SQUASH = "squash"


class Target(Struct, frozen=True):
    """The branch that is checked out in the person's worktree.

    Attributes:
        root: the worktree.
        git_dir: its git folder.
        branch: the short name.
        head: id of its commit.
    """

    root: Path
    git_dir: Path
    branch: str
    head: str

    @property
    def place(self) -> Place:
        """Where the person would type git."""
        return Place(self.root)


class Merge(Struct, frozen=True):
    """A merge that can be made.

    Attributes:
        target: the branch to merge into.
        tip: id of the commit to merge.
        base: id of the commit that both have in common.
        commits: how many commits the tip has that the target has not.
        behind: how many commits the target has that the tip has not.
    """

    target: Target
    tip: str
    base: str
    commits: int
    behind: int

    @property
    def is_done(self) -> bool:
        """Whether the target has all commits already."""
        return self.commits == 0


def find_target(repository: Repository) -> Target:
    """Find the branch that is checked out in the person's worktree, ready for a merge.

    Raises:
        GitError: HEAD is detached or has no commit, another git process, a merge or the like is under way, or
            something is staged.
    """
    root, place = repository.root, Place(repository.root)
    head = head_commit(repository)
    named = run_git("symbolic-ref", "--quiet", "HEAD", place=place, check=False)
    if named.code != 0:
        raise GitError(
            f"{root}: HEAD is detached, so there is no branch to merge into", "type: git switch <branch>"
        )
    git_dir = Path(run_git("rev-parse", "--absolute-git-dir", place=place).stdout)
    require_nothing_unfinished(root, git_dir)
    # A merge that finds the lock stops half-way, and cannot be undone as long as it is there.
    require_unlocked(root, git_dir)
    staged = _paths(run_git("diff-index", "--cached", "--name-only", "-z", head, "--", place=place))
    if staged:
        raise GitError(f"{root}: changes are staged: {listed(staged)}", "commit them, or type: git stash")
    return Target(root, git_dir, named.stdout.removeprefix("refs/heads/"), head)


def prepare_merge(repository: Repository, target: Target, tip: str) -> Merge:
    """Compare a commit with the target.

    Raises:
        GitError: they have no commit in common.
    """
    found = run_git("merge-base", target.head, tip, place=repository.place, check=False)
    if found.code != 0:
        raise GitError(
            f"{tip[:12]} and {target.branch} have no commit in common",
            "check out the branch that the plan starts from",
        )
    sides = ("rev-list", "--left-right", "--count", f"{target.head}...{tip}", "--")
    behind, commits = run_git(*sides, place=repository.place).stdout.split("\t")
    return Merge(target, tip, found.stdout, int(commits), int(behind))


def require_mergeable(repository: Repository, merge: Merge) -> bool:
    """Check that git can make a merge without a conflict, and without overwriting a file of the person.

    Returns:
        Whether the merge changes any file.

    Raises:
        GitError: it cannot, or this git is too old to tell.
    """
    tree = _merged_tree(repository, merge)
    touched = _changes(repository, merge.target.head, tree)
    _require_seen(merge.target, touched)
    in_the_way = sorted({*_edited(repository, merge, touched), *_occupied(merge, touched)})
    if in_the_way:
        raise GitError(
            f"the merge would overwrite files that are not committed: {listed(in_the_way)}",
            "commit them, move them away, or type: git stash --include-untracked",
        )
    return bool(touched)


def _merged_tree(repository: Repository, merge: Merge) -> str:
    target = merge.target
    if merge.base == target.head:
        return f"{merge.tip}^{{tree}}"
    name = f"git merge {merge.tip[:12]}"
    if not can_merge_trees(repository):
        raise GitError(
            f"{target.branch} has commits that the plan's branch has not, and this git cannot tell whether"
            " they conflict",
            f"install git {'.'.join(map(str, MERGES_TREES))} or newer, or merge it yourself: {name}",
        )
    merged = merge_trees(target.place, target.head, merge.tip)
    if merged.conflicts:
        raise GitError(
            f"the branch conflicts with {target.branch}: {listed(merged.conflicts)}",
            f"to merge it yourself, type: {name}",
        )
    return merged.tree


def _changes(repository: Repository, head: str, tree: str) -> dict[str, str]:
    """Map each path that a merge changes to `A` (added), `M`, `D` or `T`."""
    asked = ("diff-tree", "-r", "-z", "--name-status", "--no-renames", head, tree, "--")
    parts = iter(run_git(*asked, place=repository.place).stdout.split("\0"))
    return {next(parts): status for status in parts if status}


def _require_seen(target: Target, touched: Collection[str]) -> None:
    """Refuse files that git was told not to look at: what a person has in them would be lost."""
    hidden = [path for path in hidden_files(target.place, target.root) if path in touched]
    if hidden:
        names, git = " ".join(map(quoted, hidden[:_MOST_NAMED])), f"git -C {quoted(target.root)}"
        commands = "; ".join(f"{git} update-index {option} -- {names}" for option in SHOW)
        raise GitError(
            f"the merge changes files whose changes git was told not to look at: {listed(hidden)}",
            f"type: {commands}; then try again",
        )


def _edited(repository: Repository, merge: Merge, touched: dict[str, str]) -> Iterator[str]:
    changed = changed_since(repository, merge.target.head, [":/"])
    return (path for path in changed if path in touched)


def _occupied(merge: Merge, touched: dict[str, str]) -> Iterator[str]:
    """Find files where the merge adds others, ignored ones too: git would overwrite those silently."""
    for path, status in touched.items():
        if status == "A":
            yield from _in_place_of(merge.target, path, touched)


def _in_place_of(target: Target, path: str, touched: dict[str, str]) -> Iterator[str]:
    place = target.root / path
    if place.is_dir() and not place.is_symlink():
        yield from _untracked_below(target, path)
    elif os.path.lexists(place):
        yield path
    for parent in Path(path).parents[:-1]:
        above = target.root / parent
        if (above.is_symlink() or above.is_file()) and str(parent) not in touched:
            yield str(parent)


def _untracked_below(target: Target, path: str) -> Iterable[str]:
    asked = ("ls-files", "--others", "-z", "--", f":(literal){path}")
    return _paths(run_git(*asked, place=target.place))


class Hooks(Struct, frozen=True):
    """The person's hooks that a merge runs.

    Attributes:
        names: those that exist.
        are_safe: whether none of them is a file of the working tree, which the branch could replace.
    """

    names: tuple[str, ...]
    are_safe: bool


def find_hooks(repository: Repository) -> Hooks:
    """Find the person's hooks, and whether they are outside of what a branch can change."""
    folder = hooks_folder(repository, read_configuration(Place(repository.root)))
    names = tuple(name for name in COMMIT_HOOKS if os.access(folder / name, os.X_OK))
    # A hook runs when the files are merged already, and can itself be a link into the working tree.
    places = [folder, *(folder / name for name in names)]
    return Hooks(names, not any(_is_in_tree(repository, resolved(place)) for place in places))


def _is_in_tree(repository: Repository, path: Path) -> bool:
    if path.is_relative_to(resolved(repository.common_dir)):
        return False
    return path.is_relative_to(resolved(repository.root))


def make_merge(merge: Merge, how: How, message: Sequence[str], hooks: Hooks) -> str:
    """Merge; if that fails, restore what was there before.

    Args:
        merge: what `require_mergeable` has accepted.
        how: the kind of merge.
        message: the paragraphs of the commit's message.
        hooks: the person's; they run if they are safe.

    Returns:
        The id of the commit that the branch has now.

    Raises:
        GitError: git or a hook refused.
    """
    place = merge.target.place
    with held():
        result = _merged(merge, how, message, runs_hooks=hooks.are_safe)
        for line in text_lines(result.stderr)[-_MOST_LINES:]:
            say(line)
        if result.code != 0:
            raise _restored(merge, result)
        return run_git("rev-parse", "--verify", "HEAD", place=place).stdout


def _merged(merge: Merge, how: How, message: Sequence[str], *, runs_hooks: bool) -> GitResult:
    place, tip = merge.target.place, merge.tip
    text = [part for paragraph in message for part in ("-m", paragraph)]
    if how is How.SQUASH:
        squash = ("merge", *_PLAIN, "--ff", "--no-commit", "--squash", tip)
        done = run_as_person(*squash, place=place, hooks=runs_hooks, config=_CONFIG)
        commit = ("commit", "--quiet", *text)
        return done if done.code else run_as_person(*commit, place=place, hooks=runs_hooks, config=_CONFIG)
    kind = "--ff" if how is How.FAST_FORWARD else "--no-ff"
    command = ("merge", *_PLAIN, "--no-squash", "--commit", kind, *text, tip)
    return run_as_person(*command, place=place, hooks=runs_hooks, config=_CONFIG)


def _restored(merge: Merge, result: GitResult) -> GitError:
    """Undo what git has left of a merge, and return the error."""
    target = merge.target
    # As `git merge --abort`, and also after --squash. It keeps what was edited in other files.
    run_git("reset", "--quiet", "--merge", target.head, place=target.place, check=False, config=_CONFIG)
    left = run_git("diff-index", "--cached", "--quiet", target.head, "--", place=target.place, check=False)
    reason = git_failed("merge", result).message
    if left.code != 0 or (target.git_dir / "MERGE_HEAD").exists():
        return GitError(
            f"{reason}; the merge is not undone", "look at git status, then type: git merge --abort"
        )
    return GitError(f"{reason}; nothing was merged", "correct what git or the hook reports, then try again")


def _paths(result: GitResult) -> list[str]:
    return [path for path in result.stdout.split("\0") if path]


def listed(paths: Sequence[str]) -> str:
    """Return the first of some paths, escaped, and how many more there are."""
    shown = [printable(path) for path in paths[:_MOST_NAMED]]
    more = len(paths) - len(shown)
    return ", ".join([*shown, *([f"and {more} more"] if more else [])])
