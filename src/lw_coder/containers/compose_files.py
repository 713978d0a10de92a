"""Render a run's compose.yml and services.yml from the templates in compose/. Pure: nothing is run."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from lw_coder.containers.docker_command import COMPOSE_FILE, DEPENDENCIES_FILE, SERVICES_FILE
from lw_coder.containers.labels import RUN_LABEL
from lw_coder.containers.proxy import FILTER_FILE, render_filter
from lw_coder.containers.specs import GatewaySpec, Mount, SessionSpec
from lw_coder.foundation.shipped import shipped_folder
from lw_coder.foundation.yaml_text import read_own_yaml
from lw_coder.settings.docker_flags import BuildOptions, RunOptions

if TYPE_CHECKING:
    from yaml import Node, SafeDumper

CA_SECRET = "ca_bundle"  # noqa: S105 - the id under which a Dockerfile mounts the certificates

# All else is quoted: 1e3, 08, 1:30 or <<, without quotes, are numbers to some readers of YAML, or worse.
# These words are text in each version of it, and nearly all keys of Compose are such.
_PLAIN_WORD = re.compile(r"[a-z]+(_[a-z0-9]+)*")
_NO_TEXT = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null"))
_ONE_LINE = 2**31 - 1

_PAIRS = frozenset(("labels", "annotations", "sysctls", "args", "additional_contexts"))

NAME_KEYS = ("extra_hosts", "dns", "dns_opt", "dns_search")

Yaml = dict[str, Any]


class ImageBuild(Struct, frozen=True):
    """How an image is built.

    Attributes:
        tag: its name.
        context: the build context.
        dockerfile: the Dockerfile; the ignore file next to it is used.
        args: build arguments; None takes the value from the environment.
        labels: labels of the image.
        options: additions from the repository's docker_build_args.
    """

    tag: str
    context: Path
    dockerfile: Path
    args: Mapping[str, str | None]
    labels: Mapping[str, str]
    options: BuildOptions


class FilePlace(Protocol):
    """Where a Compose file is, and the repository's root: paths between the two are written as relative."""

    @property
    def folder(self) -> Path:
        """The file's folder."""

    @property
    def root(self) -> Path:
        """The repository's root."""


class ComposeSpec(Struct, frozen=True):
    """Everything that a run's two Compose files contain.

    Attributes:
        folder: their folder; paths inside the repository are written relative to it.
        root: the repository's root.
        session: the droid service; None if the files are only for building the images.
        run_options: additions from the repository's docker_run_args.
        builds: the base and repo services' builds, by service.
        env_file: the session's env file, if there is one.
        ca_bundle: certificates for the builds, if any.
        image: id of the droid service's image.
        proxy_image: id of the proxy's and the gateway's.
        includes: other Compose files of the run, relative to the folder.
    """

    folder: Path
    root: Path
    session: SessionSpec | None
    run_options: RunOptions
    builds: Mapping[str, ImageBuild]
    env_file: Path | None
    ca_bundle: Path | None
    image: str = ""
    proxy_image: str = ""
    includes: tuple[str, ...] = ()


def render(spec: ComposeSpec) -> dict[str, str]:
    """Return the text of each Compose file, and of the proxy's filter, by file name."""
    texts = {
        COMPOSE_FILE: dump(_top(spec), COMPOSE_FILE),
        SERVICES_FILE: dump(_services(spec), SERVICES_FILE),
    }
    allowed = spec.session.allowed if spec.session else None
    return texts if allowed is None else {**texts, FILTER_FILE: render_filter(allowed)}


def render_dependencies(spec: ComposeSpec, session: SessionSpec) -> dict[str, str]:
    """Return the text of a Compose file with only the services that the session depends on, by file name.

    They are started from it while the rest of the run is prepared. Their names and networks are those of the
    run's own files. The proxy's filter is another of the files; without such services there is no file.
    """
    file = skeleton(SERVICES_FILE)
    services = _dependencies(spec, session, file["services"])
    if not services:
        return {}
    networks = _networks(session, file["networks"])
    made = {"name": session.project, "services": services, "networks": networks}
    texts = {DEPENDENCIES_FILE: dump(made, SERVICES_FILE)}
    return texts if session.allowed is None else {**texts, FILTER_FILE: render_filter(session.allowed)}


def _top(spec: ComposeSpec) -> Yaml:
    include: Yaml = {"path": SERVICES_FILE}
    if spec.env_file:
        include["env_file"] = _path(spec, spec.env_file)
    name = {"name": spec.session.project} if spec.session else {}
    others = [{"path": path} for path in spec.includes]
    return {**skeleton(COMPOSE_FILE), **name, "include": [include, *others]}


