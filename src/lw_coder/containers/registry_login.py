"""The login for a registry, as docker's client has it: in its configuration, or in a credential helper."""

from __future__ import annotations

import base64
import subprocess
from binascii import Error as Base64Error
from collections.abc import Mapping
from typing import Any

from lw_coder.foundation.json_text import read_json
from lw_coder.foundation.processes import awaited, starting_group
from lw_coder.foundation.signals import interruptible
from lw_coder.settings.docker_variables import client_config

_FOREIGN = "DOCKER_AUTH_CONFIG"  # docker's own variable for a configuration in memory


def find_login(host: str, process: Mapping[str, str]) -> tuple[str, str] | None:
    """Find the user and the password for a registry; None if docker has none. Both are secret.

    Args:
        host: `host` or `host:port`, as in the names of its images.
        process: this process's environment.
    """
    config = {**client_config(process), **_in_memory(process)}
    helpers, store = _table(config, "credHelpers"), config.get("credsStore")
    if helper := helpers.get(host) or store:
        return _from_helper(str(helper), host, process)
    entry = _table(config, "auths").get(host) or _table(config, "auths").get(f"https://{host}")
    return _from_entry(entry) if isinstance(entry, dict) else None


def _in_memory(process: Mapping[str, str]) -> dict[str, Any]:
    try:
        found = read_json(process.get(_FOREIGN) or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _table(config: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = config.get(key)
    return found if isinstance(found, dict) else {}


def _from_entry(entry: Mapping[str, Any]) -> tuple[str, str] | None:
    try:
        told = base64.b64decode(str(entry.get("auth") or ""), validate=True).decode()
    except (Base64Error, UnicodeDecodeError):
        return None
    user, colon, password = told.partition(":")
    return (user, password.rstrip("\0")) if colon else None


def _from_helper(helper: str, host: str, process: Mapping[str, str]) -> tuple[str, str] | None:
    """Ask a credential helper, which reads the host on its standard input and prints JSON."""
    try:
        with starting_group():
            asked = subprocess.Popen(
                [f"docker-credential-{helper}", "get"],
                env=dict(process),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                process_group=0,
            )
    except OSError:
        return None
    with awaited(asked), interruptible():
        told, _ = asked.communicate(host.encode())
    return _helpers_answer(told) if asked.returncode == 0 else None


def _helpers_answer(told: bytes) -> tuple[str, str] | None:
    try:
        found = read_json(told)
        return str(found["Username"]), str(found["Secret"])
    except (ValueError, KeyError, TypeError):
        return None
