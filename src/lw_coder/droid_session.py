"""The shared droid session: what `code` and `plan` mount, set and forward, decided in one place."""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from lw_coder import engine
from lw_coder.egress import (
    CONTEXT7,
    FACTORY_HOSTS,
    AllowedHost,
    host_of,
    proxy_environment,
    refused_hosts,
)
from lw_coder.environment import API_KEY
from lw_coder.errors import EngineError, EnvironmentFileError, SessionError
from lw_coder.report import warn
from lw_coder.signals import Signalled, ignore_rest
from lw_coder.terminal import drop_answers, lent
from lw_coder.transcript_watch import stopped_if_flooded

if TYPE_CHECKING:
    from lw_coder.model_access import ModelAccess
    from lw_coder.session_git import SessionGit

WORKSPACE = "/workspace"
HOME = "/home/droiduser"
FACTORY = f"{HOME}/.factory"
MAIN_PROMPT = "/tmp/lw_coder/main_prompt.md"  # noqa: S108 - a path inside the container
OUTPUT = "/output"
CA_BUNDLE = "/etc/ssl/lw_coder-ca-bundle.pem"

PLAN_LABEL = "lw_coder.plan"  # <repository>/<plan id>, on every session's container
RUN_LABEL = "lw_coder.run"  # its run's name
OWN_LABEL = "lw_coder.session"  # only on those that lw_coder started itself; a replay has none
PLAN_RUNS = "@plan"  # stands where a run has its plan's id; no plan can have it
PROXY_LABEL = "lw_coder.proxy"  # what PLAN_LABEL is on a session's container, on its proxy and networks

_LOGIN_FILES = ("auth.json", "auth.v2.file", "auth.v2.key")
_CA_NAMES = (
    "SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
)


class Login(Enum):
    """How the agent is signed in, in the order of preference; the values are told to the person."""

    API_KEY = "signed in with FACTORY_API_KEY"
    FILES = "signed in with this machine's Factory login; once it has expired, sign in with droid here again"
    NONE = "no Factory login, so droid runs air-gapped, on the OpenRouter model"


@dataclass(frozen=True)
class Mount:
    """A bind mount; its source must exist when the session starts."""

    source: Path
    target: str
    read_only: bool = True


@dataclass(frozen=True)
class SessionSpec:
    """All that a session's container is made of, but its image.

    Attributes:
        project: Compose's project name.
        user: `uid:gid` inside.
        mounts: every bind, in the order in which they are mounted.
        forwarded: names of the variables whose values come from the env file or the process.
        fixed: variables that have the same value in every run.
        labels: labels of the container.
        allowed: the only hosts that it may reach; None means any.
    """

    project: str
    user: str
    mounts: tuple[Mount, ...]
    forwarded: tuple[str, ...]
    fixed: Mapping[str, str]
    labels: Mapping[str, str]
    allowed: tuple[AllowedHost, ...] | None = None

    @property
    def proxy_labels(self) -> dict[str, str]:
        """Labels of its proxy and networks, by which those are found again."""
        return {PROXY_LABEL: self.labels[PLAN_LABEL], RUN_LABEL: self.labels[RUN_LABEL]}


@dataclass(frozen=True)
class Ended:
    """How a session ended.

    Attributes:
        status: its exit status.
        started: when, in UTC.
        ended: likewise.
        refused: how often it was refused which host; empty where any may be reached.
        signalled: what lw_coder itself is to exit with, if a signal to it ended the session.
    """

    status: int
    started: datetime
    ended: datetime
    refused: Counter[str] = field(default_factory=Counter)
    signalled: int | None = None


def require_terminal() -> None:
    """Refuse to start without a person at a terminal.

    Raises:
        SessionError: standard input or output is no terminal.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise SessionError(
            "there is no terminal, and the session needs one", "type the command in a terminal"
        )


def project_name(identity: str, plan_id: str, run_name: str) -> str:
    """Return a run's name among Compose's projects: lower case, digits, hyphens and underscores."""
    return re.sub(r"[^a-z0-9_-]", "-", f"lw-{identity}-{plan_id}-{run_name}".lower())


def owner_of(worktree_name: str) -> str:
    """Return what the container of a session of `plan` is found again by: each has a worktree of its own."""
    return f"{PLAN_RUNS}/{worktree_name}"


def owner_label(identity: str, owner: str) -> str:
    """Return what PLAN_LABEL says of a session: its repository, and what it is found again by there."""
    return f"{identity}/{owner}"


def session_labels(identity: str, plan_id: str, run_name: str) -> dict[str, str]:
    """Return the labels by which a plan's containers are found again."""
    return {PLAN_LABEL: owner_label(identity, plan_id), RUN_LABEL: run_name}


