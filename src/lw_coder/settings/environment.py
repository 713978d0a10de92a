"""The names and values of the variables that a session gets: env file, process, forward_env.

Values never appear in a repr, an error or a file of lw_coder.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import field
from msgspec.structs import replace

from lw_coder.foundation.errors import EnvironmentFileError
from lw_coder.foundation.values import Secret
from lw_coder.settings.docker_variables import is_dropped, is_refused_from_file
from lw_coder.settings.model_access import ModelAccess

DEFAULT_ENV_FILE = ".env"
DEFAULT_BASE_URL = "https://openrouter.ai/api/v1"
DEFAULT_MODEL = "anthropic/claude-sonnet-4.5"
API_KEY, BASE_URL, MODEL = "OPENROUTER_API_KEY", "OPENROUTER_BASE_URL", "OPENROUTER_MODEL"

_LONGEST_ENV_FILE = 1_000_000  # bytes

# Always forwarded, if they are set: the agent's own variables, the proxy's, and how times and colours look.
AGENT_NAMES = ("FACTORY_API_KEY", "FACTORY_AIRGAP_ENABLED")
PROXY_NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
DISPLAY_NAMES = ("TZ", "COLORTERM")

# A pattern never forwards these: they would break the container, or affect the docker client. Their
# exact names do.
_NEVER_BY_PATTERN = (
    "PATH",
    "HOME",
    "PWD",
    "OLDPWD",
    "SHLVL",
    "_",
    "TMPDIR",
    "LD_*",
    "DOCKER_*",
    "COMPOSE_*",
    "BUILDX_*",
    "BUILDKIT_*",
    "BAKE_*",
)

_BUILD_ARGS = ".lw_coder/config.toml: docker_build_args"

_CREDENTIALS_REMEDY = (
    f"put {API_KEY}=<your key from openrouter.ai/keys> into {{where}}; to change the "
    f"defaults, set {BASE_URL} and {MODEL}"
)


class SessionEnvironment(Secret, frozen=True):
    """The variables of a session.

    Attributes:
        env_file: absolute path of the env file, or None if there is none.
        names: sorted names of the variables that the container gets.
        values: their values; the process environment takes precedence over the env file.
        known: all variables of the file and the process.
        model: access to OpenRouter, or to a compatible server.
    """

    env_file: Path | None
    names: tuple[str, ...]
    model: ModelAccess
    values: Mapping[str, str]
    known: Mapping[str, str] = field(default_factory=dict)

    def without(self, name: str) -> SessionEnvironment:
        """Return the same without a variable that no session gets."""
        names = tuple(each for each in self.names if each != name)
        return replace(self, names=names, values={each: self.values[each] for each in names})

    def with_deadline(self, seconds: float) -> SessionEnvironment:
        """Return the same with another time limit for the model that writes the prompts."""
        return replace(self, model=replace(self.model, deadline=seconds))


def load_environment(
    root: Path, env_file: str | None, forward: Iterable[str], process: Mapping[str, str]
) -> SessionEnvironment:
    """Read the env file and select the session's variables.

    Args:
        root: the repository's root, which a relative `env_file` is relative to.
        env_file: the configured path; None for `.env` if it exists.
        forward: names or shell patterns (`forward_env`).
        process: this process's environment, which takes precedence over the file.

    Raises:
        EnvironmentFileError: the file, or the model's key or URL, is missing or invalid.
    """
    path = _env_path(root, env_file)
    own = read_env_file(path) if path else {}
    _refuse_hidden_key(own, process, path)
    values = {**own, **process}
    chosen = {name: value for name, value in values.items() if _is_forwarded(name, tuple(forward))}
    return SessionEnvironment(path, tuple(sorted(chosen)), _model_access(values, path), chosen, values)


def has_key(root: Path, env_file: str | None, process: Mapping[str, str]) -> bool:
    """Return whether the model's key is set, in the env file or the process."""
    try:
        return bool(load_environment(root, env_file, (), process).model.api_key)
    except EnvironmentFileError:
        return False


def refuse_dropped(names: Iterable[str], process: Mapping[str, str]) -> None:
    """Refuse to forward a variable of the shell that would change what docker does.

    Raises:
        EnvironmentFileError: there is one; docker does not get it, so the session would not get it either.
    """
    for name in names:
        if name in process and is_dropped(name):
            raise EnvironmentFileError(
                f".lw_coder/config.toml: {name}: changes what docker does, so the shell's is not passed on",
                f'write its value: "--env", "{name}=..." in docker_run_args',
            )


