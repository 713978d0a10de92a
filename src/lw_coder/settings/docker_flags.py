"""Flags of `docker run` and `docker build` as keys of a Compose service.

The two tables below are what docs/configuration.md lists. The keys are those of the Compose
specification (compose-spec/spec.md and build.md); the flags those of Docker's CLI reference.
tests/integration/settings/test_docker_flags.py compares the effect of each with docker's own.

Two flags that have a key are left out, because the key has no effect: Compose drops mac_address on the
default bridge, and a build's entitlements are refused without a --allow that Compose does not pass.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from math import isfinite
from typing import Any

from msgspec import Struct, field

from lw_coder.foundation.errors import ConfigError

Keys = dict[str, Any]
Convert = Callable[[str], Any]


class Flag(Struct, frozen=True):
    """How one flag becomes a Compose key.

    Attributes:
        key: the key; a dot separates nested keys.
        put: `set` replaces, `append` adds to a list, `extend` adds several, `update` adds to a mapping.
        convert: converts the flag's text to the key's value.
        is_switch: the flag is used alone or as `--flag=false`.
    """

    key: str
    put: str = "set"
    convert: Convert = str
    is_switch: bool = False


class RunOptions(Struct, frozen=True):
    """`docker_run_args`, parsed.

    Attributes:
        keys: keys of a Compose service, nested as in YAML.
        dangers: a line for each flag that weakens the container's isolation.
    """

    keys: Keys = field(default_factory=dict)
    dangers: tuple[str, ...] = ()

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the variables whose values the session takes from the environment."""
        return _bare(self.keys.get("environment", {}))


class BuildOptions(Struct, frozen=True):
    """`docker_build_args`, parsed.

    Attributes:
        keys: keys of a Compose service's `build`, nested as in YAML.
        secrets: build secrets by id, as keys of Compose's top-level `secrets`.
    """

    keys: Keys = field(default_factory=dict)
    secrets: Keys = field(default_factory=dict)

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the variables whose values a build takes from the environment."""
        secrets = [source["environment"] for source in self.secrets.values() if "environment" in source]
        return tuple(dict.fromkeys([*_bare(self.keys.get("args", {})), *secrets]))


def _bare(values: Keys) -> tuple[str, ...]:
    return tuple(name for name, value in values.items() if value is None)


class _FlagValueError(ValueError):
    """A flag's text is wrong; the text of this error says how."""

    def __init__(self, problem: str, remedy: str = "write it as docker expects it") -> None:
        super().__init__(problem)
        self.remedy = remedy


def _boolean(text: str) -> bool:
    if text.lower() not in {"true", "false", "1", "0"}:
        raise _FlagValueError("takes true or false")
    return text.lower() in {"true", "1"}


def _integer(text: str) -> int:
    """Read a number as docker does: `int` would also accept 1_000, non-ASCII digits, and any length."""
    if not _INTEGER.fullmatch(text):
        raise _FlagValueError("takes a whole number")
    return int(text)


def _pair(text: str) -> tuple[str, str | None]:
    name, equals, value = text.partition("=")
    if not name:
        raise _FlagValueError("takes NAME or NAME=VALUE")
    return name, value if equals else None


def _required_pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise _FlagValueError("takes NAME=VALUE")
    return name, value


def _label(text: str) -> tuple[str, str]:
    name, value = _pair(text)
    return name, value or ""


def _option(text: str) -> tuple[str, str]:
    name, value = _required_pair(text)
    if name.startswith("x-") or name.isspace():
        raise _FlagValueError(f"names {name!a}, which Compose ignores", "write another name")
    return name, value


def _ulimit(text: str) -> tuple[str, Any]:
    name, limits = _option(text)
    soft, colon, hard = limits.partition(":")
    return name, {"soft": _integer(soft), "hard": _integer(hard)} if colon else _integer(soft)


def _device_number(name: str, number: Convert = str) -> Convert:
    def convert(text: str) -> Keys:
        path, colon, value = text.rpartition(":")
        if not colon:
            raise _FlagValueError("takes DEVICE:NUMBER")
        return {"path": path, name: number(value)}

    return convert


def _size(text: str) -> str:
    if not _SIZE.fullmatch(text):
        raise _FlagValueError("takes a size, such as 512m or 4g")
    return text


def _swap(text: str) -> str | int:
    return -1 if text == "-1" else _size(text)  # unlimited; Compose accepts it only as a number


