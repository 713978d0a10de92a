"""What an import brought that the repository did not have: the run's refs are listed before and after it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lw_coder.foundation.report import tell
from lw_coder.repository.git import Repository, list_refs
from lw_coder.repository.importing.commits import REFS_PREFIX

if TYPE_CHECKING:
    from lw_coder.repository.importing.commits import ImportResult
    from lw_coder.runs.run_folders import Run


def refs_of(repository: Repository, run: Run) -> dict[str, str]:
    """Map the refs that were imported from a run to their objects."""
    return list_refs(repository, f"{REFS_PREFIX}/{run.identity}")


def report_refs(repository: Repository, run: Run, before: Mapping[str, str], imported: ImportResult) -> None:
    """Name the refs that are new or have moved, and say whether the plan's branch has moved.

    Args:
        repository: the person's.
        run: the run.
        before: its refs before the import.
        imported: what was imported.
    """
    after = refs_of(repository, run)
    new = [ref for ref in imported.refs if before.get(ref) != after.get(ref)]
    for ref in new:
        tell(f"Imported: {ref}")
    moved = imported.commits if imported.moved else 0
    if moved:
        tell(f"Commits:  {moved} new on the plan's branch")
    if not (new or moved):
        have = "; the repository has all of its commits" if imported.refs else ""
        tell(f"There is nothing to import{have}.")
