"""Whether a run has commits that the repository lacks."""

from __future__ import annotations

from lw_coder.repository.git import Repository
from lw_coder.repository.importing.commits import pending
from lw_coder.repository.private_git import open_private_git
from lw_coder.runs.run_folders import Run


def has_pending(repository: Repository, run: Run) -> bool:
    """Return whether a run has commits that the repository lacks.

    Raises:
        GitError: the record of its private git folder is damaged.
    """
    return (run.folder / "git").is_dir() and pending(repository, open_private_git(run.folder))