def _seconds(text: str) -> str:
    return f"{_integer(text)}s"


def _gpus(text: str) -> Any:
    if text == "all":
        return "all"
    if _INTEGER.fullmatch(text):
        return [{"count": _integer(text)}]
    devices = text.removeprefix("device=")
    if devices == text:
        raise _FlagValueError("takes all, a number or device=ID[,ID]")
    names = devices.strip('"').split(",")
    if not all(names):
        raise _FlagValueError("has an empty device id")
    return [{"device_ids": names}]


def _ports(text: str) -> list[str]:
    """Expand a range and add the protocol; unlike docker, Compose requires both."""
    numbers, _, protocol = text.partition("/")
    first, _, last = numbers.partition("-")
    ports = range(_port(first), _port(last or first) + 1)
    if not ports:
        raise _FlagValueError("takes PORT or FIRST-LAST")
    return [f"{port}/{protocol or 'tcp'}" for port in ports]


def _port(text: str) -> int:
    port = _integer(text)
    if not 0 < port <= _LAST_PORT:
        raise _FlagValueError(f"takes ports from 1 to {_LAST_PORT}")
    return port


def _published(text: str) -> str:
    """Check only the port numbers; Compose checks the other parts."""
    *hosts, container = text.split(":")
    for numbers in (container, *filter(_PORT_NUMBERS.fullmatch, hosts)):
        _ports(numbers)
    return text


def _cpus(text: str) -> float:
    cpus = float(text)
    if not (isfinite(cpus) and cpus >= 0):
        raise _FlagValueError("takes a number of CPUs, such as 1.5")
    return cpus


def _network(text: str) -> str:
    if "=" in text:
        raise _FlagValueError("takes the name of a network alone")
    return text


def _raw_env_file(text: str) -> Keys:
    return {"path": text, "format": "raw"}


def _volume(text: str) -> str:
    source, colon, _ = text.partition(":")
    if colon and source[:1] not in {"/", ".", "~"}:
        _check_volume_name(source)
    return text


def _check_volume_name(name: str) -> None:
    if not _VOLUME_NAME.fullmatch(name):
        raise _FlagValueError(
            f"names the volume {name!a}, which is not a valid volume name", "write ./sub/dir for a folder"
        )


def _mount(text: str) -> Keys:
    mount: Keys = {"type": "volume"}
    for part in text.split(","):
        name, value = _pair(part)
        if name not in _MOUNT_PARTS:
            raise _FlagValueError(f"names {name!a}, which has no Compose key")
        _put(mount, _MOUNT_PARTS[name], _MOUNT_PARTS[name].convert(value or "true"))
    _check_mount(mount)
    if mount["type"] == "bind":
        _put(
            mount, Flag("bind.create_host_path"), value=False
        )  # --mount, unlike --volume, does not create a folder
    return mount


def _check_mount(mount: Keys) -> None:
    if mount["type"] not in _MOUNT_TYPES:
        raise _FlagValueError(f"has the type {mount['type']!a}; use one of {', '.join(_MOUNT_TYPES)}")
    for part in ("target", "source") if mount["type"] == "bind" else ("target",):
        if not mount.get(part):
            raise _FlagValueError(f"has no {part}")
    if mount["type"] == "volume" and "source" in mount:
        _check_volume_name(mount["source"])


def _build_secret(text: str) -> tuple[str, Keys]:
    parts = dict(_label(part) for part in text.split(","))
    if unknown := sorted(parts.keys() - _SECRET_PARTS):
        raise _FlagValueError(f"has the unknown part {unknown[0]!a}")
    name = parts.get("id")
    if not name:
        raise _FlagValueError("has no id", "write it as id=NAME,src=FILE")
    source = parts.get("src") or parts.get("source")
    if "env" in parts or parts.get("type") == "env":
        return name, {"environment": parts.get("env") or source or name}
    # Docker uses a variable with the id's name, or else a file. A run must not depend on which exists.
    return name, {"file": source or name}


def _append(key: str, convert: Convert = str) -> Flag:
    return Flag(key, "append", convert)


def _update(key: str, convert: Convert = _required_pair) -> Flag:
    return Flag(key, "update", convert)


def _switch(key: str) -> Flag:
    return Flag(key, convert=_boolean, is_switch=True)