def build_variables(
    environment: SessionEnvironment, names: Iterable[str], process: Mapping[str, str]
) -> dict[str, str]:
    """Return the variables that docker_build_args take from the environment.

    Args:
        environment: where their values are.
        names: their names.
        process: this process's environment.

    Raises:
        EnvironmentFileError: a variable is set nowhere, so the build would silently get an empty value; or it
            would change what docker does.
    """
    for name in names:
        if name not in environment.known:
            raise _nowhere(name, environment.env_file.name if environment.env_file else DEFAULT_ENV_FILE)
        if is_dropped(name) or (name not in process and is_refused_from_file(name)):
            raise EnvironmentFileError(
                f"{_BUILD_ARGS}: {name}: changes what docker does, so no build takes it from the environment",
                "give the build argument, or the secret's variable, another name",
            )
    return {name: environment.known[name] for name in names}


def _nowhere(name: str, where: str) -> EnvironmentFileError:
    return EnvironmentFileError(
        f"{_BUILD_ARGS}: {name}: is set neither in {where} nor in the environment",
        f"put {name}=... into {where}, or remove it from docker_build_args",
    )


def _env_path(root: Path, configured: str | None) -> Path | None:
    path = root / Path(configured or DEFAULT_ENV_FILE).expanduser()
    if path.is_file():
        return path
    if configured is None:
        return None
    problem = "is not a file" if path.exists() else "file not found"
    raise EnvironmentFileError(
        f".lw_coder/config.toml: env_file: {configured}: {problem}",
        "create it, or correct env_file in .lw_coder/config.toml",
    )


def read_env_file(path: Path) -> dict[str, str]:
    """Read the variables of an env file, literally.

    Raises:
        EnvironmentFileError: it cannot be read, is not text, or is too long.
    """
    from dotenv import dotenv_values

    try:
        if path.stat().st_size > _LONGEST_ENV_FILE:
            raise EnvironmentFileError(
                f"{path.name}: is longer than {_LONGEST_ENV_FILE} bytes", "remove everything except variables"
            )
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise EnvironmentFileError(
            f"{path.name}: cannot be read: {error.strerror}", "check its permissions"
        ) from error
    except UnicodeDecodeError:
        raise EnvironmentFileError(f"{path.name}: is not UTF-8 text", "save it as UTF-8") from None
    # If it cannot parse a line, Compose rejects it with the line's number.
    logging.getLogger("dotenv").setLevel(logging.CRITICAL)
    # Not interpolated: a `$` in a key is part of the key.
    values = dotenv_values(stream=io.StringIO(text), interpolate=False)
    return {name: value for name, value in values.items() if value is not None}


def _is_forwarded(name: str, patterns: tuple[str, ...]) -> bool:
    if name in AGENT_NAMES + PROXY_NAMES + DISPLAY_NAMES:
        return True
    return any(_matches(name, pattern) for pattern in patterns)


def _matches(name: str, pattern: str) -> bool:
    if name == pattern:
        return True
    return fnmatchcase(name, pattern) and not any(fnmatchcase(name, never) for never in _NEVER_BY_PATTERN)


def _refuse_hidden_key(own: Mapping[str, str], process: Mapping[str, str], path: Path | None) -> None:
    is_empty = API_KEY in process and not process[API_KEY].strip()
    if path and is_empty and own.get(API_KEY, "").strip():
        raise EnvironmentFileError(
            f"{API_KEY}: is empty in the environment, which overrides {path.name}",
            f"type `unset {API_KEY}`, or give it a value",
        )


def _model_access(values: Mapping[str, str], path: Path | None) -> ModelAccess:
    where = path.name if path else DEFAULT_ENV_FILE
    key = values.get(API_KEY, "").strip()
    if not key:
        raise EnvironmentFileError(
            f"{API_KEY}: is set neither in {where} nor in the environment",
            _CREDENTIALS_REMEDY.format(where=where),
        )
    base_url = (values.get(BASE_URL) or DEFAULT_BASE_URL).rstrip("/")
    _check_url(base_url)
    return ModelAccess(values.get(MODEL) or DEFAULT_MODEL, base_url, key)


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # its text repeats the URL
        is_address = False
    if not is_address:
        raise EnvironmentFileError(
            f"{BASE_URL}: is not an http(s) URL", f"use a URL such as {DEFAULT_BASE_URL}"
        ) from None
    if parts.username or parts.password:
        raise EnvironmentFileError(
            f"{BASE_URL}: contains a user name or password", f"put the key into {API_KEY} only"
        )
    if "?" in url or "#" in url:
        raise EnvironmentFileError(
            f"{BASE_URL}: contains a query or a fragment",
            f"end it with its path, and put the key into {API_KEY} only",
        )