def _services(spec: ComposeSpec) -> Yaml:
    file = skeleton(SERVICES_FILE)
    services = file["services"]
    for name in ("base", "repo"):
        if name in spec.builds:
            services[name] = _merged(services[name], _build_service(spec, spec.builds[name]))
        else:
            del services[name]
    if spec.session:
        droid = _merged({**services["droid"], **_droid(spec, spec.session)}, _run_keys(spec))
        services["droid"] = _named_safely({**droid, "environment": _as_list(droid["environment"])})
        _confine(spec, spec.session, file)
        file.update(_named_volumes(spec))
    else:
        del services["droid"], services["proxy"], services["gateway"], file["networks"]
    if spec.builds:
        return _merged(file, {"secrets": _secrets(spec)})
    del file["secrets"]
    return file


def _confine(spec: ComposeSpec, session: SessionSpec, file: Yaml) -> None:
    """Put the proxy and the gateway between the session and the network, or remove what it does not have."""
    services = file["services"]
    dependencies = _dependencies(spec, session, services)
    del services["proxy"], services["gateway"]
    if not dependencies:
        del file["networks"]
        return
    services |= dependencies
    del services["droid"]["network_mode"]
    services["droid"] |= {
        "networks": ["inside"] if session.allowed is not None else ["inside", "outside"],
        "depends_on": {name: {"condition": "service_healthy"} for name in dependencies},
    }
    file["networks"] = _networks(session, file["networks"])


def _dependencies(spec: ComposeSpec, session: SessionSpec, template: Yaml) -> Yaml:
    """Return the services that the session depends on, by name."""
    if not session.has_networks:
        return {}
    helpers: dict[str, Yaml] = {}
    if session.allowed is not None:
        mount = Mount(spec.folder / FILTER_FILE, f"/etc/{FILTER_FILE}")
        helpers["proxy"] = {**template["proxy"], "volumes": [bind(spec, mount)]}
    if session.gateway:
        helpers["gateway"] = {**template["gateway"], **_gateway(spec, session.gateway)}
    # Both resolve names for the session.
    names = {key: spec.run_options.keys[key] for key in NAME_KEYS if key in spec.run_options.keys}
    own = {"image": spec.proxy_image, "user": session.user, "labels": session.proxy_labels, **names}
    suffix = session.labels[RUN_LABEL].lower()
    return {f"{name}-{suffix}": {**helper, **own} for name, helper in helpers.items()}


def _networks(session: SessionSpec, template: Yaml) -> Yaml:
    own = {"labels": session.proxy_labels}
    return {key: {**network, "name": f"{session.project}_{key}", **own} for key, network in template.items()}


def _gateway(spec: ComposeSpec, gateway: GatewaySpec) -> Yaml:
    return {
        "environment": [*gateway.forwarded, *_as_list(dict(gateway.fixed))],
        "volumes": [bind(spec, mount) for mount in gateway.mounts],
    }


def _build_service(spec: ComposeSpec, build: ImageBuild) -> Yaml:
    keys: Yaml = {
        "context": _path(spec, build.context),
        "dockerfile": os.path.relpath(build.dockerfile, build.context),
        "args": dict(build.args),
        "labels": dict(build.labels),
        "secrets": [CA_SECRET] if spec.ca_bundle else [],
    }
    filled = {key: value for key, value in keys.items() if value}
    return {"image": build.tag, "build": _named_safely(_merged(filled, _build_keys(spec, build.options)))}


def _build_keys(spec: ComposeSpec, options: BuildOptions) -> Yaml:
    keys = dict(options.keys)
    if "additional_contexts" in keys:
        contexts = keys["additional_contexts"].items()
        keys["additional_contexts"] = {name: _person_context(spec, place) for name, place in contexts}
    return keys


def _person_context(spec: ComposeSpec, place: str) -> str:
    is_folder = ":" not in place and not place.startswith("git@")
    return _path(spec, spec.root / place) if is_folder else place


def _droid(spec: ComposeSpec, session: SessionSpec) -> Yaml:
    environment: Yaml = {name: None for name in session.forwarded if name not in session.fixed}
    return {
        "image": spec.image,
        "user": session.user,
        "labels": dict(session.labels),
        "environment": {**environment, **session.fixed},
        "volumes": [bind(spec, mount) for mount in session.mounts],
    }


def _as_list(values: Yaml) -> list[str]:
    """Write pairs as a list: a bare name there gets the include's value, a null in a mapping does not."""
    return [name if value is None else f"{name}={value}" for name, value in values.items()]


def _named_safely(keys: Yaml) -> Yaml:
    """Write pairs as a list where Compose would take one of their names for an extension of its own."""
    return {key: _as_list(pairs) if _has_extension(key, pairs) else pairs for key, pairs in keys.items()}


def _has_extension(key: str, pairs: Any) -> bool:
    return key in _PAIRS and any(name.startswith("x-") or name.isspace() for name in pairs)


def bind(spec: FilePlace, mount: Mount) -> Yaml:
    """Return a bind mount as an entry of a service's `volumes`."""
    return {
        "type": "bind",
        "source": _path(spec, mount.source),
        "target": mount.target,
        "read_only": mount.read_only,
        "bind": {"create_host_path": False},
    }


