"""Whether a plan's branch was merged by `lw_coder take`, also as one commit, as its runs have recorded it."""

from __future__ import annotations

from collections.abc import Iterator

from lw_coder.foundation.errors import RunError
from lw_coder.repository.git import Repository
from lw_coder.repository.log import is_on_a_branch
from lw_coder.runs.run_folders import list_runs, read_record


def is_taken(repository: Repository, plan_id: str, tip: str) -> bool:
    """Return whether the changes of a plan's branch, up to a commit, were merged into one that still is."""
    return any(is_on_a_branch(repository, commit) for commit in _commits(repository, plan_id, tip))


def _commits(repository: Repository, plan_id: str, tip: str) -> Iterator[str]:
    for run in list_runs(repository.root, plan_id):
        try:
            taken = read_record(run).get("taken")
        except RunError:
            continue
        if isinstance(taken, dict) and taken.get("tip") == tip != taken.get("commit"):  # no fast-forward
            yield str(taken.get("commit"))
