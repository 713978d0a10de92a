"""What commits there are: their subjects, and those that nobody has merged."""

from __future__ import annotations

from lw_coder.foundation.report import printable
from lw_coder.repository.git import Place, Repository, run_git
from lw_coder.repository.worktrees import BRANCH_PREFIX

_MOST, _LONGEST = 50, 200  # commits, and characters of a subject


def subjects(repository: Repository, base: str, tip: str, *without: str) -> list[str]:
    """Return the subjects of the commits that one has and others have not, oldest first, escaped and cut.

    Args:
        repository: the user's.
        base: a commit that has not got them.
        tip: the commit that has them.
        without: more commits that have not got them.

    Raises:
        GitError: git failed.
    """
    asked = (
        "log",
        "-z",
        f"--max-count={_MOST}",
        "--format=%s",
        tip,
        *(f"^{each}" for each in (base, *without)),
        "--",
    )
    found = run_git(*asked, place=repository.place).stdout.split("\0")
    return [printable(subject)[:_LONGEST] for subject in reversed(found) if subject]


def count_unmerged(repository: Repository, tip: str) -> int:
    """Count the commits of a plan's branch that are on no branch, remote branch or tag of the user's.

    Other plans' branches are not the user's, nor are remote branches with the name of a plan's.

    Args:
        repository: the user's.
        tip: id of the branch's commit.

    Raises:
        GitError: git failed.
    """
    plans = f"{BRANCH_PREFIX}*"
    others = (f"--exclude={plans}", "--branches", f"--exclude=*/{plans}", "--remotes", "--tags", "--")
    asked = ("rev-list", "--count", tip, "--not")
    # Not `repository.place`: if root is a linked worktree, its HEAD is not the shared git folder's.
    place = Place(repository.root)
    found = run_git(*asked, "HEAD", *others, place=place, check=False)
    if found.code != 0:  # HEAD has no commit yet
        found = run_git(*asked, *others, place=place)
    return int(found.stdout)


def is_on_a_branch(repository: Repository, commit: str) -> bool:
    """Return whether a branch, also a remote one, has a commit; false if there is no such commit."""
    asked = ("for-each-ref", "--count=1", f"--contains={commit}", "refs/heads", "refs/remotes")
    found = run_git(*asked, place=repository.place, check=False)
    return found.code == 0 and bool(found.stdout)