_LAST_PORT = 65_535
_PORT_NUMBERS = re.compile(r"[1-9][0-9]*(?:-[0-9]+)?", re.ASCII)
_SIZE = re.compile(r"[0-9]{1,18}(?:\.[0-9]+)? ?[kmgtp]?i?b?", re.ASCII | re.IGNORECASE)
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
_VOLUME_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")  # the engine's rule
_SECRET_PARTS = frozenset(("id", "src", "source", "env", "type"))
_MOUNT_TYPES = ("bind", "volume", "tmpfs")
_MOUNT_PARTS: dict[str, Flag] = {
    "type": Flag("type"),
    **dict.fromkeys(("src", "source"), Flag("source")),
    **dict.fromkeys(("dst", "destination", "target"), Flag("target")),
    **dict.fromkeys(("ro", "readonly"), _switch("read_only")),
    "bind-propagation": Flag("bind.propagation"),
    "tmpfs-size": Flag("tmpfs.size", convert=_size),
    "tmpfs-mode": Flag("tmpfs.mode", convert=lambda text: int(text, 8)),
    "volume-nocopy": _switch("volume.nocopy"),
}

RUN_FLAGS: dict[str, Flag] = {
    "--add-host": _append("extra_hosts"),
    "--annotation": _update("annotations"),
    "--blkio-weight": Flag("blkio_config.weight", convert=_integer),
    "--blkio-weight-device": _append("blkio_config.weight_device", _device_number("weight", _integer)),
    "--cap-add": _append("cap_add"),
    "--cap-drop": _append("cap_drop"),
    "--cgroup-parent": Flag("cgroup_parent"),
    "--cgroupns": Flag("cgroup"),
    "--cpu-period": Flag("cpu_period", convert=_integer),
    "--cpu-quota": Flag("cpu_quota", convert=_integer),
    "--cpu-rt-period": Flag("cpu_rt_period", convert=_integer),
    "--cpu-rt-runtime": Flag("cpu_rt_runtime", convert=_integer),
    "--cpu-shares": Flag("cpu_shares", convert=_integer),
    "--cpus": Flag("cpus", convert=_cpus),
    "--cpuset-cpus": Flag("cpuset"),
    "--device": _append("devices"),
    "--device-cgroup-rule": _append("device_cgroup_rules"),
    "--device-read-bps": _append("blkio_config.device_read_bps", _device_number("rate", _size)),
    "--device-read-iops": _append("blkio_config.device_read_iops", _device_number("rate", _integer)),
    "--device-write-bps": _append("blkio_config.device_write_bps", _device_number("rate", _size)),
    "--device-write-iops": _append("blkio_config.device_write_iops", _device_number("rate", _integer)),
    "--dns": _append("dns"),
    "--dns-option": _append("dns_opt"),
    "--dns-search": _append("dns_search"),
    "--domainname": Flag("domainname"),
    "--env": _update("environment", _pair),
    "--env-file": _append("env_file", _raw_env_file),
    "--expose": Flag("expose", "extend", _ports),
    "--gpus": Flag("gpus", convert=_gpus),
    "--group-add": _append("group_add"),
    "--health-cmd": Flag("healthcheck.test"),
    "--health-interval": Flag("healthcheck.interval"),
    "--health-retries": Flag("healthcheck.retries", convert=_integer),
    "--health-start-interval": Flag("healthcheck.start_interval"),
    "--health-start-period": Flag("healthcheck.start_period"),
    "--health-timeout": Flag("healthcheck.timeout"),
    "--hostname": Flag("hostname"),
    "--init": _switch("init"),
    "--ipc": Flag("ipc"),
    "--isolation": Flag("isolation"),
    "--label": _update("labels", _label),
    "--log-driver": Flag("logging.driver"),
    "--log-opt": _update("logging.options", _option),
    "--memory": Flag("mem_limit", convert=_size),
    "--memory-reservation": Flag("mem_reservation", convert=_size),
    "--memory-swap": Flag("memswap_limit", convert=_swap),
    "--memory-swappiness": Flag("mem_swappiness", convert=_integer),
    "--mount": _append("volumes", _mount),
    "--network": Flag("network_mode", convert=_network),
    "--no-healthcheck": _switch("healthcheck.disable"),
    "--oom-kill-disable": _switch("oom_kill_disable"),
    "--oom-score-adj": Flag("oom_score_adj", convert=_integer),
    "--pid": Flag("pid"),
    "--pids-limit": Flag("pids_limit", convert=_integer),
    "--platform": Flag("platform"),
    "--privileged": _switch("privileged"),
    "--publish": _append("ports", _published),
    "--read-only": _switch("read_only"),
    "--runtime": Flag("runtime"),
    "--security-opt": _append("security_opt"),
    "--shm-size": Flag("shm_size", convert=_size),
    "--stop-signal": Flag("stop_signal"),
    "--stop-timeout": Flag("stop_grace_period", convert=_seconds),
    "--storage-opt": _update("storage_opt", _option),
    "--sysctl": _update("sysctls"),
    "--tmpfs": _append("tmpfs"),
    "--ulimit": _update("ulimits", _ulimit),
    "--userns": Flag("userns_mode"),
    "--uts": Flag("uts"),
    "--volume": _append("volumes", _volume),
    "--volumes-from": _append("volumes_from", lambda name: f"container:{name}"),
}
_RUN_SHORT = {
    "-c": "--cpu-shares",
    "-e": "--env",
    "-h": "--hostname",
    "-l": "--label",
    "-m": "--memory",
    "-p": "--publish",
    "-v": "--volume",
    "--dns-opt": "--dns-option",
    "--net": "--network",
}
# Set by lw_coder itself, or by `docker compose run`.
_RUN_OWN = frozenset(
    (
        *("--name", "--rm", "--pull", "--restart", "--entrypoint", "-u", "--user", "-w", "--workdir"),
        *("-d", "--detach", "-i", "--interactive", "-t", "--tty", "-it", "-ti"),
    )
)

