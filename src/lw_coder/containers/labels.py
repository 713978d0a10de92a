"""The labels by which the containers and networks of sessions are found again."""

from __future__ import annotations

PLAN_LABEL = "lw_coder.plan"  # <repository>/<plan id>, on every session's container
RUN_LABEL = "lw_coder.run"  # its run's name
OWN_LABEL = "lw_coder.session"  # only on those that lw_coder started itself; a replay has none
PLAN_RUNS = "@plan"  # stands where a run has its plan's id; no plan can have it
PROXY_LABEL = "lw_coder.proxy"  # what PLAN_LABEL is on a session's container, on its proxy and networks


def owner_of(worktree_name: str) -> str:
    """Return what the container of a session of `plan` is found again by: each has a worktree of its own."""
    return f"{PLAN_RUNS}/{worktree_name}"


def owner_label(identity: str, owner: str) -> str:
    """Return what PLAN_LABEL says of a session: its repository, and its owner there.

    Args:
        identity: the repository's, from `image_names.repo_hash`.
        owner: a plan's id, or what `owner_of` returns.
    """
    return f"{identity}/{owner}"


def session_labels(identity: str, owner: str, run_name: str) -> dict[str, str]:
    """Return the labels by which a plan's containers are found again."""
    return {PLAN_LABEL: owner_label(identity, owner), RUN_LABEL: run_name}
