"""The Docker engine, through python-on-whales: the only module that imports it.

An exception of python-on-whales contains command lines and output, either of which can contain a
secret; its text leaves this module only through `_reason`.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from msgspec import Struct

from lw_coder.containers.client_config import DETACH_KEYS, keys_freed
from lw_coder.containers.docker_command import (
    BUILD_PROFILE,
    COMPOSE_FILE,
    LONGEST_ANSWER,
    EngineProbe,
    LocalImage,
    Patience,
    Question,
    disk_error,
    environment_for,
    read_image,
    run_attached,
)
from lw_coder.foundation.errors import EngineError, EnvironmentFileError, SilentEngineError
from lw_coder.foundation.json_text import read_json
from lw_coder.foundation.report import warn
from lw_coder.foundation.signals import interruptible
from lw_coder.foundation.temporary import temporary_folder
from lw_coder.settings.docker_variables import client_call

if TYPE_CHECKING:
    from python_on_whales import DockerClient

MIN_COMPOSE = (2, 30)  # env_file with a format, gpus; include with an env_file of its own is older
MIN_ISOLATING = 28  # gateway_mode_ipv4=isolated

Labels = Mapping[str, str]

_PATIENCE = Patience()
_CONTAINER = '{"id":{{json .Id}},"labels":{{json .Config.Labels}},"is_running":{{json .State.Running}}}'
_IMAGE = '{"id":{{json .Id}},"tags":{{json .RepoTags}},"size":{{json .Size}}}'
_NETWORK = '{"id":{{json .Id}},"labels":{{json .Labels}}}'

_PROJECT_LABEL = "com.docker.compose.project"
_NO_STATUS = 255  # of a docker client that failed itself
_MOST_RETURNS = 5  # a client that cannot stay attached would otherwise be started for ever

_COMPOSE_REMEDY = f"install Docker's Compose plugin {'.'.join(map(str, MIN_COMPOSE))} or later"
_START_REMEDY = "start Docker, or correct DOCKER_HOST or `docker context`, and try again"
_GROUP_REMEDY = "join the docker group (`sudo usermod -aG docker $USER`), log in again and try again"
_PLAIN_LINE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=[A-Za-z0-9_./:@%+,=-]*")
_DOTENV_LINE = re.compile(r"line (\d+)")


class Engine(Struct, frozen=True):
    """An engine that answered.

    Attributes:
        version: the server's version.
        compose_version: the Compose plugin's version; None if the next build will provide it.
    """

    version: str
    compose_version: str | None


def load_client() -> None:
    """Import python-on-whales while something else is running: it takes longer than any other import.

    It describes docker's output in pydantic models, of which a session needs none. So each model is completed
    only when it is used, and pydantic does not search the installed packages for plugins. The other functions
    here import python-on-whales themselves, in case this was not called.
    """
    import pydantic

    usual = pydantic.BaseModel.model_config
    pydantic.BaseModel.model_config = {**usual, "defer_build": True}
    try:
        import python_on_whales  # noqa: F401
    finally:
        pydantic.BaseModel.model_config = usual


def connect(probe: EngineProbe, *, build_gives_version: bool = False) -> Engine:
    """Wait for docker's answers; without them, python-on-whales asks again, and the error gives the reason.

    Args:
        probe: the queries.
        build_gives_version: whether the next build will provide Compose's version, so that it is not queried.

    Raises:
        EngineError: no client, no daemon, no Compose plugin, or one that is too old.
    """
    version = probe.server_version() or _server_version()
    if build_gives_version:
        return Engine(version, None)
    compose = probe.compose_version()
    return Engine(version, require_compose(compose) if compose else installed_compose())


def _server_version() -> str:
    with _reported_errors():
        server = _client().version().server
    if server is None or server.version is None:
        raise EngineError("the Docker engine does not answer", _START_REMEDY)
    return str(server.version)


@contextmanager
def _reported_errors() -> Iterator[None]:
    from python_on_whales import ClientNotFoundError
    from python_on_whales.exceptions import DockerException

    try:
        yield
    except ClientNotFoundError:
        raise EngineError("docker: command not found", "install Docker Engine with Compose v2") from None
    except DockerException as error:
        raise _no_answer(_reason(error)) from None


def _no_answer(reason: str) -> EngineError:
    is_refused = "permission denied" in reason.lower()
    remedy = _GROUP_REMEDY if is_refused else _START_REMEDY
    return EngineError(f"the Docker engine does not answer: {reason}", remedy)


def installed_compose() -> str:
    """Query the Compose plugin's version.

    Raises:
        EngineError: it is missing or too old.
    """
    from python_on_whales.exceptions import DockerException

    try:
        return require_compose(str(_client().compose.version()))
    except DockerException:
        raise EngineError("docker compose: the plugin is missing", _COMPOSE_REMEDY) from None


def require_compose(text: str) -> str:
    """Return the version in the output of `docker compose version`, or in COMPOSE_LABEL.

    Raises:
        EngineError: it is older than MIN_COMPOSE, or there is no version.
    """
    match = re.search(r"(\d+)\.(\d+)[^\s,]*", text)
    if match is None or (int(match[1]), int(match[2])) < MIN_COMPOSE:
        raise EngineError(
            f"docker compose: {match[0] if match else 'its version'} is too old", _COMPOSE_REMEDY
        )
    return match[0]


def require_isolation(version: str, key: str = "allow_hosts") -> None:
    """Check that an engine of this version can isolate a network from the host.

    Args:
        version: the engine's.
        key: the key of config.toml that needs it.

    Raises:
        EngineError: it is too old.
    """
    match = re.match(r"\d+", version)
    if match is None or int(match[0]) < MIN_ISOLATING:
        raise EngineError(
            f".lw_coder/config.toml: {key}: Docker Engine {version} cannot isolate a network from the host",
            f"install {MIN_ISOLATING} or later, or remove {key} from .lw_coder/config.toml",
        )


def check_env_file(env_file: Path, values: Mapping[str, str]) -> None:
    """Check that Compose, which a replay uses, reads the env file as lw_coder does.

    Args:
        env_file: the session's env file.
        values: the session's variables, as lw_coder read them.

    Raises:
        EnvironmentFileError: it cannot be read, or Compose rejects it or reads a different value; it names
            the line or the variable, never the value.
        EngineError: the temporary folder cannot be written.
    """
    import tempfile

    try:
        text = env_file.read_text(encoding="utf-8")
    except OSError as error:
        raise EnvironmentFileError(
            f"{env_file}: cannot be read: {error.strerror}", "correct its owner and permissions"
        ) from error
    if is_plain(text):
        return  # this saves two starts of a docker client
    try:
        read = _read_by_compose(env_file, values)
    except OSError as error:
        raise disk_error(Path(tempfile.gettempdir()), error) from error
    _compare(env_file, values, read)


def is_plain(text: str) -> bool:
    """Return whether an env file can be read in only one way: each line is a comment or a unique NAME=value.

    Such a value has no quotes, blanks, dollar signs, hashes or backslashes.
    """
    lines = [line for line in text.split("\n") if line and not line.startswith("#")]
    names = {line.partition("=")[0] for line in lines}
    return len(names) == len(lines) and all(map(_PLAIN_LINE.fullmatch, lines))


def _read_by_compose(env_file: Path, values: Mapping[str, str]) -> Mapping[str, str | None]:
    import yaml
    from python_on_whales.exceptions import DockerException

    with temporary_folder() as (folder, _):
        services = {"services": {"droid": {"image": "none", "environment": sorted(values)}}}
        include = {"include": [{"path": "services.yml", "env_file": str(env_file)}]}
        (folder / "services.yml").write_text(yaml.safe_dump(services), encoding="utf-8")
        (folder / "compose.yml").write_text(yaml.safe_dump(include), encoding="utf-8")
        try:
            config = _compose(folder, "lw_coder-check").compose.config(return_json=True)
        except DockerException as error:
            installed_compose()  # if Compose is missing, the file is not the problem
            raise _env_file_error(env_file, error.stderr or "") from None
    return config["services"]["droid"].get("environment") or {}


def _env_file_error(env_file: Path, stderr: str) -> EnvironmentFileError:
    line = _DOTENV_LINE.search(stderr)  # the text after it repeats the file's contents
    where = f", line {line[1]}" if line else ""
    return EnvironmentFileError(
        f"{env_file.name}{where}: Docker Compose cannot read it",
        "write each line as NAME=value or NAME='value'",
    )


def _compare(env_file: Path, values: Mapping[str, str], read: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        # `config` doubles each dollar sign, so that its output can be read again.
        if (read.get(name) or "").replace("$$", "$") != value:
            raise EnvironmentFileError(
                f"{env_file.name}: {name}: Docker Compose reads a different value",
                f"put it in single quotes: {name}='...'",
            )


def find_image(tag: str) -> LocalImage | None:
    """Inspect a local image once, so that its id and labels belong together; None if it does not exist.

    Raises:
        EngineError: no client, or no daemon.
    """
    outcome = _PATIENCE.ask("image", "inspect", "--format", "{{json .}}", tag)
    if outcome.misses_something:
        return None
    if outcome.status:
        raise _no_answer(outcome.reason)
    return read_image(outcome.told)


class StoredImage(NamedTuple):
    """An image that the engine has: its id, its names, and its bytes, shared layers included."""

    id: str
    tags: tuple[str, ...]
    size: int


def images_with(labels: Mapping[str, str | None]) -> list[StoredImage]:
    """Find the images that have all these labels, also those without a name; None matches any value.

    Raises:
        EngineError: the engine does not answer.
    """
    found = _found("image", _IMAGE, labels)
    return [StoredImage(one["id"], tuple(one["tags"] or ()), one["size"] or 0) for one in found]


def has_containers(image: str) -> bool:
    """Return whether a container, running or not, was made from an image.

    Raises:
        EngineError: the engine does not answer.
    """
    return bool(_told("container", "ls", "--quiet", "--all", "--filter", f"ancestor={image}"))


def remove_image(image: str) -> None:
    """Remove an image by its id; the engine refuses if a container uses it.

    Raises:
        EngineError: it was not removed.
    """
    outcome = _PATIENCE.ask("image", "rm", image)
    if outcome.status and not outcome.misses_something:
        short = image.removeprefix("sha256:")[:12]
        raise EngineError(f"image {short} was not removed: {outcome.reason}", "stop what uses it")


class SessionEnd(NamedTuple):
    """How a session ended.

    Attributes:
        status: its exit status.
        is_removed: whether the engine is known to have no container of it any more.
    """

    status: int
    is_removed: bool


def run_session(
    folder: Path, project: str, labels: Mapping[str, str], *, dependencies: bool = True
) -> SessionEnd:
    """Run the droid service in the person's terminal, and the services that it depends on if that is wanted.

    If the docker client exits before the session does, because it was killed or detached, the terminal is
    attached to the session again. If the container could not be started, Compose has printed the reason, and
    the status is Compose's.
    """
    began = time.monotonic()
    status = _run_service(folder, project, labels, dependencies=dependencies)
    own = {_PROJECT_LABEL: project, **labels}
    end = followed_to_end(status, own, lambda running: _attach(running, own))
    return end._replace(status=_reported_status(own, began)) if end.status == _NO_STATUS else end


def _reported_status(labels: Labels, began: float) -> int:
    """Ask the engine for a session's exit status, which its docker client did not know.

    Ctrl+C ends a client that has given back the terminal, and waits for the container's removal.

    Args:
        labels: the session's.
        began: when the session began, by the clock that is never set back.
    """
    now = time.time()
    times = ("--since", f"{now - (time.monotonic() - began):.3f}", "--until", f"{now:.3f}")
    filters = (f"label={name}={value}" for name, value in labels.items())
    chosen = [word for each in ("event=die", *filters) for word in ("--filter", each)]
    told = (
        Question("events", *times, *chosen, "--format", "{{.Actor.Attributes.exitCode}}")
        .answer(LONGEST_ANSWER)
        .split()
    )
    return int(told[-1]) if told and told[-1].isdigit() else _NO_STATUS


def followed_to_end(status: int, labels: Labels, attach: Callable[[str], int]) -> SessionEnd:
    """Attach to a session again, as long as it is running, after a docker client has exited.

    Args:
        status: that client's exit status.
        labels: those of the session's containers.
        attach: attaches to a running container, given by its id, and returns the exit status.
    """
    for _ in range(_MOST_RETURNS):
        remains = _what_remains(labels)
        if remains is None:  # if the engine is gone, so is the session, and not because it had finished
            return SessionEnd(status or _NO_STATUS, is_removed=False)
        if not remains.running:
            return SessionEnd(status, remains.is_removed)
        warn("the docker client exited, but the session is still running; reconnecting to it")
        status = attach(remains.running)
    return SessionEnd(status, is_removed=False)


def _run_service(folder: Path, project: str, labels: Labels, *, dependencies: bool) -> int:
    with keys_freed(os.environ) as (variables, keeps_open):
        return run_attached(folder, project, labels, variables, keeps_open, dependencies=dependencies)


def _attach(container: str, labels: Labels) -> int:
    # attach may not know the status of a container that is removed when it ends.
    ended = Question("wait", container)
    try:
        status = _status(lambda: _client().container.attach(container, detach_keys=DETACH_KEYS))
        told = "" if _is_running(labels) else ended.answer(LONGEST_ANSWER)
    finally:
        ended.end()
    return int(told) if told.isdigit() else status


def _status(call: Callable[[], object]) -> int:
    from python_on_whales.exceptions import DockerException

    try:
        with interruptible():
            call()
    except DockerException as error:
        return error.return_code
    return 0


class _Remains(NamedTuple):
    """A session's running container or None, and whether it is known to have not even an ended one."""

    running: str | None
    is_removed: bool