BUILD_FLAGS: dict[str, Flag] = {
    "--add-host": _append("extra_hosts"),
    "--build-arg": _update("args", _pair),
    "--build-context": _update("additional_contexts"),
    "--cache-from": _append("cache_from"),
    "--cache-to": _append("cache_to"),
    "--label": _update("labels", _label),
    "--network": Flag("network"),
    "--no-cache": _switch("no_cache"),
    "--platform": _append("platforms"),
    "--pull": _switch("pull"),
    "--secret": _append("secrets", _build_secret),
    "--shm-size": Flag("shm_size", convert=_size),
    "--ssh": _append("ssh"),
    "--tag": _append("tags"),
    "--target": Flag("target"),
    "--ulimit": _update("ulimits", _ulimit),
}
_BUILD_SHORT = {"-t": "--tag"}
_BUILD_OWN = frozenset(
    ("-f", "--file", "-o", "--output", "--load", "--push", "--progress", "-q", "--quiet", "--iidfile")
)

# Flags that break the isolation; --volume of the docker socket is checked too.
_DANGEROUS = frozenset(
    (
        *("--privileged", "--cap-add", "--security-opt", "--device", "--device-cgroup-rule"),
        *("--userns", "--volumes-from"),
    )
)
_NAMESPACES = frozenset(("--network", "--pid", "--ipc", "--uts", "--cgroupns"))
_SOCKETS = ("docker.sock", "containerd.sock", "podman.sock")
_HOST_FOLDERS = frozenset(("", "/run", "/var/run", "/etc", "/proc", "/sys", "/dev", "/var/lib/docker"))
_HARMLESS = frozenset(("false", "0", "no-new-privileges", *(f"no-new-privileges{mark}true" for mark in "=:")))


def parse_run_flags(arguments: Sequence[str]) -> RunOptions:
    """Read flags of `docker run`.

    Raises:
        ConfigError: a flag is unknown, is one that lw_coder sets itself, or has a wrong value.
    """
    table = _Table("docker_run_args", RUN_FLAGS, _RUN_SHORT, _RUN_OWN)
    found = list(table.read(arguments))
    keys = table.merge(found)  # first: errors are reported before warnings
    dangers = [
        name if RUN_FLAGS[name].is_switch else f"{name} {value}"
        for name, value in found
        if _is_dangerous(name, value)
    ]
    return RunOptions(keys, tuple(f"{danger}: weakens the container's isolation" for danger in dangers))


def parse_build_flags(arguments: Sequence[str]) -> BuildOptions:
    """Read flags of `docker build`.

    Raises:
        ConfigError: a flag is unknown, is one that lw_coder sets itself, or has a wrong value.
    """
    table = _Table("docker_build_args", BUILD_FLAGS, _BUILD_SHORT, _BUILD_OWN)
    keys = table.merge(list(table.read(arguments)))
    secrets = dict(keys.pop("secrets", []))
    return BuildOptions({**keys, **({"secrets": list(secrets)} if secrets else {})}, secrets)


