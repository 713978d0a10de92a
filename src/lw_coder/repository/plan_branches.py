"""The branches of plans: how far each is ahead of what is checked out."""

from __future__ import annotations

from functools import cached_property

from msgspec import Struct

from lw_coder.repository.git import Repository, list_refs, run_git, text_lines
from lw_coder.repository.worktrees import BRANCH_PREFIX

_REFS = f"refs/heads/{BRANCH_PREFIX}"


class PlanBranch(Struct, frozen=True):
    """A plan's branch.

    Attributes:
        name: its short name.
        tip: the id of its last commit.
        ahead: how many of its commits are not part of HEAD.
    """

    name: str
    tip: str
    ahead: int


class PlanBranches:
    """The branches of all plans; git is asked for no more than is wanted.

    Args:
        repository: the person's.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._tips = list_refs(repository, _REFS.rstrip("/"))

    def of(self, plan_id: str) -> PlanBranch | None:
        """Return a plan's branch, or None if there is none."""
        tip = self._tips.get(f"{_REFS}{plan_id}")
        return (
            None if tip is None else PlanBranch(f"{BRANCH_PREFIX}{plan_id}", tip, self._ahead(plan_id, tip))
        )

    def _ahead(self, plan_id: str, tip: str) -> int:
        if f"{_REFS}{plan_id}" in self._merged:
            return 0
        counted = run_git("rev-list", "--count", tip, "--not", "HEAD", place=self._repository.place)
        return int(counted.stdout)

    @cached_property
    def _merged(self) -> frozenset[str]:
        command = ("for-each-ref", "--merged=HEAD", "--format=%(refname)", _REFS)
        return frozenset(text_lines(run_git(*command, place=self._repository.place).stdout))
