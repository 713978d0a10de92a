"""Where a node has what it works with, below NODE_FOLDER; and the objects in a session there."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from lw_coder.containers.job_spec import NODE_FOLDER
from lw_coder.plans.plan_file import TASKS_FOLDER
from lw_coder.repository.private_git import CONTAINER_OBJECTS
from lw_coder.repository.worktrees import WORKTREES_FOLDER
from lw_coder.runs.run_folders import RUNS_FOLDER

OBJECTS_FOLDER = Path(".git/objects")  # of a root: a run's own objects
CACHE = Path(NODE_FOLDER, "objects")  # the objects of repositories, by digest
WORK = Path(NODE_FOLDER, "work")  # one folder for each attempt
CERTIFICATES = "node-ca.pem"  # in a run's folder on a node
OWN_TARGET, CACHED_TARGET = CONTAINER_OBJECTS, f"{CONTAINER_OBJECTS}-1"

__all__ = ["TASKS_FOLDER", "WORKTREES_FOLDER"]


def cached_objects(layer: str) -> Path:
    """Return the folder of a repository's objects, by the digest of their file."""
    return CACHE / layer.removeprefix("sha256:") / "objects"


class NodeRun(Struct, frozen=True):
    """The folders of one attempt; they are laid out as in a repository, so that relative paths hold.

    Attributes:
        work: all of it.
        plan_id: the plan.
        run: the run's name.
    """

    work: Path
    plan_id: str
    run: str

    @property
    def root(self) -> Path:
        """What stands for the repository's root."""
        return self.work / "root"

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.root / RUNS_FOLDER / self.plan_id / self.run

    @property
    def worktree(self) -> Path:
        """The worktree."""
        return self.root / WORKTREES_FOLDER / self.plan_id
