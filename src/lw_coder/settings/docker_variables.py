"""Which of the shell's variables lw_coder passes on to docker.

One table for builds, sessions and queries. Variables that choose an engine, or hold its credentials, are
passed on. Those that change what is built or run are not: a session's Compose files alone decide that.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from msgspec import Struct

from lw_coder.foundation.json_text import read_json


class Use(Enum):
    """Whether docker gets a variable."""

    KEPT = "kept"
    DROPPED = "dropped"  # with a warning
    IGNORED = "dropped silently"  # without a warning: it only changes a client's output or speed


class Rule(Struct, frozen=True):
    """A rule for some variables.

    Attributes:
        names: names of variables, or beginnings of names that end with a star.
        use: whether docker gets them.
        reason: the reason for that.
    """

    names: tuple[str, ...]
    use: Use
    reason: str

    def covers(self, name: str) -> bool:
        """Return whether the rule applies to this variable."""
        return any(name == each or (each[-1] == "*" and name.startswith(each[:-1])) for each in self.names)


# The first rule that covers a variable applies. The last rule is for variables that are not known today.
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
    Rule(("BUILDX_CONFIG",), Use.KEPT, "buildx's own folder; lw_coder chooses the builder itself"),
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
        "each run is a project of its own; in a shared project, one run could remove another's containers",
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
        "makes a different image from the same files; a build with it as a --build-arg still gets it",
    ),
    Rule(
        ("COMPOSE_ANSI", "COMPOSE_MENU", "COMPOSE_PROGRESS", "COMPOSE_STATUS_STDOUT", "BUILDKIT_COLORS"),
        Use.IGNORED,
        "change what a client prints, which lw_coder reads or logs",
    ),
    Rule(
        ("BUILDKIT_PROGRESS", "BUILDKIT_TTY_LOG_LINES", "DOCKER_CLI_HINTS", "DOCKER_CLI_HOOKS"),
        Use.IGNORED,
        "change what a client prints, which lw_coder reads or logs",
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
        "have no use: lw_coder builds one image at a time, and records neither the branch nor a profile",
    ),
    Rule(
        ("OTEL_*", "DOCKER_CLI_OTEL_*"),
        Use.IGNORED,
        "an unreachable trace collector would delay every docker command; forward_env still applies to them",
    ),
    Rule(
        ("COMPOSE_*", "BUILDX_*", "BUILDKIT_*", "BAKE_*", "DOCKER_*"),
        Use.DROPPED,
        "variables that are not in this table are not passed on",
    ),
)

_BEGINNINGS = tuple({name.partition("_")[0] for rule in RULES for name in rule.names})

# No rule covers Go's own variables (GODEBUG, GOMAXPROCS, ...), proxies, certificates, HOME and PATH: docker's
# clients need them to run and to reach an engine.
_SET = {
    "DOCKER_BUILDKIT": "1",  # even if docker's configuration selects the classic builder
    # Compose's own builder takes half the time of Bake, which is a separate process.
    "COMPOSE_BAKE": "false",
    # Otherwise buildx calls git seven times, to record the branch and the remote in the image.
    "BUILDX_GIT_INFO": "false",
}
_CLIENTS_OWN = ("PATH", "HOME", "TMPDIR", "XDG_*", "LD_*", "DYLD_*", "GODEBUG", "SSL_CERT_*", "SSH_AUTH_SOCK")
_UNLESS_SET = {
    # Clients are short-lived: with Go's default of 100, a fifth of their time is garbage collection.
    "GOGC": "400",
}


def rule_for(name: str) -> Rule | None:
    """Return the rule that applies to a variable, or None if docker's clients do not read it."""
    if not name.startswith(_BEGINNINGS):  # true for nearly all, and faster than matching the patterns
        return None
    return next((rule for rule in RULES if rule.covers(name)), None)


def is_dropped(name: str) -> bool:
    """Return whether docker does not get a variable, because it would change what is built or run."""
    rule = rule_for(name)
    return rule is not None and rule.use is Use.DROPPED


def dropped_variables(process: Mapping[str, str]) -> tuple[str, ...]:
    """List the variables of an environment that are dropped with a warning."""
    return tuple(sorted(filter(is_dropped, process)))


def is_refused_from_file(name: str) -> bool:
    """Return whether docker's clients must not get a variable from an env file."""
    rule = rule_for(name)
    return (rule is not None and rule.use is not Use.IGNORED) or any(
        fnmatchcase(name, pattern) for pattern in _CLIENTS_OWN
    )


def client_environment(process: Mapping[str, str], named_in: str = "") -> dict[str, str]:
    """Return the environment that docker's clients get.

    Args:
        process: this process's.
        named_in: text of Compose files. A variable that they name is passed on to a build or a session, with
            the user's value.
    """
    kept = {name: value for name, value in process.items() if not _is_removed(name, named_in)}
    own = {**{name: value for name, value in _UNLESS_SET.items() if name not in process}, **_SET}
    builder = {"BUILDX_BUILDER": engines_own_builder(process)}
    return {**kept, **{name: value for name, value in {**own, **builder}.items() if name not in named_in}}


def _is_removed(name: str, named_in: str) -> bool:
    rule = rule_for(name)
    if rule is None or rule.use is Use.KEPT:
        return False
    return rule.use is Use.DROPPED or name not in named_in


def engines_own_builder(process: Mapping[str, str]) -> str:
    """Return the name of the engine's own builder, which is the name of the docker context.

    A builder chosen with `docker buildx use` does not have the engine's images, so a build FROM the base
    image would fail.
    """
    if process.get("DOCKER_HOST"):
        return "default"
    return process.get("DOCKER_CONTEXT") or client_config(process).get("currentContext") or "default"


def config_folder(process: Mapping[str, str]) -> Path:
    """Return the folder of docker's client configuration, which may not exist."""
    return Path(process.get("DOCKER_CONFIG") or Path.home() / ".docker")


def client_config(process: Mapping[str, str]) -> dict[str, Any]:
    """Read config.json of docker's client; return {} if it is missing or damaged: docker reports that."""
    try:
        config = read_json((config_folder(process) / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}


def client_call(process: Mapping[str, str], environment: Mapping[str, str]) -> list[str]:
    """Return a command line that starts docker with a given environment.

    It contains only names, and values that lw_coder itself sets.
    """
    import shutil

    removed = [word for name in process if name not in environment for word in ("-u", name)]
    added = [f"{name}={value}" for name, value in environment.items() if process.get(name) != value]
    if not shutil.which("docker"):
        return ["docker"]  # `env` would not say that docker is missing
    return ["env", *removed, *added, "docker"] if removed or added else ["docker"]