def _what_remains(labels: Labels) -> _Remains | None:
    """Ask the engine what a session has there; None if it is gone."""
    try:
        found = containers_with(labels)
    except SilentEngineError:  # it is there, and has told the client how the session ended
        return _Remains(None, is_removed=False)
    except EngineError:
        return None
    return _Remains(next((one.id for one in found if one.is_running), None), is_removed=not found)


def _is_running(labels: Labels) -> bool:
    remains = _what_remains(labels)
    return remains is not None and remains.running is not None


class LocalContainer(Struct, frozen=True):
    """A container as it was when it was inspected.

    Attributes:
        id: 64 hex digits.
        labels: all its labels.
        is_running: whether its process is running or paused.
    """

    id: str
    labels: Labels
    is_running: bool


class LocalNetwork(Struct, frozen=True):
    """A network: its id, 64 hex digits, and all its labels."""

    id: str
    labels: Labels


def containers_with(labels: Mapping[str, str | None], *, only_running: bool = False) -> list[LocalContainer]:
    """Find the containers that have all these labels, including stopped ones.

    Args:
        labels: values by name; None matches any value.
        only_running: leave out stopped ones.

    Raises:
        EngineError: the engine does not answer.
    """
    every = () if only_running else ("--all",)
    return [
        LocalContainer(one["id"], one["labels"] or {}, bool(one["is_running"]))
        for one in _found("container", _CONTAINER, labels, *every)
    ]