def run_session(folder: Path, session: SessionSpec) -> Ended:
    """Run the container at the person's terminal; whatever happens, none is left behind.

    A signal ends the session and no more: what it committed can still be imported. So it is with an engine
    that stops answering.
    """
    started = datetime.now(UTC)
    try:
        status, signalled = _watched(folder, session)
    finally:
        ignore_rest()  # what follows is short; a terminal that closes can end the session first, and us then
        refused = clear_away(session)
        drop_answers()  # those that came late
    return Ended(status, started, datetime.now(UTC), refused, signalled)


def _watched(folder: Path, session: SessionSpec) -> tuple[int, int | None]:
    try:
        with lent(), stopped_if_flooded(folder / "sessions", stop=lambda: clear_away(session)):
            status = engine.run_session(folder, session.project, {OWN_LABEL: "true"})
            signalled = ignore_rest()  # it need not have been raised
    except Signalled:
        signalled = status = ignore_rest() or 0
    return signalled or status, signalled


def clear_away(session: SessionSpec) -> Counter[str]:
    """Remove what a session has in the engine, and count what its proxy refused.

    An engine that does not answer, or removes nothing, is a warning: the session's commits are elsewhere.
    """
    refused: Counter[str] = Counter()
    try:
        refused = refused_hosts("\n".join(map(engine.container_log, _proxies(session))))
        _remove_own_containers(session.labels[PLAN_LABEL])
        if session.allowed is not None:
            _remove_idle_proxies(session.labels[PLAN_LABEL])
    except EngineError as error:
        warn(
            f"the session's containers may still be at work: {error.message}; {error.remedy}; do not run git"
            " in its worktree before they are gone"
        )
    return refused


def _proxies(session: SessionSpec) -> list[str]:
    return engine.containers_with(session.proxy_labels) if session.allowed is not None else []


def remove_leftovers(plan: str) -> None:
    """Remove the containers that a killed lw_coder left; the plan's lock says that nobody uses them."""
    _remove_own_containers(plan)
    _remove_idle_proxies(plan)


def _remove_own_containers(plan: str) -> None:
    engine.remove_containers_with({PLAN_LABEL: plan, OWN_LABEL: "true"})


def _remove_idle_proxies(plan: str) -> None:
    """Remove proxies and their networks, those of replays too, but for a replay that is at work."""
    for network, labels in engine.networks_with({PROXY_LABEL: plan}).items():
        run = {RUN_LABEL: labels[RUN_LABEL]}
        if not engine.containers_with({PLAN_LABEL: plan, **run}, only_running=True):
            engine.remove_containers(engine.containers_with({PROXY_LABEL: plan, **run}))
            engine.remove_networks([network])


def take_over(identity: str, plan_id: str, *, has_proxies: bool = True) -> None:
    """See that nobody works on a plan, and remove what killed lw_coders and replays left in the engine.

    Args:
        identity: the repository's.
        plan_id: the plan that is about to be worked on, under its lock.
        has_proxies: whether there can be proxies, and networks, of its sessions.

    Raises:
        SessionError: a replay is at work on its worktree: a container that lw_coder did not start.
        EngineError: the engine does not answer.
    """
    plan = owner_label(identity, plan_id)
    if engine.containers_with({PLAN_LABEL: plan}):
        require_no_replay(identity, plan_id)
        _remove_own_containers(plan)
    if has_proxies:
        _remove_idle_proxies(plan)


def require_idle(identity: str, owner: str) -> None:
    """Refuse to go on while any container is at work for a plan, or for a session of `lw_coder plan`.

    Raises:
        SessionError: there is one.
        EngineError: the engine does not answer.
    """
    running = engine.containers_with({PLAN_LABEL: owner_label(identity, owner)}, only_running=True)
    if running:
        raise SessionError(
            f"{owner}: a session is at work on its worktree (container {running[0][:12]})",
            f"leave that session first; where nobody is in it: docker rm --force {running[0][:12]}",
        )


