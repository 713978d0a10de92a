"""The variables of a person's shell that docker's clients read: which of them lw_coder passes on.

One table for builds, sessions and queries. Variables that choose an engine, or hold its credentials, are
passed on. Those that change what is built or run are not: a session's Compose files alone decide that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any


class Use(Enum):
    """What becomes of a variable when docker is called."""

    KEPT = "kept"
    DROPPED = "dropped"  # with a warning
    IGNORED = "dropped silently"  # it only changes what a client prints, or how fast it is


@dataclass(frozen=True)
class Rule:
    """What is decided about some variables, and why.

    Attributes:
        names: their names, or shell patterns for several.
        use: what becomes of them.
        reason: why.
    """

    names: tuple[str, ...]
    use: Use
    reason: str

    def covers(self, name: str) -> bool:
        """Tell whether the rule is about this variable."""
        return any(fnmatchcase(name, pattern) for pattern in self.names)


# The first rule that covers a variable decides. The last ones decide about what is not known today.
RULES = (
    Rule(
        ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_API_VERSION"),
        Use.KEPT,
        "choose the engine and its API version",
    ),
    Rule(
        ("DOCKER_CONFIG", "DOCKER_CERT_PATH", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CUSTOM_HEADERS"),
        Use.KEPT,
        "credentials for the engine",
    ),
    Rule(("DOCKER_AUTH_CONFIG",), Use.KEPT, "credentials for registries"),
    Rule(
        ("DOCKER_CONTENT_TRUST*", "EXPERIMENTAL_BUILDKIT_SOURCE_POLICY"),
        Use.KEPT,
        "your rules about what may be pulled",
    ),
    Rule(("BUILDX_CONFIG",), Use.KEPT, "buildx's own folder; lw_coder names the builder itself"),
    Rule(
        ("DOCKER_BUILDKIT", "COMPOSE_DOCKER_CLI_BUILD"),
        Use.DROPPED,
        "the classic builder ignores the ignore file, and would copy .env into the image",
    ),
    Rule(
        ("COMPOSE_BAKE", "BUILDX_BUILDER", "BUILDKIT_HOST", "BUILDX_NO_DEFAULT_LOAD"),
        Use.DROPPED,
        "choose another builder, which may not have the base image, or may not load its result",
    ),
    Rule(
        ("COMPOSE_ENV_FILES", "COMPOSE_DISABLE_ENV_FILE"),
        Use.DROPPED,
        "variables come from env_file and the shell only",
    ),
    Rule(
        ("COMPOSE_PROJECT_NAME", "COMPOSE_REMOVE_ORPHANS", "COMPOSE_IGNORE_ORPHANS", "COMPOSE_COMPATIBILITY"),
        Use.DROPPED,
        "each run is its own project; in a shared one it would remove what another run uses",
    ),
    Rule(
        ("COMPOSE_FILE", "COMPOSE_PATH_SEPARATOR", "COMPOSE_PROFILES", "COMPOSE_CONVERT_WINDOWS_PATHS"),
        Use.DROPPED,
        "each run has its own Compose files",
    ),
    Rule(
        ("DOCKER_DEFAULT_PLATFORM",),
        Use.DROPPED,
        "use --platform in docker_build_args and docker_run_args, which replays use too",
    ),
    Rule(
        ("BUILDX_NO_DEFAULT_ATTESTATIONS", "BUILDX_NO_DEFAULT_OCI_ARTIFACT"),
        Use.DROPPED,
        "make a different image from the same files",
    ),
    Rule(
        ("SOURCE_DATE_EPOCH",),
        Use.IGNORED,
        "likewise; a build that has it as a --build-arg gets it",
    ),
    Rule(
        ("COMPOSE_ANSI", "COMPOSE_MENU", "COMPOSE_PROGRESS", "COMPOSE_STATUS_STDOUT", "BUILDKIT_COLORS"),
        Use.IGNORED,
        "change what a client prints, which lw_coder reads or logs",
    ),
    Rule(
        ("BUILDKIT_PROGRESS", "BUILDKIT_TTY_LOG_LINES", "DOCKER_CLI_HINTS", "DOCKER_CLI_HOOKS"),
        Use.IGNORED,
        "likewise",
    ),
    Rule(
        ("DOCKER_HIDE_LEGACY_COMMANDS", "DOCKER_COMPLETION_*", "DOCKER_CLI_DISABLE_*"),
        Use.IGNORED,
        "change what a client prints",
    ),
    Rule(
        ("DOCKER_CLI_PLUGIN_*", "DOCKER_CLI_EXPERIMENTAL"),
        Use.IGNORED,
        "docker sets them for its plugins",
    ),
    Rule(
        ("COMPOSE_PARALLEL_LIMIT", "BUILDX_GIT_*", "BUILDX_CPU_PROFILE", "BUILDX_MEM_PROFILE"),
        Use.IGNORED,
        "lw_coder builds one image at a time, without the branch's name or a profile",
    ),
    Rule(
        ("OTEL_*", "DOCKER_CLI_OTEL_*"),
        Use.IGNORED,
        "an unreachable collector of traces would delay every call; a session gets those that it forwards",
    ),
    Rule(
        ("COMPOSE_*", "BUILDX_*", "BUILDKIT_*", "BAKE_*", "DOCKER_*"),
        Use.DROPPED,
        "variables that are not in this table are not passed on",
    ),
)

_BEGINNINGS = tuple({name.partition("_")[0] for rule in RULES for name in rule.names})

# Go's own (GODEBUG, GOMAXPROCS, ...), proxies, certificates, HOME and PATH are in no rule: they are how a
# client runs and reaches an engine.
_SET = {
    "DOCKER_BUILDKIT": "1",  # also where the engine's own configuration asks for the classic builder
    # Compose's own builder, while it has one, takes half the time of Bake, a plugin with a start of its own.
    "COMPOSE_BAKE": "false",
    # Nobody asks an image for the repository's branch and remote, which seven calls of git would tell it.
    "BUILDX_GIT_INFO": "false",
}
_CLIENTS_OWN = ("PATH", "HOME", "TMPDIR", "XDG_*", "LD_*", "DYLD_*", "GODEBUG", "SSL_CERT_*", "SSH_AUTH_SOCK")
_UNLESS_SET = {
    # A client ends before it has made much garbage; with Go's usual 100, a fifth of its time is collecting.
    "GOGC": "400",
}


def rule_for(name: str) -> Rule | None:
    """Return the rule that decides about a variable; None for what docker's clients do not read."""
    if not name.startswith(
        _BEGINNINGS
    ):  # as nearly all: patterns are slow, and asked for at each call of docker
        return None
    return next((rule for rule in RULES if rule.covers(name)), None)


