"""Report that the image and the session's files come from different places, and where these differ."""

from __future__ import annotations

import shlex
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from lw_coder.containers.build_context import context_sources, has_variable
from lw_coder.containers.images import DOCKERFILE, IGNORE_FILE
from lw_coder.foundation.report import printable, say, warn
from lw_coder.plans.plan_file import TASKS_FOLDER
from lw_coder.repository.git import OWN_FOLDER, changed_since

if TYPE_CHECKING:
    from lw_coder.repository.git import Repository
    from lw_coder.repository.worktrees import Worktree

_LOCK_FILES = (
    *("*.lock", "requirements*.txt", "package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml"),
    *("go.sum", "bun.lockb", "gradle.lockfile"),
)
_OWN_FILES = (str(DOCKERFILE), str(IGNORE_FILE))
_NOT_IN_A_BUILD = (".gitignore", ".gitattributes")
_MOST_SHOWN = 5


def report_image_source(repository: Repository, worktree: Worktree, git_sha: str, dockerfile: str) -> None:
    """Say what the image is built from and where the session starts; warn of files that differ.

    Args:
        repository: the user's; its root is the build context.
        worktree: the session's.
        git_sha: the plan's.
        dockerfile: text of the repository's Dockerfile.
    """
    commit = worktree.head[:12]
    say(f"Image: from your working tree as it is now; the session starts at commit {commit}")
    changed = differing_files(repository, worktree.head, dockerfile)
    own = changed
    if changed and worktree.head != git_sha:
        own = differing_files(repository, git_sha, dockerfile)
        # Of what only the plan's earlier sessions changed, the image's dependencies count, not the code.
        changed = [name for name in changed if name in own or _is_lock_file(name)]
    if not changed:
        return
    remedy = _remedy(repository, worktree, git_sha, are_own=not set(own).isdisjoint(changed))
    more = ["..."] if len(changed) > _MOST_SHOWN else []
    names = ", ".join([*map(printable, changed[:_MOST_SHOWN]), *more])
    count = f"{len(changed)} files differ" if len(changed) > 1 else "a file differs"
    warn(
        f"{count} between your working tree, which the image is built from, and commit {commit}, which the "
        f"session starts at: {names}; {remedy}"
    )


def _is_lock_file(name: str) -> bool:
    return any(fnmatchcase(name.rpartition("/")[2], pattern) for pattern in _LOCK_FILES)


def differing_files(repository: Repository, commit: str, dockerfile: str) -> list[str]:
    """List the files that the image's build reads and that are not the same in a commit, sorted."""
    sources = [source for source in context_sources(dockerfile) if not has_variable(source)]
    changed = changed_since(repository, commit, _pathspecs(sources))
    # A commit without lw_coder's own files cannot contradict them.
    return sorted(
        name
        for name, is_new in changed.items()
        if name not in _NOT_IN_A_BUILD and not (is_new and name.startswith(f"{OWN_FOLDER}/"))
    )


def _pathspecs(sources: list[str]) -> list[str]:
    if "." in sources:
        return [".", f":(exclude,glob){TASKS_FOLDER}/**"]
    below = (pattern for name in sources for pattern in (name, f"{name}/**"))
    return [f":(glob){pattern}" for pattern in (*_OWN_FILES, *_LOCK_FILES, *below)]


def _remedy(repository: Repository, worktree: Worktree, git_sha: str, *, are_own: bool) -> str:
    if not are_own:
        return f"sessions of this plan changed them; to build the image with them, merge {worktree.branch}"
    if worktree.head == git_sha:
        return "to start from your files, commit them, and write that commit's id as the plan's git_sha"
    path = worktree.path
    shown = repository.shown(path)
    return f"to update the session's branch, commit your files and merge them in {shlex.quote(str(shown))}"