def networks_with(labels: Mapping[str, str | None]) -> list[LocalNetwork]:
    """Find the networks that have all these labels; None matches any value.

    Raises:
        EngineError: the engine does not answer.
    """
    return [LocalNetwork(one["id"], one["labels"] or {}) for one in _found("network", _NETWORK, labels)]


def _found(kind: str, template: str, labels: Mapping[str, str | None], *flags: str) -> list[dict[str, Any]]:
    filters = [word for text in _label_filters(labels) for word in ("--filter", f"label={text[1]}")]
    listed = _told(kind, "ls", "--quiet", "--no-trunc", *flags, *filters).split()
    ids = dict.fromkeys(listed)  # an image is listed once for each of its names
    if not ids:
        return []
    inspected = _PATIENCE.ask(kind, "inspect", "--format", template, *ids)
    if inspected.status and not inspected.misses_something:
        raise _no_answer(inspected.reason)
    return [read_json(line) for line in inspected.told.split("\n") if line]


def _told(*words: str) -> str:
    outcome = _PATIENCE.ask(*words)
    if outcome.status:
        raise _no_answer(outcome.reason)
    return outcome.told


def ask_for_containers(labels: Mapping[str, str | None]) -> Question:
    """Ask docker for the containers that have all these labels, also stopped ones, and do not wait."""
    filters = (f"--filter={key}={value}" for key, value in _label_filters(labels))
    return Question("container", "ls", "--quiet", "--all", *filters)


