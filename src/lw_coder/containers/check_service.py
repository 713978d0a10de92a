"""Render verdict/check.yml of a run: the service in which checks run, hardened more than a session."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, field

from lw_coder.containers.check_stub import CHECK_FILE, CHECK_SERVICE
from lw_coder.containers.compose_files import NAME_KEYS, Yaml, bind, dump, skeleton
from lw_coder.containers.labels import CHECK_LABEL, PROXY_LABEL, RUN_LABEL
from lw_coder.containers.proxy import FILTER_FILE, proxy_environment, render_filter
from lw_coder.containers.specs import Mount
from lw_coder.settings.allowed_hosts import AllowedHost
from lw_coder.settings.docker_flags import RunOptions
from lw_coder.settings.environment import PROXY_NAMES

BASE_SERVICE = "check-base"  # only if the base commit has another image than the tip
CHECK_HOME = "/home/check"

# docker's client passes the proxies of its own configuration to each container; a URL can have a password.
_PROXIES = (*PROXY_NAMES, "FTP_PROXY", "ftp_proxy", "ALL_PROXY", "all_proxy")
_LIMITS = (
    *("blkio_config", "cgroup_parent", "cpu_period", "cpu_quota", "cpu_rt_period", "cpu_rt_runtime"),
    *("cpu_shares", "cpus", "cpuset", "mem_limit", "mem_reservation", "mem_swappiness", "memswap_limit"),
    *("oom_kill_disable", "oom_score_adj", "pids_limit", "platform", "runtime", "shm_size", "ulimits"),
)


class CheckSpec(Struct, frozen=True):
    """Everything that check.yml contains.

    Attributes:
        folder: its folder.
        root: the repository's root.
        project: Compose's project name.
        user: `uid:gid` inside.
        image: id of the image that the checks run in.
        base_image: id of the image that the checks of the base commit run in.
        proxy_image: id of the proxy's.
        mounts: every bind mount, in mount order; all are read-only.
        environment: the variables of a check.
        labels: labels of the container.
        run_options: docker_run_args, of which only the limits apply.
        has_network: whether checks may use the network.
        allowed: the only hosts that they may reach then; None means any host.
    """

    folder: Path
    root: Path
    project: str
    user: str
    image: str
    base_image: str
    proxy_image: str
    mounts: tuple[Mount, ...]
    environment: Mapping[str, str]
    labels: Mapping[str, str]
    run_options: RunOptions = field(default_factory=RunOptions)
    has_network: bool = False
    allowed: tuple[AllowedHost, ...] | None = None

    @property
    def has_proxy(self) -> bool:
        """Whether a proxy is the only way out."""
        return self.has_network and self.allowed is not None

    @property
    def proxy_service(self) -> str:
        """The name of the proxy's service: two runs in one project must not share it."""
        return f"check-proxy-{self.labels[RUN_LABEL].lower()}"


def render_check(spec: CheckSpec) -> dict[str, str]:
    """Return the text of check.yml, and of the proxy's filter if there is one, by file name."""
    file = skeleton(CHECK_FILE)
    services = file["services"]
    services[CHECK_SERVICE] |= {
        "image": spec.image,
        "user": spec.user,
        "labels": dict(spec.labels),
        "environment": {**({} if spec.has_network else dict.fromkeys(_PROXIES, "")), **spec.environment},
        "tmpfs": _writable(spec.user),
        "volumes": [bind(spec, mount) for mount in spec.mounts],
        **_limits(spec.run_options),
    }
    _connect(spec, file)
    if spec.base_image != spec.image:
        services[BASE_SERVICE] = {**services[CHECK_SERVICE], "image": spec.base_image}
    texts = {CHECK_FILE: dump({"name": spec.project, **file}, CHECK_FILE)}
    return {**texts, FILTER_FILE: render_filter(spec.allowed or ())} if spec.has_proxy else texts


def _writable(user: str) -> list[str]:
    """List the folders that a check can write, which are in memory; the image itself is read-only."""
    uid, _, gid = user.partition(":")
    own = f"exec,mode=0755,uid={uid},gid={gid}"
    shared = ("/tmp", "/var/tmp")  # noqa: S108 - paths inside the container
    return [f"/workspace:{own}", f"{CHECK_HOME}:{own}", *(f"{path}:exec,mode=1777" for path in shared)]


def _limits(options: RunOptions) -> Yaml:
    keys = {name: value for name, value in options.keys.items() if name in _LIMITS}
    if "mem_limit" in keys and "memswap_limit" not in keys:
        keys["memswap_limit"] = keys["mem_limit"]
    return keys


def _connect(spec: CheckSpec, file: Yaml) -> None:
    """Give the check no network, or the one that it may use; remove the proxy unless it is needed."""
    check = file["services"][CHECK_SERVICE]
    proxy = file["services"].pop("proxy")
    if not spec.has_proxy:
        del file["networks"]
        if spec.has_network:
            check |= {"network_mode": "bridge", **_names(spec, "network_mode")}
        return
    del check["network_mode"]
    check["environment"] |= proxy_environment()
    check |= {
        "networks": ["check-inside"],
        "depends_on": {spec.proxy_service: {"condition": "service_healthy"}},
    }
    mount = Mount(spec.folder / FILTER_FILE, f"/etc/{FILTER_FILE}")
    own = {
        "image": spec.proxy_image,
        "user": spec.user,
        "labels": _proxy_labels(spec),
        "volumes": [bind(spec, mount)],
    }
    file["services"][spec.proxy_service] = {**proxy, **own, **_names(spec)}
    for name, network in file["networks"].items():
        network |= {"name": f"{spec.project}_{name}", "labels": _proxy_labels(spec)}


def _proxy_labels(spec: CheckSpec) -> dict[str, str]:
    return {**spec.labels, PROXY_LABEL: spec.labels[CHECK_LABEL]}


def _names(spec: CheckSpec, *more: str) -> Yaml:
    return {key: spec.run_options.keys[key] for key in (*NAME_KEYS, *more) if key in spec.run_options.keys}