class _Table(Struct, frozen=True):
    setting: str
    flags: dict[str, Flag]
    short: dict[str, str]
    own: frozenset[str]

    def read(self, arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Yield (long name, text) for each flag, in order."""
        for word in arguments:
            if "\0" in word:
                raise self._error(word, "contains a NUL character", "remove it")
        words = iter(arguments)
        for word in words:
            self._refuse_several_words(word)
            given, equals, text = self._split(word)
            name = self._name(given)
            if not equals:
                text = "true" if self.flags[name].is_switch else self._next(words, given)
            yield name, text

    def _refuse_several_words(self, text: str) -> None:
        """Refuse a flag that is in one string with its value, or with other flags."""
        first, *others = text.split(maxsplit=1) or [text]
        if first == text or first not in {*self.flags, *self.short, *self.own}:
            return
        words = ", ".join(self._without_values([first, *others[0].split()] if others else [first]))
        raise self._error(
            first, "is in one string with other words", f"write each word as a string of its own: {words}"
        )

    def _without_values(self, words: Sequence[str]) -> Iterator[str]:
        """Quote each word, without the values of variables."""
        hides = False
        for word in words:
            name, equals, _ = word.partition("=")
            yield f'"{name}=..."' if hides and equals else f'"{word}"'
            flag = self.flags.get(self.short.get(word, word))
            hides = flag is not None and flag.put == "update"

    def merge(self, found: Sequence[tuple[str, str]]) -> Keys:
        """Merge the values of all flags into nested keys."""
        keys: Keys = {}
        for name, text in found:
            flag = self.flags[name]
            _put(keys, flag, self._converted(name, flag, text))
        return keys

    def _split(self, word: str) -> tuple[str, str, str]:
        is_glued = word[:1] == "-" and word[:2] in self.short and len(word) > len("-v")
        if is_glued and word[:2] != "--":
            return word[:2], "=", word[2:].removeprefix("=")
        return word.partition("=")

    def _name(self, given: str) -> str:
        name = self.short.get(given, given)
        if given in self.own:
            raise self._error(given, "is set by lw_coder itself", "remove it")
        if name not in self.flags:
            kind = "is not a flag" if not given.startswith("-") else "has no Compose key"
            raise self._error(given, kind, "`lw_coder docs configuration` lists the flags that can be used")
        return name

    def _next(self, words: Iterator[str], given: str) -> str:
        try:
            return next(words)
        except StopIteration:
            raise self._error(given, "has no value", "add one, as the next string or after =") from None

    def _converted(self, name: str, flag: Flag, text: str) -> Any:
        try:
            return _carried(flag.convert(text))
        except ValueError as error:
            problem = error if isinstance(error, _FlagValueError) else _FlagValueError("has an invalid value")
            raise self._error(name, str(problem), problem.remedy) from None

    def _error(self, flag: str, problem: str, remedy: str) -> ConfigError:
        return ConfigError(f".lw_coder/config.toml: {self.setting}: {flag!a} {problem}", remedy)


def _carried(value: Any) -> Any:
    """Return the value; refuse a number that Compose would change."""
    if isinstance(value, int | float) and not -(2**63) <= value < 2**63:  # also refuses NaN
        raise _FlagValueError("has a number that does not fit into 64 bits", "write a smaller number")
    return value


def _put(keys: Keys, flag: Flag, value: Any) -> None:
    *parents, last = flag.key.split(".")
    for parent in parents:
        keys = keys.setdefault(parent, {})
    if flag.put == "append":
        keys.setdefault(last, []).append(value)
    elif flag.put == "extend":
        keys.setdefault(last, []).extend(value)
    elif flag.put == "update":
        name, item = value
        keys.setdefault(last, {})[name] = item
    else:
        keys[last] = value


def _is_dangerous(name: str, value: str) -> bool:
    if name in {"--volume", "--mount"}:
        return _shares_the_host(_source(name, value))
    if name in _NAMESPACES:
        return value == "host" or value.startswith("container:")
    return name in _DANGEROUS and value.lower() not in _HARMLESS


def _source(name: str, value: str) -> str:
    return str(_mount(value).get("source", "")) if name == "--mount" else value.partition(":")[0]


def _shares_the_host(source: str) -> bool:
    return any(socket in source for socket in _SOCKETS) or (
        source.startswith("/") and source.rstrip("/") in _HOST_FOLDERS
    )
