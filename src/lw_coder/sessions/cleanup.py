"""Remove what sessions left in the engine, and refuse to start where one is still running."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from lw_coder.containers import engine
from lw_coder.containers.labels import CHECK_LABEL, OWN_LABEL, PLAN_LABEL, PROXY_LABEL, RUN_LABEL, owner_label
from lw_coder.foundation.errors import EngineError, SessionError, SilentEngineError

if TYPE_CHECKING:
    from lw_coder.containers.docker_command import Question

_LATE = (0.5, 1.5)  # seconds


def ask_for_sessions(identity: str, plan_id: str) -> Question:
    """Ask docker for containers of a plan, whose lock the caller holds; it can answer beside other work."""
    return engine.ask_for_containers({PLAN_LABEL: owner_label(identity, plan_id)})


def stop_abandoned_sessions(
    identity: str, plan_id: str, asked: Question | None = None, *, has_proxies: bool = True
) -> None:
    """Remove what killed and ended sessions of a plan left in the engine.

    Args:
        identity: the repository's.
        plan_id: the plan; the caller holds its lock, so no other lw_coder uses it.
        asked: the result of `ask_for_sessions`, if it was asked.
        has_proxies: whether its sessions can have proxies and networks.

    Raises:
        SessionError: a replay (a container that lw_coder did not start) is running on its worktree.
        EngineError: the engine does not answer.
    """
    plan = owner_label(identity, plan_id)
    is_known = asked is not None and asked.found_nothing()
    if not is_known and engine.containers_with({PLAN_LABEL: plan}):
        require_no_replay(identity, plan_id)
        remove_own_containers(plan)
    if has_proxies:
        remove_idle_proxies(plan)


def remove_leftovers(plan: str) -> None:
    """Remove the containers that a killed lw_coder left; the caller holds the plan's lock."""
    remove_own_containers(plan)
    remove_idle_proxies(plan)


def remove_own_containers(plan: str) -> None:
    """Remove the containers that lw_coder started for a plan, by the value of their PLAN_LABEL."""
    engine.remove_containers_with({PLAN_LABEL: plan, OWN_LABEL: "true"})


def remove_idle_proxies(plan: str) -> None:
    """Remove proxies and their networks, including those of replays that are not running."""
    every = {PROXY_LABEL: plan}
    for run in sorted({one.labels[RUN_LABEL] for one in _proxies_and_networks(every)}):
        own = {RUN_LABEL: run}
        if not engine.containers_with({PLAN_LABEL: plan, **own}, only_running=True):
            engine.remove_containers(engine.containers_with({**every, **own}))
            engine.remove_networks(engine.networks_with({**every, **own}))


def _proxies_and_networks(labels: engine.Labels) -> Iterator[engine.LocalContainer | engine.LocalNetwork]:
    """List both: a proxy of which a killed client had asked for can come when its network has gone."""
    yield from engine.networks_with(labels)
    yield from engine.containers_with(labels)


def removed_late(remove: Callable[[], object]) -> None:
    """Call what removes containers again a little later, twice.

    For containers of a docker client that was killed: the engine may still create what the client asked for.
    """
    for pause in _LATE:
        remove()
        time.sleep(pause)
    remove()


def remove_ended(identity: str, plan_id: str) -> int:
    """Remove what ended sessions, replays and checks of a plan left; the caller holds the plan's lock.

    Returns:
        How many containers were removed, apart from proxies.

    Raises:
        EngineError: the engine does not answer.
    """
    plan = owner_label(identity, plan_id)
    every = engine.containers_with({PLAN_LABEL: plan}) + engine.containers_with({CHECK_LABEL: plan})
    ended = [one for one in every if not one.is_running]
    engine.remove_containers(ended)
    remove_idle_proxies(plan)
    return len(ended)


def require_idle(identity: str, owner: str) -> None:
    """Raise an error if any container is running for a plan, or for a session of `lw_coder plan`.

    Raises:
        SessionError: one is running.
        EngineError: the engine does not answer.
    """
    running = engine.containers_with({PLAN_LABEL: owner_label(identity, owner)}, only_running=True)
    if running:
        short = running[0].id[:12]
        raise SessionError(
            f"{owner}: a session is running on its worktree (container {short})",
            f"leave that session first; if nobody uses it, type: docker rm --force {short}",
        )


def require_idle_if_there_is_an_engine(identity: str, owner: str) -> None:
    """As `require_idle`; without an engine nothing is running.

    Raises:
        SessionError: a container is running for the plan.
        SilentEngineError: there is an engine, whose containers can be running, but it says nothing.
    """
    try:
        require_idle(identity, owner)
    except SilentEngineError:
        raise
    except EngineError:
        return


def require_no_replay(identity: str, plan_id: str) -> None:
    """Raise an error if a replay (a container that lw_coder did not start) is running on a plan.

    Raises:
        SessionError: one is running.
        EngineError: the engine does not answer.
    """
    plan = owner_label(identity, plan_id)
    running = engine.containers_with({PLAN_LABEL: plan}, only_running=True)
    own = {one.id for one in engine.containers_with({PLAN_LABEL: plan, OWN_LABEL: "true"})}
    replays = sorted(one.id for one in running if one.id not in own)
    if replays:
        raise SessionError(
            f"{plan_id}: a replay is running on this plan's worktree (container {replays[0][:12]})",
            "leave that session first",
        )
