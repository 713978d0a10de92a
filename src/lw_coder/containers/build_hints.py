"""Known causes of failed builds: what tools print then, and what to do about it."""

from __future__ import annotations

import re
from typing import NamedTuple


class _Cause(NamedTuple):
    signs: tuple[str, ...]  # regular expressions, whatever the case
    hint: str


def find_hint(printed: str) -> str:
    """Say what to do about the cause that a build's output shows; empty if it is not a known one."""
    return next((cause.hint for cause in _CAUSES if _is_shown(cause, printed)), "")


def _is_shown(cause: _Cause, printed: str) -> bool:
    return any(re.search(sign, printed, re.IGNORECASE) for sign in cause.signs)


# The first that is shown counts. A status is the last resort: many causes have the same.
_CAUSES = (
    _Cause(
        (
            "certificate.?verif",
            "self.signed certificate",
            "SELF_SIGNED_CERT",
            "unable.to.get.(local.)?issuer.cert",
            "SSL certificate problem",
            "UnknownIssuer",
            "x509: ",
            "PKIX path building",
        ),
        "that step does not trust your network's certificates: set ca_bundle in .lw_coder/config.toml, and "
        "mount the secret ca_bundle in that step, as `lw_coder docs recipes` shows",
    ),
    _Cause(
        (
            "temporary failure (in name resolution|resolving)",
            "could ?n[o']t resolve",
            "EAI_AGAIN",
            "ENOTFOUND",
            "name or service not known",
            "no such host",
            "failed to lookup address",
        ),
        "the build cannot resolve that host's name: check the network and DNS of the Docker engine, or set "
        "HTTPS_PROXY",
    ),
    _Cause(
        ("no space left on device", "ENOSPC"), "the disk is full: docker system df shows what Docker uses"
    ),
    _Cause(
        ("exit code: 137", "signal: killed", "cannot allocate memory"),
        "the build was killed, probably because memory ran out: build with fewer jobs at once",
    ),
    _Cause(
        ("unable to find user ",),
        "the image does not have that user: remove the USER line; sessions run as you in any case",
    ),
    _Cause(
        ("unknown option '?--transport",),
        "droid has no --transport any more: remove that step, the base image has context7",
    ),
    _Cause(
        ("unable to locate package", "has no installation candidate"),
        "run apt-get update in the same step, and use the package's name in Debian trixie",
    ),
    _Cause(
        ("externally.managed.environment",),
        "Debian's pip installs only into a virtual environment: python3 -m venv /opt/venv, and use its pip",
    ),
    _Cause(
        (
            r"command '?\S*(gcc|cc|g\+\+)\S*'? failed: no such file",
            "linker `cc` not found",
            r"Python\.h: no such file",
            '"?gcc"?: (executable file )?not found',
        ),
        "a package is compiled: install build-essential (for Python, python3-dev too) in an earlier step",
    ),
    _Cause(
        ("npm ci` (command )?can only install",),
        "package-lock.json is missing or out of date: type npm install, and commit package-lock.json",
    ),
    _Cause(
        (
            "lock ?file .*needs to be updated",
            "unable to find lockfile",
            r"pnpm-lock\.yaml is (absent|not up to date)",
            "ERR_PNPM_(NO|OUTDATED)_LOCKFILE",
            r"poetry\.lock was last generated",
            "changed significantly since poetry.lock",
        ),
        "the lock file is missing or out of date: type uv lock, poetry lock, pnpm install or cargo update",
    ),
    _Cause(
        (
            "requires go >= ",
            r"requires rustc \d",
            "requires a different python",
            "not satisfy Python",
            "incompatible with the project's Python requirement",
        ),
        "the project needs another version of the language: install that one in .lw_coder/code.Dockerfile",
    ),
    _Cause(
        ("failed to calculate checksum", "failed to compute cache key"),
        "that file is not in the build context: check its path and .lw_coder/.dockerignore; .env files and "
        ".git never are in it",
    ),
    _Cause(
        ("failed to resolve source metadata", "pull access denied"),
        "that image cannot be fetched: check its name in FROM, and that its registry can be reached",
    ),
    _Cause(
        (r"exit code: 127\b",),
        "a command of that step is not in the image: install it in an earlier step",
    ),
)
