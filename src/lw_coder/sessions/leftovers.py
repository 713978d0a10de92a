"""What sessions left in the engine: manual replays, or sessions whose lw_coder was killed."""

from __future__ import annotations

from msgspec import Struct

from lw_coder.containers import engine
from lw_coder.containers.labels import CHECK_LABEL, PLAN_LABEL, PROXY_LABEL, RUN_LABEL, owner_label


class Leftovers(Struct, frozen=True):
    """What a repository's sessions left in the engine.

    Attributes:
        sessions: ids of stopped containers; those of sessions contain the values of the forwarded variables.
        proxies: ids of the proxies of sessions that have ended.
        networks: ids of their networks.
        owners: the plans of all of these, or other owners that `labels.owner_of` names.
    """

    sessions: tuple[str, ...]
    proxies: tuple[str, ...]
    networks: tuple[str, ...]
    owners: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.sessions or self.proxies or self.networks)

    @property
    def removal(self) -> str:
        """The command that removes all of it."""
        containers = [one[:12] for one in (*self.sessions, *self.proxies)]
        commands = (
            ("docker rm --force --volumes", containers),
            ("docker network rm", [one[:12] for one in self.networks]),
        )
        return " && ".join(f"{command} {' '.join(ids)}" for command, ids in commands if ids)


def find_leftovers(identity: str) -> Leftovers:
    """Find what a repository's sessions left.

    Args:
        identity: the repository's, from `image_names.repo_hash`.

    Raises:
        EngineError: the engine does not answer.
    """
    prefix = owner_label(identity, "")
    every = engine.containers_with({PLAN_LABEL: None}) + engine.containers_with({CHECK_LABEL: None})
    sessions = [one for one in every if PROXY_LABEL not in one.labels and _plan(one).startswith(prefix)]
    at_work = {(_plan(one), one.labels.get(RUN_LABEL)) for one in sessions if one.is_running}

    def is_idle(labels: engine.Labels) -> bool:
        plan = labels[PROXY_LABEL]
        return plan.startswith(prefix) and (plan, labels.get(RUN_LABEL)) not in at_work

    stopped = [one for one in sessions if not one.is_running]
    proxies = [one for one in engine.containers_with({PROXY_LABEL: None}) if is_idle(one.labels)]
    networks = [one for one in engine.networks_with({PROXY_LABEL: None}) if is_idle(one.labels)]
    labels = [one.labels for one in proxies] + [one.labels for one in networks]
    plans = {*map(_plan, stopped), *(each[PROXY_LABEL] for each in labels)}
    return Leftovers(
        tuple(one.id for one in stopped),
        tuple(one.id for one in proxies),
        tuple(one.id for one in networks),
        tuple(sorted(plan.removeprefix(prefix) for plan in plans)),
    )


def _plan(container: engine.LocalContainer) -> str:
    """Return the repository and plan of a session's or a check's container."""
    return container.labels.get(PLAN_LABEL) or container.labels[CHECK_LABEL]
