"""`.lw_coder/config.toml`, the repository's own settings. Its reference is docs/configuration.md."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from lw_coder.foundation.errors import ConfigError
from lw_coder.foundation.nesting import DEEPEST, bracket_depth
from lw_coder.foundation.report import is_utf8, printable
from lw_coder.settings.allowed_hosts import AllowedHost, parse_host
from lw_coder.settings.check_commands import check_problem
from lw_coder.settings.docker_flags import BuildOptions, RunOptions, parse_build_flags, parse_run_flags
from lw_coder.settings.environment import API_KEY
from lw_coder.settings.limits import Limits, require_known
from lw_coder.settings.model_access import DEADLINE, OUTPUT_TOKENS

CONFIG_FILE = Path(".lw_coder/config.toml")
DEFAULT_FORWARD_ENV = ("OPENROUTER_*",)

Dollars = Annotated[float, msgspec.Meta(ge=0, le=1e6)]

_TABLE = "code"
_MOST_MINUTES = 1440
_EMPTY_CONFIG = "the line [code] is enough"
_SEE_SCHEMA = "`lw_coder docs configuration` has the schema"
_LONGEST = 100_000  # bytes
_SLOT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_DAY = 86_400  # seconds
_LONGEST_HOLD = 240  # seconds; without a first byte, droid asks again after 300
_FEWEST_TOKENS, _MOST_TOKENS = 256, 1_000_000
_TOML_TERMS = ((" | null", ""), ("Object contains unknown field", "unknown key"), ("`object`", "`table`"))
# tomllib's time grows with the square of a dotted key's length, and more.
_LONG_KEY = re.compile(r"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){50}""")