def _run_keys(spec: ComposeSpec) -> Yaml:
    keys = dict(spec.run_options.keys)
    if "volumes" in keys:
        keys["volumes"] = [_person_volume(spec, volume) for volume in keys["volumes"]]
    if "env_file" in keys:
        keys["env_file"] = [
            {**entry, "path": _path(spec, spec.root / entry["path"])} for entry in keys["env_file"]
        ]
    if "security_opt" in keys:
        keys["security_opt"] = [_person_security(spec, option) for option in keys["security_opt"]]
    if "mem_limit" in keys and "memswap_limit" not in keys:
        keys["memswap_limit"] = keys["mem_limit"]  # the template's limit could be below the new one
    if "start_interval" in keys.get("healthcheck", {}):
        # Compose requires both; 0s is docker's default.
        keys["healthcheck"] = {"start_period": "0s", **keys["healthcheck"]}
    return keys


def _person_security(spec: ComposeSpec, option: str) -> str:
    name, equals, profile = option.partition("=")
    if name != "seccomp" or not equals or profile in {"unconfined", "builtin"}:
        return option
    return f"{name}={_path(spec, spec.root / profile)}"


def _person_volume(spec: ComposeSpec, volume: Any) -> Any:
    """Resolve a relative source as docker does: from the current directory, here the root."""
    if isinstance(volume, str):
        source, colon, rest = volume.partition(":")
        return f"{_path(spec, spec.root / source)}:{rest}" if colon and source.startswith(".") else volume
    if volume["type"] == "bind":
        return {**volume, "source": _path(spec, spec.root / volume["source"])}
    return volume


def named_volumes(options: RunOptions) -> list[str]:
    """List the named volumes that docker_run_args mount."""
    return [name for volume in options.keys.get("volumes", []) if (name := _volume_name(volume))]


def _volume_name(volume: Any) -> str | None:
    if isinstance(volume, dict):
        return volume.get("source") if volume["type"] == "volume" else None
    source, colon, _ = volume.partition(":")
    return source if colon and source[:1] not in {"/", ".", "~"} else None


def _named_volumes(spec: ComposeSpec) -> Yaml:
    names = named_volumes(spec.run_options)
    return {"volumes": {name: {"external": True} for name in names}} if names else {}


def _secrets(spec: ComposeSpec) -> Yaml:
    secrets: Yaml = {CA_SECRET: {"file": _path(spec, spec.ca_bundle)}} if spec.ca_bundle else {}
    for build in spec.builds.values():
        for name, source in build.options.secrets.items():
            secrets[name] = (
                {"file": _path(spec, spec.root / source["file"])} if "file" in source else dict(source)
            )
    return secrets


def _merged(base: Yaml, extra: Mapping[str, Any]) -> Yaml:
    """Merge `extra` into `base`: lists are appended, mappings merged, other values replaced."""
    merged = dict(base)
    for key, value in extra.items():
        old = merged.get(key)
        if isinstance(old, list) and isinstance(value, list):
            merged[key] = old + [item for item in value if item not in old]
        elif isinstance(old, dict) and isinstance(value, dict):
            merged[key] = _merged(old, value)
        else:
            merged[key] = value
    return merged


def _path(spec: FilePlace, path: Path) -> str:
    """Format a path relative to the folder, so that the repository can be moved; outside of it, absolute."""
    are_in_one = path.is_relative_to(spec.root) and spec.folder.is_relative_to(spec.root)
    if not are_in_one and not path.is_relative_to(spec.folder):
        return str(path)
    relative = os.path.relpath(path, spec.folder)
    return relative if relative.startswith("..") else f"./{relative}"


def _literal(value: Any) -> Any:
    """Double each dollar sign, which Compose would otherwise read as the start of a variable."""
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, list):
        return [_literal(item) for item in value]
    if isinstance(value, dict):
        return {key: _literal(item) for key, item in value.items()}
    return value


def skeleton(name: str) -> Yaml:
    """Read a template in compose/."""
    return dict(read_own_yaml((shipped_folder("compose") / name).read_text(encoding="utf-8")))


def dump(values: Yaml, name: str) -> str:
    """Format a Compose file, with the comment at the head of its template."""
    import yaml

    class Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
        """Writes text so that every reader of YAML takes it for text, and for the same."""

    Dumper.add_representer(str, _text_node)
    comment = _leading_comment((shipped_folder("compose") / name).read_text(encoding="utf-8"))
    return comment + yaml.dump(
        _literal(values), Dumper=Dumper, sort_keys=False, allow_unicode=True, width=_ONE_LINE
    )


def _text_node(dumper: SafeDumper, text: str) -> Node:
    is_plain = _PLAIN_WORD.fullmatch(text) and text not in _NO_TEXT
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if is_plain else '"')


def _leading_comment(text: str) -> str:
    return "".join(f"{line}\n" for line in takewhile(lambda line: line.startswith("#"), text.split("\n")))