def _label_filters(labels: Mapping[str, str | None]) -> list[tuple[Literal["label"], str]]:
    return [("label", name if value is None else f"{name}={value}") for name, value in labels.items()]


def remove_containers(containers: Sequence[LocalContainer]) -> None:
    """Stop and remove containers; ignore those that no longer exist.

    Raises:
        EngineError: the engine does not answer.
    """
    if containers:
        _PATIENCE.ask("container", "rm", "--force", "--volumes", *(one.id for one in containers))


def remove_containers_with(labels: Mapping[str, str | None]) -> None:
    """Stop and remove all containers that have these labels, and check that none is left.

    Raises:
        EngineError: the engine does not answer, or a container could not be removed.
    """
    for pause in (0.0, 0.2, 1.0, 3.0):  # seconds; a container that is being removed already cannot be removed
        time.sleep(pause)
        found = containers_with(labels)
        if not found:
            return
        remove_containers(found)
    if found := containers_with(labels):
        short = found[0].id[:12]
        raise EngineError(f"container {short} could not be removed", f"type: docker rm --force {short}")


def signal_containers(containers: Sequence[LocalContainer], signal: str) -> None:
    """Send a signal, such as `SIGTERM`, to containers; ignore those that no longer run.

    Raises:
        EngineError: the engine does not answer.
    """
    if containers:
        _PATIENCE.ask("container", "kill", "--signal", signal, *(one.id for one in containers))