class Price(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """US dollars for a million tokens of a model: of the prompt, of the answer, and of a cached prompt."""

    input: Dollars
    output: Dollars
    cached: Dollars | None = None


class SwarmConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[code.swarm]`: what sessions on a Docker Swarm need.

    Attributes:
        registry: `host[:port][/prefix]`, which this machine and all nodes reach; with `http://` before it if
            it has no TLS.
        slot: the generic resource of which a session takes one, or None.
    """

    registry: str
    slot: str | None = None


class CodeConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The `[code]` table.

    Attributes:
        env_file: file with the session's variables, relative to the repository's root. None means
            `.env`, if there is one.
        forward_env: names or shell patterns of the variables that a session gets.
        docker_build_args: flags of `docker build`, for the repository's image.
        docker_run_args: flags of `docker run`, for the session's container.
        ca_bundle: PEM file that builds and sessions trust in addition to their own authorities. None means
            the host's SSL_CERT_FILE, if set.
        prompt_program: saved state of the prompt-writing program, relative to the root.
        allow_hosts: the only hosts that a session may reach, besides its model and context7; None means any.
        model_timeout: seconds that the model has to write the prompts, including retries.
        max_output_tokens: length of one answer to the session's agent, unless it is signed in with Factory.
        gateway: whether a gateway holds the model's key, outside of the session's container, and counts.
        prices: by model, for providers that report no cost; for the gateway.
        record_requests: whether the gateway keeps requests and answers.
        provider_wait: seconds that the gateway holds a request for a busy provider; None means its default.
        limits: what ends a session.
        setup: commands that run in a session's container before its agent is started.
        notify: a program and its arguments, run on this machine when a headless session has ended.
        checks: commands that lw_coder runs over the result of a session, to verify it.
        checks_network: whether checks may use the network; with allow_hosts, only to reach those hosts.
        checks_rebuild: whether checks run in an image that is built from the result.
        checks_minutes: how long each check may take.
        engine: where headless sessions run, unless an option says otherwise.
        swarm: what sessions on a Docker Swarm need, or None.
    """

    env_file: str | None = None
    forward_env: tuple[str, ...] = DEFAULT_FORWARD_ENV
    docker_build_args: tuple[str, ...] = ()
    docker_run_args: tuple[str, ...] = ()
    ca_bundle: str | None = None
    prompt_program: str | None = None
    allow_hosts: tuple[str, ...] | None = None
    model_timeout: float = DEADLINE
    max_output_tokens: int = OUTPUT_TOKENS
    gateway: bool = False
    prices: dict[str, Price] = {}
    record_requests: bool = False
    provider_wait: float | None = None
    limits: Limits | None = None
    setup: tuple[str, ...] = ()
    notify: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    checks_network: bool = False
    checks_rebuild: bool = False
    checks_minutes: float = 15
    engine: Literal["local", "swarm"] = "local"
    swarm: SwarmConfig | None = None

    @property
    def has_networks(self) -> bool:
        """Whether a session has networks of its own, with a proxy or a gateway in them."""
        return self.allow_hosts is not None or self.gateway

    @property
    def network_key(self) -> str:
        """The key that gives it these networks."""
        return "gateway" if self.allow_hosts is None else "allow_hosts"

    @property
    def allowed_hosts(self) -> tuple[AllowedHost, ...] | None:
        """`allow_hosts`, parsed; None if any host may be reached."""
        return None if self.allow_hosts is None else tuple(parse_host(entry) for entry in self.allow_hosts)

    @property
    def build_options(self) -> BuildOptions:
        """`docker_build_args` as Compose keys."""
        return parse_build_flags(self.docker_build_args)

    @property
    def run_options(self) -> RunOptions:
        """`docker_run_args` as Compose keys."""
        return parse_run_flags(self.docker_run_args)

    def find_ca_bundle(self, root: Path, process: Mapping[str, str]) -> Path | None:
        """Return the certificates that builds and sessions trust, or None.

        Args:
            root: the repository's root.
            process: this process's environment, for SSL_CERT_FILE.

        Raises:
            ConfigError: the file is missing.
        """
        named = self.ca_bundle or process.get("SSL_CERT_FILE")
        path = root / Path(named).expanduser() if named else None
        if path is None or path.is_file():
            return path
        if self.ca_bundle:
            raise ConfigError(f"{CONFIG_FILE}: ca_bundle: {named}: file not found", "correct the path")
        return None

    def warnings(self) -> list[str]:
        """Warnings to show before the session starts, one line each."""
        takes_all = any(set(pattern) <= set("*?") for pattern in self.forward_env)
        lines = [_WILDCARD_WARNING] if takes_all else []
        if self.notify and "/" in self.notify[0] and not self.notify[0].startswith("/"):
            lines.append(_NOTIFY_WARNING)
        return lines + [f"{CONFIG_FILE}: docker_run_args: {danger}" for danger in self.run_options.dangers]


_WILDCARD_WARNING = (
    f'{CONFIG_FILE}: forward_env: "*" passes every variable of your shell and env file to the agent; '
    "name the ones it needs instead"
)
_NOTIFY_WARNING = (
    f"{CONFIG_FILE}: notify: runs a program of this repository on your machine, and commits of an agent can "
    "change it; name one outside of the repository"
)


def load_config(root: Path) -> CodeConfig:
    """Read and validate the repository's config.

    Raises:
        ConfigError: the file is missing, not TOML, or breaks the schema; the message names the key.
    """
    config = _ruled(_typed(_code_table(_read_toml(root / CONFIG_FILE))))
    _ = config.build_options, config.run_options  # an unknown flag is an error now, not later
    if config.has_networks and "network_mode" in config.run_options.keys:
        raise ConfigError(
            f"{CONFIG_FILE}: docker_run_args: '--network' cannot be used with {config.network_key}",
            "remove one of the two",
        )
    _require_gateway(config)
    if config.limits is not None and not config.gateway:
        require_known(config.limits, f"{CONFIG_FILE}: [code] limits.")
    _require_prompt_program(root, config.prompt_program)
    return config


def _require_gateway(config: CodeConfig) -> None:
    """Refuse what only the gateway can do, and what takes the key past it."""
    for key in ("prices", "record_requests", "provider_wait") if not config.gateway else ():
        if getattr(config, key):
            raise _key_error(key, "only the model gateway uses this", "set gateway = true, or remove it")
    if config.gateway and API_KEY in config.run_options.keys.get("environment", {}):
        raise ConfigError(
            f"{CONFIG_FILE}: docker_run_args: {API_KEY}: with gateway = true, no session gets the key",
            "remove one of the two",
        )


def _require_prompt_program(root: Path, named: str | None) -> None:
    if named and not (root / named).is_file():
        problem = "is not a file" if (root / named).exists() else "file not found"
        raise ConfigError(
            f"{CONFIG_FILE}: prompt_program: {named}: {problem}",
            "use a .json file that CodePromptProgram.save wrote, or remove the setting",
        )


def load_config_or_defaults(root: Path) -> CodeConfig:
    """Read the repository's config, or use the defaults if there is none.

    Raises:
        ConfigError: as `load_config`, except for a missing file.
    """
    return load_config(root) if os.path.lexists(root / CONFIG_FILE) else CodeConfig()


def _read_toml(path: Path) -> dict[str, Any]:
    return parse_toml(_read_text(path))


def _read_text(path: Path) -> str:
    try:
        # A pipe is not waited for: it is empty.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            content = file.read(_LONGEST + 1)
    except FileNotFoundError:
        raise ConfigError(
            f"{CONFIG_FILE}: file not found", f"type lw_coder init, or create it: {_EMPTY_CONFIG}"
        ) from None
    except OSError as error:
        raise ConfigError(
            f"{CONFIG_FILE}: cannot be read: {error.strerror}", "check its permissions"
        ) from error
    if len(content) > _LONGEST:
        raise ConfigError(
            f"{CONFIG_FILE}: is longer than {_LONGEST} bytes", "remove everything except settings"
        )
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{CONFIG_FILE}: is not UTF-8 text", "save it as UTF-8") from error


def parse_toml(text: str) -> dict[str, Any]:
    """Parse the config's text; what would cost tomllib much time or the stack is refused before.

    Raises:
        ConfigError: it is not TOML, or nested more deeply than any setting is.
    """
    if bracket_depth(text) > DEEPEST or _LONG_KEY.search(text):
        raise ConfigError(f"{CONFIG_FILE}: is nested too deeply", _SEE_SCHEMA)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        lines = len(text.removesuffix("\n").split("\n"))
        fault = str(error).replace("at end of document", f"at the end, line {lines}")
        raise ConfigError(
            f"{CONFIG_FILE}: is not valid TOML: {printable(fault)}", "correct that line"
        ) from error
    except ValueError as error:  # Python reads no number of more than 4300 digits
        raise ConfigError(f"{CONFIG_FILE}: contains a number that is too long", _SEE_SCHEMA) from error


def _code_table(values: dict[str, Any]) -> dict[str, Any]:
    for name in sorted(set(values) - {_TABLE}):
        what = f"{CONFIG_FILE}: {printable(name)}"
        if isinstance(values[name], dict):
            raise ConfigError(f"{what}: unknown table", _table_remedy(name))
        raise ConfigError(f"{what}: unknown key", _top_key_remedy(name))
    table = values.get(_TABLE)
    if not isinstance(table, dict):
        raise ConfigError(f"{CONFIG_FILE}: there is no [code] table", f"add it: {_EMPTY_CONFIG}")
    return table


def _table_remedy(name: str) -> str:
    close = _nearest(name, (_TABLE, *CodeConfig.__struct_fields__))
    if close == _TABLE:
        return f"did you mean [{_TABLE}]?"
    return f"{close} is a key of [{_TABLE}]" if close else f"the only table is [{_TABLE}]"


def _top_key_remedy(name: str) -> str:
    known = CodeConfig.__struct_fields__
    if name in known:
        return f"put it below the line [{_TABLE}]"
    close = _nearest(name, known)
    return f"{_did_you_mean(close)}put the settings below the line [{_TABLE}]"


def _nearest(name: str, known: Sequence[str]) -> str | None:
    from difflib import get_close_matches

    return next(iter(get_close_matches(name.lower(), known, n=1)), None)


def _did_you_mean(close: str | None) -> str:
    return f"did you mean {close}? " if close else ""


def _typed(table: dict[str, Any]) -> CodeConfig:
    known = CodeConfig.__struct_fields__
    if unknown := sorted(set(table) - set(known)):
        hint = _did_you_mean(_nearest(unknown[0], known))
        raise _key_error(unknown[0], "unknown key", f"{hint}known keys: {', '.join(known)}")
    try:
        return msgspec.convert(table, CodeConfig)
    except msgspec.ValidationError as error:
        problem, _, place = str(error).partition(" - at `$.")
        for msgspecs, tomls in _TOML_TERMS:
            problem = problem.replace(msgspecs, tomls)
        raise _key_error(place.rstrip("`"), problem[:1].lower() + problem[1:]) from None


def _ruled(config: CodeConfig) -> CodeConfig:
    changes = {}
    for key, rule in _RULES.items():
        value = getattr(config, key)
        try:
            changes[key] = value if value is None else rule(value)
        except ValueError as error:
            raise _key_error(key, str(error)) from None
    return msgspec.structs.replace(config, **changes)


def _key_error(key: str, problem: str, remedy: str = _SEE_SCHEMA) -> ConfigError:
    return ConfigError(f"{CONFIG_FILE}: [code] {printable(key)}: {problem}", remedy)


def _with_home(path: str) -> str:
    if not path.strip():
        raise ValueError("is empty")
    if "\0" in path:
        raise ValueError(f"{path!a} contains a NUL character")
    try:
        return str(Path(path).expanduser())
    except RuntimeError:
        raise ValueError(f"{path!a} begins with the home folder of an unknown user") from None


def _names(patterns: tuple[str, ...]) -> tuple[str, ...]:
    for pattern in patterns:
        if not pattern or "=" in pattern or any(character.isspace() for character in pattern):
            raise ValueError(f"{pattern!a} is not a variable name or pattern")
    return patterns


def _seconds(value: float) -> float:
    if not 1 <= value <= _DAY:  # false for nan too
        raise ValueError(f"{value:g} is not a number of seconds from 1 to {_DAY}")
    return float(value)


def _held_seconds(value: float) -> float:
    if not 1 <= value <= _LONGEST_HOLD:
        raise ValueError(f"{value:g} is not a number of seconds from 1 to {_LONGEST_HOLD}")
    return float(value)


def _tokens(value: int) -> int:
    if not _FEWEST_TOKENS <= value <= _MOST_TOKENS:
        raise ValueError(f"{value} is not a number of tokens from {_FEWEST_TOKENS} to {_MOST_TOKENS}")
    return value


def _hosts(entries: tuple[str, ...]) -> tuple[str, ...]:
    for entry in entries:
        parse_host(entry)
    return entries


def _commands(commands: tuple[str, ...]) -> tuple[str, ...]:
    for command in commands:
        if problem := check_problem(command):
            raise ValueError(problem)
    return commands


def _program(words: tuple[str, ...]) -> tuple[str, ...]:
    if words and not words[0].strip():
        raise ValueError("begins with an empty text instead of a program")
    if any("\0" in word or not is_utf8(word) for word in words):
        raise ValueError("contains a NUL character, or what is not UTF-8 text")
    return (_with_home(words[0]), *words[1:]) if words else words


def _checks(commands: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_commands(commands)))


def _minutes(minutes: float) -> float:
    if not 0 < minutes <= _MOST_MINUTES:  # also refuses nan
        raise ValueError(f"is not a number of minutes above 0, up to {_MOST_MINUTES}")
    return minutes


def _swarm(settings: SwarmConfig) -> SwarmConfig:
    from lw_coder.settings.registry_place import parse_place

    parse_place(settings.registry)
    if settings.slot is not None and not _SLOT.fullmatch(settings.slot):
        raise ValueError(f"slot: {settings.slot!a} is not the name of a generic resource, such as lw-slot")
    return settings


# Rules for values beyond their types; each returns the value to use, or raises ValueError.
_RULES: Mapping[str, Callable[[Any], Any]] = {
    "swarm": _swarm,
    "env_file": _with_home,
    "ca_bundle": _with_home,
    "prompt_program": _with_home,
    "forward_env": _names,
    "allow_hosts": _hosts,
    "model_timeout": _seconds,
    "max_output_tokens": _tokens,
    "provider_wait": _held_seconds,
    "setup": _commands,
    "notify": _program,
    "checks": _checks,
    "checks_minutes": _minutes,
}
