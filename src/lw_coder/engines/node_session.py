"""A session's Compose files for a node: what it mounts there, and its images by digest."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from lw_coder.containers.compose_files import ComposeSpec, render, skeleton
from lw_coder.containers.docker_command import SERVICES_FILE
from lw_coder.containers.specs import GatewaySpec, Mount, SessionSpec
from lw_coder.engines.node_paths import (
    CACHED_TARGET,
    CERTIFICATES,
    OBJECTS_FOLDER,
    OWN_TARGET,
    WORKTREES_FOLDER,
    cached_objects,
)
from lw_coder.engines.node_variables import DROID, GATEWAY, variables_mount
from lw_coder.foundation.errors import ConfigError
from lw_coder.foundation.report import printable
from lw_coder.repository.git import Repository
from lw_coder.repository.private_git import CONTAINER_LFS, CONTAINER_OBJECTS, CONTAINER_WORKTREE
from lw_coder.sessions.container_paths import CA_BUNDLE
from lw_coder.settings.config import CONFIG_FILE

if TYPE_CHECKING:
    from lw_coder.sessions.setup import SessionSetup
    from lw_coder.settings.docker_flags import RunOptions

_BYTES = re.compile(r"([0-9]+(?:\.[0-9]+)?)([bkmgt]?)b?")
_HELPERS = 768 << 20  # bytes: the runner, the proxy and the gateway
_OF_THIS_MACHINE = {"volumes": "--volume", "env_file": "--env-file", "devices": "--device"}


def require_portable(options: RunOptions) -> None:
    """Refuse docker_run_args that name files or devices of this machine.

    Raises:
        ConfigError: there is one.
    """
    named = [flag for key, flag in _OF_THIS_MACHINE.items() if options.keys.get(key)]
    security = options.keys.get("security_opt", ())
    named += ["--security-opt seccomp"] if any(str(one).startswith("seccomp=") for one in security) else []
    if named:
        raise ConfigError(
            f"{CONFIG_FILE}: docker_run_args: {named[0]} names something of this machine, which a node lacks",
            "remove it, or run the session on this machine with --engine local",
        )


def reserved_memory(options: RunOptions) -> int:
    """Return the bytes of a node that a session needs at most, with its runner and its helpers."""
    told = str(options.keys.get("mem_limit") or skeleton(SERVICES_FILE)["services"]["droid"]["mem_limit"])
    found = _BYTES.fullmatch(told.strip().lower())
    own = int(float(found[1]) * 1024 ** "bkmgt".index(found[2] or "b")) if found else 0
    return own + _HELPERS


def node_files(
    setup: SessionSetup, session: SessionSpec, layer: str, images: tuple[str, str]
) -> dict[str, str]:
    """Return the texts of the Compose files, and of the proxy's filter, by file name.

    Args:
        setup: the session's folders; its run is sealed.
        session: its container.
        layer: digest of the repository's objects.
        images: full names of the session's image and of the base image.

    Raises:
        ConfigError: the session mounts what only this machine has.
    """
    repository = setup.context.repository
    root = repository.home
    mounts = tuple(_of_main(mount, repository) for mount in session.mounts)
    spec = ComposeSpec(
        folder=setup.run.folder,
        root=root,
        session=_moved(replace(session, mounts=mounts), root, setup.run.folder, layer),
        run_options=_without_variables(setup.context.config.run_options),
        builds={},
        env_file=None,
        ca_bundle=None,
        image=images[0],
        proxy_image=images[1],
    )
    return render(spec)


def _without_variables(options: RunOptions) -> RunOptions:
    """Return the options without variables whose values the session takes from the environment."""
    kept = {name: value for name, value in options.keys.get("environment", {}).items() if value is not None}
    return replace(options, keys={**options.keys, "environment": kept})


def _of_main(mount: Mount, repository: Repository) -> Mount:
    """Return a mount of a linked worktree's file as that of the main one's, whose place a node has."""
    if repository.main is None or not mount.source.is_relative_to(repository.root):
        return mount
    return replace(mount, source=repository.home / mount.source.relative_to(repository.root))


def _moved(session: SessionSpec, root: Path, folder: Path, layer: str) -> SessionSpec:
    kept = [_on_node(mount, root, folder) for mount in session.mounts if _travels(mount)]
    objects = (
        Mount(root / OBJECTS_FOLDER, OWN_TARGET),
        Mount(cached_objects(layer), CACHED_TARGET),
    )
    variables = variables_mount(folder, DROID)
    gateway = _moved_gateway(session.gateway, root, folder) if session.gateway else None
    mounts = (*kept, *objects, variables)
    return replace(session, mounts=mounts, forwarded=(), gateway=gateway, has_dependencies=False)


def _moved_gateway(gateway: GatewaySpec, root: Path, folder: Path) -> GatewaySpec:
    kept = [_on_node(mount, root, folder) for mount in gateway.mounts]
    return replace(gateway, mounts=(*kept, variables_mount(folder, GATEWAY)), forwarded=())


def _travels(mount: Mount) -> bool:
    """Return whether a mount is of something that travels: objects do so in another way."""
    is_objects = mount.target.startswith((CONTAINER_OBJECTS, CONTAINER_LFS))
    return not is_objects and str(mount.source) != "/dev/null"  # a populated submodule's pointer


def _on_node(mount: Mount, root: Path, folder: Path) -> Mount:
    if mount.target == CONTAINER_WORKTREE:
        return replace(mount, source=root / WORKTREES_FOLDER / folder.parent.name)
    if mount.target == CA_BUNDLE:
        return replace(mount, source=folder / CERTIFICATES)
    if mount.source.is_relative_to(root):
        return mount
    raise ConfigError(
        f"{printable(str(mount.source))}: is mounted in the session, and is only on this machine",
        "for the agent's login, use FACTORY_API_KEY or a model of your own; "
        "or run the session on this machine with --engine local",
    )