def require_no_replay(identity: str, plan_id: str) -> None:
    """Refuse to go on while a replay, a container that lw_coder did not start, is at work on a plan.

    Raises:
        SessionError: there is one.
        EngineError: the engine does not answer.
    """
    plan = owner_label(identity, plan_id)
    running = set(engine.containers_with({PLAN_LABEL: plan}, only_running=True))
    replays = running - set(engine.containers_with({PLAN_LABEL: plan, OWN_LABEL: "true"}))
    if replays:
        raise SessionError(
            f"{plan_id}: a replay is at work on this plan's worktree (container {min(replays)[:12]})",
            "leave that session first",
        )


def host_user() -> str:
    """Return this process's `uid:gid`, which a session runs as."""
    return f"{os.getuid()}:{os.getgid()}"


def choose_login(values: Mapping[str, str], home: Path) -> Login:
    """Decide how the agent signs in.

    Args:
        values: the variables that the session gets.
        home: the person's home folder.

    Raises:
        EnvironmentFileError: droid is to use OpenRouter, and the session does not get its key.
    """
    login = _login(values, home)
    if login is Login.NONE and not values.get(API_KEY):
        raise EnvironmentFileError(
            f".lw_coder/config.toml: forward_env: keeps {API_KEY} out of the session, and droid has no "
            "other login",
            f'add "{API_KEY}" or "OPENROUTER_*" to forward_env in .lw_coder/config.toml',
        )
    return login


def _login(values: Mapping[str, str], home: Path) -> Login:
    if values.get("FACTORY_AIRGAP_ENABLED", "").lower() == "true":
        return Login.NONE
    if values.get("FACTORY_API_KEY"):
        return Login.API_KEY
    return Login.FILES if _login_files(home) else Login.NONE


def session_mounts(
    folder: Path, worktree: Path, git: SessionGit, tasks: Path, *, tasks_read_only: bool = True
) -> tuple[Mount, ...]:
    """List what every session mounts, whatever its command, login and configuration.

    Args:
        folder: the run's folder.
        worktree: what the agent works on.
        git: what it sees of git.
        tasks: the repository's plans.
        tasks_read_only: False where plans are what the session writes.
    """
    return (
        Mount(worktree, WORKSPACE, read_only=False),
        *(Mount(*mount) for mount in git.mounts()),
        Mount(folder / "prompts/main.md", MAIN_PROMPT),
        Mount(folder / "droids", f"{FACTORY}/droids"),
        Mount(folder / "settings.json", f"{FACTORY}/settings.json"),
        Mount(tasks, OUTPUT, read_only=tasks_read_only),
        Mount(folder / "sessions", f"{FACTORY}/sessions", read_only=False),
    )


def login_mounts(login: Login, home: Path) -> tuple[Mount, ...]:
    """List the host's login files, if the agent signs in with them."""
    if login is not Login.FILES:
        return ()
    return tuple(Mount(path, f"{FACTORY}/{path.name}") for path in _login_files(home))


def ca_mounts(ca_bundle: Path | None) -> tuple[Mount, ...]:
    """List the certificates that the session trusts, if any are configured."""
    return (Mount(ca_bundle, CA_BUNDLE),) if ca_bundle else ()


def fixed_environment(login: Login, *, has_ca_bundle: bool, has_proxy: bool = False) -> dict[str, str]:
    """Return the variables that do not come from the person."""
    fixed = {"HOME": HOME}
    if login is Login.NONE:
        fixed["FACTORY_AIRGAP_ENABLED"] = "true"
    if has_ca_bundle:
        fixed.update(dict.fromkeys(_CA_NAMES, CA_BUNDLE))
    if has_proxy:
        fixed.update(proxy_environment())
    return fixed


def allowed_hosts(
    login: Login, model: ModelAccess, configured: tuple[AllowedHost, ...] | None
) -> tuple[AllowedHost, ...] | None:
    """Add what every session needs to the hosts that it may reach; None, for any, stays."""
    if configured is None:
        return None
    agents = (host_of(model.base_url),) if login is Login.NONE else FACTORY_HOSTS
    return (*agents, CONTEXT7, *configured)


def _login_files(home: Path) -> list[Path]:
    return [path for name in _LOGIN_FILES if (path := home / ".factory" / name).is_file()]