def container_log(container: str) -> str:
    """Return a container's log; empty if it no longer exists.

    Raises:
        EngineError: the engine does not answer.
    """
    log = _PATIENCE.ask("container", "logs", container, merged=True)
    return "" if log.status else log.told


def remove_networks(networks: Sequence[LocalNetwork]) -> None:
    """Remove networks; ignore those that no longer exist or are in use.

    Raises:
        EngineError: the engine does not answer.
    """
    if networks:
        _PATIENCE.ask("network", "rm", *(one.id for one in networks))


def ensure_volume(name: str) -> None:
    """Create a named volume if it does not exist, as `docker run` does.

    Raises:
        EngineError: it cannot be created.
    """
    if _PATIENCE.ask("volume", "inspect", name).status == 0:
        return
    outcome = _PATIENCE.ask("volume", "create", name)
    if outcome.status:
        raise EngineError(
            f"the volume {name} could not be created: {outcome.reason}", "correct docker_run_args"
        )


def _client() -> DockerClient:
    return _called(environment_for())


def _compose(folder: Path, project: str) -> DockerClient:
    return _called(
        environment_for(folder),
        compose_files=[folder / COMPOSE_FILE],
        compose_project_name=project,
        compose_profiles=[BUILD_PROFILE],
    )


def _called(environment: Mapping[str, str], **settings: Any) -> DockerClient:
    from python_on_whales import DockerClient

    os.environ.pop("PYTHON_ON_WHALES_DEBUG", None)  # it prints the environment, and the keys in it
    return DockerClient(client_call=client_call(os.environ, environment), **settings)


def _reason(error: Exception) -> str:
    lines = (getattr(error, "stderr", None) or "").strip().split("\n")
    return lines[0][:300] if lines[0] else "it gave no reason"
