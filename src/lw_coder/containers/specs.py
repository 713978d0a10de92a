"""The specification of a session's container, which the Compose files are rendered from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from lw_coder.containers.labels import PLAN_LABEL, PROXY_LABEL, RUN_LABEL
from lw_coder.settings.allowed_hosts import AllowedHost


class Mount(Struct, frozen=True):
    """A bind mount; its source must exist when the session starts."""

    source: Path
    target: str
    read_only: bool = True


class GatewaySpec(Struct, frozen=True):
    """The container of a session's model gateway.

    Attributes:
        mounts: its settings, its folder in the run, and certificates.
        forwarded: names of its variables; the key's is one of them.
        fixed: variables that have the same value in every run.
    """

    mounts: tuple[Mount, ...]
    forwarded: tuple[str, ...]
    fixed: Mapping[str, str]


class SessionSpec(Struct, frozen=True):
    """Everything that defines a session's container, except its image.

    Attributes:
        project: Compose's project name.
        user: `uid:gid` inside.
        mounts: every bind mount, in mount order.
        forwarded: names of the variables whose values come from the env file or the process.
        fixed: variables that have the same value in every run.
        labels: labels of the container.
        allowed: the only hosts that it may reach; None means any host.
        gateway: holds the model's key for it; None if the session has the key itself.
        has_dependencies: whether the services that it depends on have been started already.
    """

    project: str
    user: str
    mounts: tuple[Mount, ...]
    forwarded: tuple[str, ...]
    fixed: Mapping[str, str]
    labels: Mapping[str, str]
    allowed: tuple[AllowedHost, ...] | None = None
    gateway: GatewaySpec | None = None
    has_dependencies: bool = False

    @property
    def has_networks(self) -> bool:
        """Whether it has networks of its own, with a proxy or a gateway in them."""
        return self.allowed is not None or self.gateway is not None

    @property
    def proxy_labels(self) -> dict[str, str]:
        """Labels of its proxy and networks."""
        return {PROXY_LABEL: self.labels[PLAN_LABEL], RUN_LABEL: self.labels[RUN_LABEL]}
