"""The first commit of a repository, for `lw_coder init`: a plan starts from a commit."""

from __future__ import annotations

from collections.abc import Sequence

from lw_coder.foundation.errors import GitError
from lw_coder.repository.git import Place, Repository, run_git

_MOST_FILES = 5000
_MESSAGE = "First commit"


def files_to_commit(repository: Repository, ignored: Sequence[str]) -> list[str]:
    """List the files that a first commit would hold.

    Args:
        repository: one without a commit.
        ignored: ignore rules that it is about to get.

    Raises:
        GitError: there are so many that something is probably not ignored that should be.
    """
    rules = [f"--exclude={rule}" for rule in ignored]
    place = Place(repository.root)
    listed = run_git("ls-files", "-z", "--cached", "--others", "--exclude-standard", *rules, place=place)
    names = [name for name in listed.stdout.split("\0") if name]
    if len(names) > _MOST_FILES:
        raise GitError(
            f"{repository.root}: there is no commit yet, and git ignores none of {len(names)} files",
            "make the first commit yourself (git add, git commit), then type lw_coder init again",
        )
    return names


def make_first_commit(repository: Repository) -> str:
    """Commit all files that git does not ignore; return the commit's id.

    Raises:
        GitError: git cannot commit; then nothing is staged.
    """
    place = Place(repository.root)
    try:
        run_git("add", "--all", place=place)
        run_git("commit", "--quiet", "--message", _MESSAGE, place=place)
    except BaseException:
        run_git("reset", "--quiet", place=place, check=False)
        raise
    return run_git("rev-parse", "HEAD", place=place).stdout
