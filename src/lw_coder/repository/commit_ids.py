"""The commits that plans start from: whether an id is one, and which id to write instead."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from lw_coder.foundation.counting import counted
from lw_coder.foundation.errors import GitError
from lw_coder.foundation.report import printable
from lw_coder.repository.git import Place, Repository, head_commit, run_git, text_lines


class CommitFault(NamedTuple):
    """Why a plan cannot start from a commit, and what to do about it."""

    problem: str
    remedy: str


_NAME = re.compile(r"[A-Za-z0-9][\w./-]{0,199}")


def require_commit(repository: Repository, sha: str, where: str = "git_sha") -> None:
    """Raise an error if a plan's git_sha is not a commit of this repository.

    Args:
        repository: the repository to search.
        sha: hex digits.
        where: the file and field that it comes from, for the message.

    Raises:
        GitError: the id has the wrong length, is unknown, or is a tree, a blob or an annotated tag.
    """
    if fault := commit_fault(repository, sha, object_kinds(repository, [sha])):
        raise GitError(f"{where}: {fault.problem}", fault.remedy)


def commit_fault(repository: Repository, sha: str, kinds: Mapping[str, str]) -> CommitFault | None:
    """Return why a plan cannot start from an object, or None if it is a commit of the repository.

    Args:
        repository: the user's.
        sha: hex digits.
        kinds: what `object_kinds` returned for this id, and others.
    """
    kind = kinds.get(sha)
    if kind == "commit":
        return None
    if len(sha) != repository.sha_length:
        problem = f"{sha} has {counted(len(sha), 'digit')}; commit ids here have {repository.sha_length}"
        return CommitFault(problem, suggested_line(repository))
    if kind is None:
        return CommitFault(f"{sha} is not in this repository", _unknown_remedy(repository))
    what = "an annotated tag" if kind == "tag" else f"a {kind}"
    return CommitFault(f"{sha} is {what}, not a commit", suggested_line(repository, sha))


def require_no_sessions_commit(repository: Repository, sha: str, where: str) -> None:
    """Raise an error if a commit is from a session, and on none of the user's branches and tags.

    A plan that starts from it would include changes that nobody has reviewed.

    Args:
        repository: the repository to search.
        sha: an existing commit.
        where: the file and field that it comes from, for the message.

    Raises:
        GitError: only refs below refs/lw_coder reach it.
    """
    if fault := sessions_fault(repository, sha):
        raise GitError(f"{where}: {fault.problem}", fault.remedy)


def sessions_fault(repository: Repository, sha: str) -> CommitFault | None:
    """Return the fault of a commit that only refs below refs/lw_coder reach."""
    if _is_own(repository, sha):
        return None
    only = ("for-each-ref", "--count=1", "--format=%(refname)", f"--contains={sha}", "refs/lw_coder")
    session = run_git(*only, place=repository.place).stdout
    if not session:
        return None
    return CommitFault(
        f"{sha} is on none of your branches, only in a session's refs ({printable(session)})",
        f"review it (git log -p {sha}); to start from it, type: git branch <name> {sha}",
    )


def _is_own(repository: Repository, sha: str) -> bool:
    """Return whether a commit is reachable from HEAD, a branch or a tag."""
    # Not `place`: if root is a linked worktree, its HEAD is not the shared git folder's.
    place, rest = Place(repository.root), ("--branches", "--tags", "--remotes", "--")
    asked = ("rev-list", "--max-count=1", sha, "--not")
    found = run_git(*asked, "HEAD", *rest, place=place, check=False)
    if found.code != 0:  # HEAD has no commit yet
        found = run_git(*asked, *rest, place=place)
    return not found.stdout


def suggested_line(repository: Repository, written: str = "") -> str:
    """Return what to write as a plan's git_sha, in place of a text that is no full id of a commit.

    Args:
        repository: the user's.
        written: the text; if it names a commit, as a short id or a branch does, that is suggested too.
    """
    try:
        head = head_commit(repository)
    except GitError:
        return "make a first commit, and write the id that `git rev-parse HEAD` prints"
    named = _named_commit(repository, written)
    if named in {None, head}:
        return f"write git_sha: {head} (that is HEAD)"
    return f"write git_sha: {named} (that is {written}), or git_sha: {head} (that is HEAD)"


def _named_commit(repository: Repository, written: str) -> str | None:
    if not _NAME.fullmatch(written):
        return None
    # Not `place`: if root is a linked worktree, its HEAD is not the shared git folder's.
    asked = ("rev-parse", "--verify", "--quiet", f"{written}^{{commit}}")
    found = run_git(*asked, place=Place(repository.root), check=False)
    return found.stdout if found.code == 0 else None


def object_kinds(repository: Repository, shas: Iterable[str]) -> dict[str, str]:
    """Return the kind of each object id that the repository has: commit, tree, blob or tag."""
    # A shorter id could be the beginning of another object's.
    asked = "".join(f"{sha}\n" for sha in dict.fromkeys(shas) if len(sha) == repository.sha_length)
    if not asked:
        return {}
    listed = run_git("cat-file", "--batch-check", place=repository.place, stdin=asked)
    lines = (line.split(" ") for line in text_lines(listed.stdout))
    return {words[0]: words[1] for words in lines if words[-1] != "missing"}


def _unknown_remedy(repository: Repository) -> str:
    line = suggested_line(repository)
    if not run_git("remote", place=repository.place, check=False).stdout:
        return line
    if (repository.common_dir / "shallow").exists():
        return f"type: git fetch --unshallow (this clone is shallow), or {line}"
    return f"type: git fetch, or {line}"