def steers(name: str) -> bool:
    """Tell whether a variable would change what is built or run."""
    rule = rule_for(name)
    return rule is not None and rule.use is Use.DROPPED


def steering(process: Mapping[str, str]) -> tuple[str, ...]:
    """List the variables of an environment that would change what is built or run, and are not passed on."""
    return tuple(sorted(filter(steers, process)))


def steers_from_file(name: str) -> bool:
    """Tell whether a variable must not get from an env file into the environment of docker's clients."""
    rule = rule_for(name)
    return (rule is not None and rule.use is not Use.IGNORED) or any(
        fnmatchcase(name, pattern) for pattern in _CLIENTS_OWN
    )


def client_environment(process: Mapping[str, str], named_in: str = "") -> dict[str, str]:
    """Return the environment that docker's clients get.

    Args:
        process: this process's.
        named_in: text of Compose files. A variable that they name goes on to a build or a session, and is the
            person's there.
    """
    kept = {name: value for name, value in process.items() if not _is_taken(name, named_in)}
    own = {**{name: value for name, value in _UNLESS_SET.items() if name not in process}, **_SET}
    builder = {"BUILDX_BUILDER": engines_own_builder(process)}
    return {**kept, **{name: value for name, value in {**own, **builder}.items() if name not in named_in}}


def _is_taken(name: str, named_in: str) -> bool:
    rule = rule_for(name)
    if rule is None or rule.use is Use.KEPT:
        return False
    return rule.use is Use.DROPPED or name not in named_in


def engines_own_builder(process: Mapping[str, str]) -> str:
    """Name the builder that is a part of the engine, and has its images: buildx calls it as the context.

    One that was chosen by `docker buildx use` has not, and a build FROM the base image would fail.
    """
    if process.get("DOCKER_HOST"):
        return "default"
    return process.get("DOCKER_CONTEXT") or client_config(process).get("currentContext") or "default"


def config_folder(process: Mapping[str, str]) -> Path:
    """Return the folder of docker's client configuration, which may not be there."""
    return Path(process.get("DOCKER_CONFIG") or Path.home() / ".docker")


def client_config(process: Mapping[str, str]) -> dict[str, Any]:
    """Read config.json of docker's client; where it is missing or damaged, docker says so itself."""
    try:
        config = json.loads((config_folder(process) / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}


def client_call(process: Mapping[str, str], environment: Mapping[str, str]) -> list[str]:
    """Return the words that start docker with an environment of its own, for who cannot pass one.

    Only names, and values of lw_coder's own, stand in them.
    """
    import shutil

    removed = [word for name in process if name not in environment for word in ("-u", name)]
    added = [f"{name}={value}" for name, value in environment.items() if process.get(name) != value]
    if not shutil.which("docker"):
        return ["docker"]  # env would not say what is missing
    return ["env", *removed, *added, "docker"] if removed or added else ["docker"]
