"""The specification of a session's container: the one list of mounts, the variables, the labels."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lw_coder.containers.labels import session_labels
from lw_coder.containers.proxy import PROXY, proxy_environment
from lw_coder.containers.specs import GatewaySpec, Mount, SessionSpec
from lw_coder.gateway.settings import ADDRESS, HOST, SETTINGS_FILE
from lw_coder.gateway.settings import FOLDER as GATEWAY_FOLDER
from lw_coder.plans.plan_file import TASKS_FOLDER
from lw_coder.sessions.container_paths import (
    CA_BUNDLE,
    FACTORY,
    HOME,
    MAIN_PROMPT,
    OUTPUT,
    OVERRIDES,
    WORKSPACE,
)
from lw_coder.sessions.droid_settings import OVERRIDES_FILE
from lw_coder.sessions.login import Login, login_mounts, policy_mounts
from lw_coder.settings.allowed_hosts import CONTEXT7, FACTORY_HOSTS, AllowedHost, host_of
from lw_coder.settings.environment import API_KEY

if TYPE_CHECKING:
    from lw_coder.repository.private_git import PrivateGit
    from lw_coder.sessions.setup import SessionSetup
    from lw_coder.settings.model_access import ModelAccess

# start-session reads them
_CONTINUE, _GATEWAY, _DEPENDENCIES = "LW_CODER_CONTINUE", "LW_CODER_GATEWAY", "LW_CODER_DEPENDENCIES"
_CA_NAMES = (
    "SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "CARGO_HTTP_CAINFO",
)


def session_spec(setup: SessionSetup, owner: str, *extra: Mount, tasks_read_only: bool = True) -> SessionSpec:
    """Describe a session's container.

    Args:
        setup: the session's folders.
        owner: a plan's id, or a name that no plan can have; the container's labels name it.
        extra: additional mounts of the command.
        tasks_read_only: False if the session is to write plans.
    """
    context, run = setup.context, setup.run
    config, login = context.config, context.login
    model = None if config.gateway else context.environment.model
    allowed = allowed_hosts(login, model, config.allowed_hosts)
    tasks = context.repository.root / TASKS_FOLDER
    return SessionSpec(
        project=project_name(context.identity, run.plan_id, run.name),
        user=host_user(),
        mounts=(
            *session_mounts(
                run.folder, setup.worktree.path, setup.git, tasks, tasks_read_only=tasks_read_only
            ),
            *extra,
            *policy_mounts(context.login, run.folder),
            *login_mounts(context.login, Path.home()),
            *ca_mounts(context.ca_bundle),
        ),
        forwarded=context.environment.names,
        fixed={
            **fixed_environment(
                context.login, has_ca_bundle=context.ca_bundle is not None, has_proxy=allowed is not None
            ),
            **({_CONTINUE: setup.conversation.name} if setup.conversation else {}),
            **({_GATEWAY: HOST} if config.gateway else {}),
            **_dependencies(has_proxy=allowed is not None, has_gateway=config.gateway),
        },
        labels=session_labels(context.identity, owner, run.name),
        allowed=allowed,
        gateway=gateway_spec(setup) if config.gateway else None,
    )


def _dependencies(*, has_proxy: bool, has_gateway: bool) -> dict[str, str]:
    """Return the variable with the addresses of the services that start-session waits for."""
    addresses = (*([PROXY] if has_proxy else []), *([ADDRESS] if has_gateway else []))
    places = [urlsplit(address) for address in addresses]
    return {_DEPENDENCIES: " ".join(f"{one.hostname}/{one.port}" for one in places)} if places else {}


def gateway_spec(setup: SessionSetup) -> GatewaySpec:
    """Describe the container of a session's model gateway."""
    context, folder = setup.context, setup.run.folder
    certificates = ca_variables() if context.ca_bundle else {}
    return GatewaySpec(
        mounts=(
            Mount(folder / SETTINGS_FILE, f"/etc/{SETTINGS_FILE}"),
            Mount(folder / GATEWAY_FOLDER, "/evidence", read_only=False),
            *ca_mounts(context.ca_bundle),
        ),
        # The values of the others are removed from what it passes on and records.
        forwarded=tuple(dict.fromkeys((API_KEY, *context.environment.names))),
        fixed=certificates,
    )


def project_name(identity: str, plan_id: str, run_name: str) -> str:
    """Return a run's Compose project name: lower case, digits, hyphens and underscores."""
    return re.sub(r"[^a-z0-9_-]", "-", f"lw-{identity}-{plan_id}-{run_name}".lower())


def host_user() -> str:
    """Return this process's `uid:gid`, which a session runs as."""
    return f"{os.getuid()}:{os.getgid()}"


def session_mounts(
    folder: Path, worktree: Path, git: PrivateGit, tasks: Path, *, tasks_read_only: bool = True
) -> tuple[Mount, ...]:
    """List the mounts of every session, independent of its command, login and configuration.

    Args:
        folder: the run's folder.
        worktree: the worktree of the session.
        git: its private git folder.
        tasks: the repository's plans.
        tasks_read_only: False if the session is to write plans.
    """
    return (
        Mount(worktree, WORKSPACE, read_only=False),
        *(Mount(*mount) for mount in git.mounts()),
        Mount(folder / "prompts/main.md", MAIN_PROMPT),
        Mount(folder / "droids", f"{FACTORY}/droids"),
        Mount(folder / "settings.json", f"{FACTORY}/settings.json"),
        Mount(folder / OVERRIDES_FILE, OVERRIDES),
        Mount(tasks, OUTPUT, read_only=tasks_read_only),
        Mount(folder / "sessions", f"{FACTORY}/sessions", read_only=False),
    )


def ca_mounts(ca_bundle: Path | None) -> tuple[Mount, ...]:
    """List the certificates that the session trusts, if any are configured."""
    return (Mount(ca_bundle, CA_BUNDLE),) if ca_bundle else ()


def ca_variables() -> dict[str, str]:
    """Return the variables that name the certificates."""
    return dict.fromkeys(_CA_NAMES, CA_BUNDLE)


def fixed_environment(login: Login, *, has_ca_bundle: bool, has_proxy: bool = False) -> dict[str, str]:
    """Return the variables that do not come from the person."""
    fixed = {"HOME": HOME, "FACTORY_RUNTIME_SETTINGS_PATH": OVERRIDES}
    if login is Login.NONE:
        fixed["FACTORY_AIRGAP_ENABLED"] = "true"
    if has_ca_bundle:
        fixed.update(ca_variables())
    if has_proxy:
        fixed.update(proxy_environment())
    return fixed


def allowed_hosts(
    login: Login, model: ModelAccess | None, configured: tuple[AllowedHost, ...] | None
) -> tuple[AllowedHost, ...] | None:
    """Add the hosts that every session needs to the configured ones; None, for any host, stays None.

    Args:
        login: how the agent is signed in.
        model: the model that it asks itself; None if a gateway does.
        configured: `allow_hosts`.
    """
    if configured is None:
        return None
    models = (host_of(model.base_url),) if model else ()
    return (*(models if login is Login.NONE else FACTORY_HOSTS), CONTEXT7, *configured)
