"""The labels that identify the containers and networks of sessions."""

from __future__ import annotations

PLAN_LABEL = "lw_coder.plan"  # <repository>/<plan id>, on every session's container
RUN_LABEL = "lw_coder.run"  # its run's name
OWN_LABEL = "lw_coder.session"  # only if lw_coder started it; a replay does not have it
PLAN_RUNS = "@plan"  # used instead of a plan's id; no plan can have it
REPLAY_RUNS = "@replay"  # likewise, for fresh replays
TAKE_RUNS = "@take"  # likewise, for the checks of what `take` has merged of several plans
NO_PLANS = frozenset({PLAN_RUNS, REPLAY_RUNS, TAKE_RUNS})
PROXY_LABEL = "lw_coder.proxy"  # the value of PLAN_LABEL, on a session's proxy and networks

CHECK_LABEL = "lw_coder.check"  # <repository>/<plan id>, on the container, proxy and networks of a check

REPO_LABEL = "lw_coder.repo"  # the repository, on its images: those of earlier builds have no name


def owner_of(worktree_name: str) -> str:
    """Return the owner of a session of `plan`: each has its own worktree."""
    return f"{PLAN_RUNS}/{worktree_name}"


def owner_label(identity: str, owner: str) -> str:
    """Return the value of PLAN_LABEL for a session: its repository and owner.

    Args:
        identity: the repository's, from `image_names.repo_hash`.
        owner: a plan's id, or the result of `owner_of`.
    """
    return f"{identity}/{owner}"


def session_labels(identity: str, owner: str, run_name: str) -> dict[str, str]:
    """Return the labels of a session's container."""
    return {PLAN_LABEL: owner_label(identity, owner), RUN_LABEL: run_name}


def check_labels(identity: str, plan_id: str, run_name: str) -> dict[str, str]:
    """Return the labels of a container that runs a check."""
    return {CHECK_LABEL: owner_label(identity, plan_id), RUN_LABEL: run_name}
