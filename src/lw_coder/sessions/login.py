"""How droid signs in: with a key, with the login files of this machine, or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from urllib.parse import urlsplit

from lw_coder.containers.specs import Mount
from lw_coder.foundation.errors import EnvironmentFileError
from lw_coder.sessions.container_paths import FACTORY, POLICY
from lw_coder.settings.docker_flags import RunOptions
from lw_coder.settings.environment import API_KEY, BASE_URL
from lw_coder.settings.model_access import ModelAccess

POLICY_FILE = "policy.json"  # of a run

_LOGIN_FILES = ("auth.json", "auth.v2.file", "auth.v2.key")


class Login(Enum):
    """How the agent is signed in, in order of preference; the values are shown to the person."""

    API_KEY = "signed in with FACTORY_API_KEY"
    FILES = "signed in with this machine's Factory login; once it has expired, sign in with droid here again"
    NONE = "no Factory login, so droid runs air-gapped with the OpenRouter model"


def choose_login(values: Mapping[str, str], home: Path) -> Login:
    """Decide how the agent signs in.

    Args:
        values: the variables that the session gets.
        home: the person's home folder.

    Raises:
        EnvironmentFileError: droid has to use OpenRouter, but its key is not forwarded.
    """
    login = _login(values, home)
    if login is Login.NONE and not values.get(API_KEY):
        raise EnvironmentFileError(
            f".lw_coder/config.toml: forward_env: does not forward {API_KEY}, and droid has no other login",
            f'add "{API_KEY}" or "OPENROUTER_*" to forward_env in .lw_coder/config.toml',
        )
    return login


def has_login(values: Mapping[str, str], home: Path) -> bool:
    """Return whether the agent would sign in with Factory.

    Args:
        values: the variables that a session would get.
        home: the person's home folder.
    """
    return _login(values, home) is not Login.NONE


def require_reachable_model(login: Login, model: ModelAccess, options: RunOptions) -> None:
    """Raise an error if droid is to use a model on this machine's loopback, which a container has of its own.

    Raises:
        EnvironmentFileError: the prompts can be written, but the session cannot reach the model.
    """
    host = urlsplit(model.base_url).hostname or ""
    is_loopback = host in {"localhost", "::1"} or host.startswith("127.")
    if login is Login.NONE and is_loopback and options.keys.get("network_mode") != "host":
        raise EnvironmentFileError(
            f"{BASE_URL}: a session's container cannot reach {host} of this machine",
            "let the server listen on Docker's bridge, usually 172.17.0.1, and write that address; "
            "`lw_coder docs openrouter-and-login` explains it",
        )


def _login(values: Mapping[str, str], home: Path) -> Login:
    if values.get("FACTORY_AIRGAP_ENABLED", "").lower() == "true":
        return Login.NONE
    if values.get("FACTORY_API_KEY"):
        return Login.API_KEY
    return Login.FILES if _login_files(home) else Login.NONE


def policy_mounts(login: Login, folder: Path) -> tuple[Mount, ...]:
    """List the managed settings; with a Factory login they would stand in for those of its organisation."""
    return (Mount(folder / POLICY_FILE, POLICY),) if login is Login.NONE else ()


def login_mounts(login: Login, home: Path) -> tuple[Mount, ...]:
    """List the host's login files, if the agent signs in with them."""
    if login is not Login.FILES:
        return ()
    return tuple(Mount(path, f"{FACTORY}/{path.name}") for path in _login_files(home))


def _login_files(home: Path) -> list[Path]:
    return [path for name in _LOGIN_FILES if (path := home / ".factory" / name).is_file()]
