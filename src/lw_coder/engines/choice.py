"""Which engine a session runs on, and what a remote one requires."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from lw_coder.engines.node_session import require_portable
from lw_coder.engines.node_variables import require_exportable
from lw_coder.foundation.errors import ConfigError, GitError
from lw_coder.repository.importing.commits import ImportResult
from lw_coder.repository.importing.uncommitted import find_uncommitted
from lw_coder.repository.incomplete_worktrees import quoted
from lw_coder.sessions.login import Login
from lw_coder.settings.config import CONFIG_FILE

if TYPE_CHECKING:
    from lw_coder.containers.early_compose import EarlyCompose
    from lw_coder.engines.interface import SessionEngine
    from lw_coder.repository.worktrees import Worktree
    from lw_coder.sessions.context import SessionContext
    from lw_coder.sessions.setup import SessionSetup
    from lw_coder.settings.config import CodeConfig, SwarmConfig

_HERE = "or run the session on this machine with --engine local"


def require_remote(context: SessionContext) -> None:
    """Check that a session with these settings can run on a node.

    Raises:
        ConfigError: it cannot.
    """
    require_cluster(context.config)
    if context.login is Login.FILES:
        raise ConfigError(
            "the agent signs in with this machine's login files, which a node lacks",
            f"use FACTORY_API_KEY or a model of your own, {_HERE}",
        )
    require_portable(context.config.run_options)
    require_exportable((*context.environment.names, *context.config.run_options.variables))


def require_cluster(config: CodeConfig) -> SwarmConfig:
    """Return the settings of the cluster, if those that sessions there need are complete.

    Raises:
        ConfigError: they are not.
    """
    if config.swarm is None:
        raise ConfigError(
            f'{CONFIG_FILE}: engine "swarm" needs a registry, which this machine and all nodes reach',
            f'add the lines [code.swarm] and registry = "registry.example.com/team", {_HERE}',
        )
    if config.allow_hosts is None:
        raise ConfigError(
            f"{CONFIG_FILE}: allow_hosts: is not set; on a node, a session without it could reach the"
            " registry and the cluster's ports",
            f"add allow_hosts = [] with the hosts that the session needs besides its model, {_HERE}",
        )
    return config.swarm


def require_committed(worktree: Worktree) -> None:
    """Check that a worktree has nothing that would stay behind.

    Raises:
        GitError: there are files that are not committed.
    """
    left = find_uncommitted(worktree, ImportResult())
    if left:
        git = f"git -C {quoted(worktree.path)}"
        raise GitError(
            f"{worktree.path}: has {left.count} uncommitted files, which do not travel to a node",
            f"type: {git} add --all && {git} commit, {_HERE}",
        )


def engine_for(
    setup: SessionSetup, early: EarlyCompose, try_again: Callable[[str], bool], *, is_remote: bool
) -> SessionEngine:
    """Return the engine that a headless session runs on.

    Args:
        setup: the session's folders; its run is sealed.
        early: may have started the session's client on this machine.
        try_again: asked with a node's name when that is down; returns whether to start a second attempt.
        is_remote: whether it runs on a node.
    """
    if not is_remote or setup.context.config.swarm is None:
        from lw_coder.engines.local import LocalEngine

        return LocalEngine(early)
    from lw_coder.engines.swarm import SwarmEngine

    return SwarmEngine(setup, setup.context.config.swarm, try_again)
