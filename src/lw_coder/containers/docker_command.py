"""Run the docker command: queries and builds before python-on-whales is imported.

It takes longer to import than docker takes to answer. engine.py uses it for everything else.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Self

from msgspec import Struct

from lw_coder.containers.build_output import BuildFailure, read_failure, shortened
from lw_coder.containers.compose_plugin import Command, compose_command
from lw_coder.containers.engine_wait import answer_within
from lw_coder.containers.image_names import BASE_TAG
from lw_coder.containers.labels import OWN_LABEL
from lw_coder.foundation.errors import BuildError, EngineError, SilentEngineError
from lw_coder.foundation.json_text import read_json
from lw_coder.foundation.processes import awaited, end_group, readable, starting_group
from lw_coder.foundation.redaction import Redaction
from lw_coder.foundation.report import printable, say
from lw_coder.foundation.signals import interruptible
from lw_coder.foundation.system_errors import remedy_of
from lw_coder.settings.docker_variables import client_environment

COMPOSE_FILE = "compose.yml"
SERVICES_FILE = "services.yml"  # included by COMPOSE_FILE
DEPENDENCIES_FILE = "dependencies.yml"  # while a run is prepared: some services of SERVICES_FILE
BUILD_PROFILE = "build"
HEADLESS_COMMAND = ("start-session", "--headless")  # instead of the droid service's own

LONGEST_ANSWER = 90.0  # seconds that the engine, on a busy machine, may take to list or remove something
LEFT_AFTER_SILENCE = 20.0  # seconds, once it has not answered in that time
LONGEST_WAIT = 120.0  # seconds for its first answer, before anything is begun

_Both = tuple[Any, Any]  # stdout and stderr

_CHUNK = 1 << 16
_PATIENCE = 10.0  # seconds for a client that has closed its output
# What the engine says where the same build succeeds a moment later, and what that means. `docker image prune`
# or `docker image rm` can remove an image during a build. The Dockerfile is always there; BuildKit, which
# keeps copies of folders, once did not have it in a copy.
_REMOVED = "an image was removed during the build"
_PASSING = {
    "failed to get digest sha256:": _REMOVED,
    "failed to get destination image": _REMOVED,
    "No such image: sha256:": _REMOVED,
    "failed to read dockerfile: open ": "the engine did not get the Dockerfile",
}


class LocalImage(Struct, frozen=True):
    """The image that a tag pointed to when it was inspected.

    Attributes:
        id: `sha256:...`, which does not change with later builds.
        labels: its own and those of its base image.
        layers: digests of its layers, those of its base image first.
    """

    id: str
    labels: Mapping[str, str]
    layers: tuple[str, ...] = ()


def environment_for(folder: Path | None = None, file: str = SERVICES_FILE) -> dict[str, str]:
    """Return the environment for a docker client.

    Args:
        folder: contains the Compose files that the client uses, if any.
        file: the one of them that names variables.
    """
    named_in = (folder / file).read_text(encoding="utf-8") if folder else ""
    return client_environment(os.environ, named_in)


def _command(*words: str, folder: Path | None = None) -> Command:
    """Return the command line of docker, from the PATH, with some arguments."""
    environment = environment_for(folder)
    if words[0] == "compose":
        return compose_command(environment, *words[1:])
    return Command(("docker", *words), environment)


def _output_of(process: subprocess.Popen[Any], given: bytes = b"") -> Callable[[float], _Both | None]:
    """Return what waits for a process so many seconds, and returns its stdout and stderr, or None."""
    inputs = [given] if given else []

    def wait(seconds: float) -> _Both | None:
        try:
            return process.communicate(inputs.pop() if inputs else None, timeout=seconds)
        except subprocess.TimeoutExpired:
            return None

    return wait


class Question:
    """A docker command that is running in a process group of its own; it must be answered or ended."""

    def __init__(self, *words: str) -> None:
        self._process = self._start(_command(*words))
        self._answer: str | None = None

    @staticmethod
    def _start(command: Command) -> subprocess.Popen[str] | None:
        try:
            with starting_group():
                return subprocess.Popen(
                    command.words,
                    env=command.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                    process_group=0,  # with a plugin, such as Compose
                )
        except OSError:
            return None  # python-on-whales asks again and reports the problem

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def answer(self, seconds: float = LONGEST_ANSWER) -> str:
        """Wait for its output; empty if it fails, or has not ended after so long."""
        if not self.is_answered(seconds):
            self.end()
            self._answer = ""
        return self._answer or ""

    def is_answered(self, seconds: float) -> bool:
        """Wait for its end; return whether it came within this time."""
        if self._answer is None and self._process is not None:
            try:
                with interruptible():
                    both = answer_within(seconds, _output_of(self._process))
            except BaseException:
                self.end()
                raise
            if both is None:
                return False
            self._answer = both[0].strip() if self._process.returncode == 0 else ""
        return True

    def found_nothing(self) -> bool:
        """Wait for its end; return whether it came in time, and the command succeeded without any output."""
        told = self.answer(LONGEST_ANSWER)
        return not told and self._process is not None and self._process.returncode == 0

    def end(self) -> None:
        """End the command; no effect if it was answered."""
        if self._process is not None:
            end_group(self._process)

    def image(self) -> LocalImage | None:
        """Wait for the result of `ask_image`; None also if docker did not answer."""
        answer = self.answer()
        return read_image(answer) if answer else None


def read_image(told: str) -> LocalImage:
    """Read what docker tells of an image with `image inspect --format '{{json .}}'`."""
    found = read_json(told)
    layers = tuple(found["RootFS"].get("Layers") or ())
    return LocalImage(found["Id"], found["Config"].get("Labels") or {}, layers)


def ask_image(tag: str) -> Question:
    """Inspect the image of a tag."""
    return Question("image", "inspect", "--format", "{{json .}}", tag)


class Outcome(NamedTuple):
    """How a docker command ended: its exit status, its output, and why it failed, in one line."""

    status: int
    told: str
    reason: str

    @property
    def misses_something(self) -> bool:
        """Whether it failed for something that does not exist; it can have been removed meanwhile."""
        return self.status != 0 and any(words in self.reason.lower() for words in ("no such", "not found"))


def carry_out(*words: str, given: bytes = b"", seconds: float | None = None, merged: bool = False) -> Outcome:
    """Run a docker command to its end.

    Args:
        words: its arguments, none of them secret.
        given: what it reads on its standard input, through a pipe.
        seconds: how long the engine's answer may take; None for what may take any time, whose caller says
            what it does.
        merged: whether its standard error counts as its output.

    Raises:
        EngineError: docker cannot be started.
        SilentEngineError: it took longer.
    """
    command = _command(*words)
    try:
        with starting_group():
            process = subprocess.Popen(
                command.words,
                env=command.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT if merged else subprocess.PIPE,
                process_group=0,
            )
    except OSError:
        raise EngineError("docker: command not found", "install Docker Engine with Compose v2") from None
    with awaited(process), interruptible():
        both = process.communicate(given) if seconds is None else _answer(process, given, seconds)
    told, error = ((text or b"").decode(errors="replace").strip() for text in both)
    return Outcome(process.returncode, told, _reason(error))


def _reason(error: str) -> str:
    """Return an error's first line, with the next one if the first is only its title, as in `errors:`."""
    lines = error.split("\n")
    first = " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
    return printable(shortened(first)) if first else "it gave no reason"


def _answer(process: subprocess.Popen[bytes], given: bytes, seconds: float) -> _Both:
    both = answer_within(seconds, _output_of(process, given))
    if both is None:
        raise _silence(seconds)
    return both


def _silence(seconds: float) -> SilentEngineError:
    return SilentEngineError(
        f"the Docker engine does not answer: it said nothing for {seconds:g} seconds",
        "restart Docker if it does not answer `docker version` either, and try again",
    )


class Patience:
    """How long the engine's answers are waited for.

    Args:
        usual: seconds for an answer.
        afterwards: seconds for the next ones, once one has not come in time, until one does.
    """

    def __init__(self, usual: float = LONGEST_ANSWER, afterwards: float = LEFT_AFTER_SILENCE) -> None:
        self._usual, self._afterwards = usual, afterwards
        self._has_been_silent = False

    def ask(self, *words: str, given: bytes = b"", merged: bool = False) -> Outcome:
        """Run a docker command to which the engine answers at once, such as a question or a removal.

        Args:
            words: as `carry_out` has them.
            given: likewise.
            merged: likewise.

        Raises:
            EngineError: docker cannot be started.
            SilentEngineError: the engine did not answer in time.
        """
        seconds = self._afterwards if self._has_been_silent else self._usual
        try:
            outcome = carry_out(*words, given=given, seconds=seconds, merged=merged)
        except SilentEngineError:
            self._has_been_silent = True
            raise
        self._has_been_silent = False
        return outcome


class EngineProbe:
    """The first queries of every command, which run in parallel with its other checks.

    A context manager, at whose end no docker command of it is left.

    Args:
        asks_compose: whether to query Compose's version too, which takes as long as all other queries. A
            build provides it as well: Compose adds COMPOSE_LABEL to what it builds.
    """

    def __init__(self, *, asks_compose: bool) -> None:
        self._server = Question("version", "--format", "{{.Server.Version}}")
        self._compose = _ask_compose() if asks_compose else None
        self._base = ask_image(BASE_TAG)
        self._repo: Question | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for question in (self._server, self._compose, self._base, self._repo):
            if question is not None:
                question.end()

    def server_version(self) -> str:
        """Wait for the engine's version; empty if none can be reached.

        Raises:
            SilentEngineError: there is one, but it says nothing.
        """
        if not self._server.is_answered(LONGEST_WAIT):
            raise _silence(LONGEST_WAIT)
        return self._server.answer()

    def compose_version(self) -> str:
        """Wait for the Compose plugin's version; empty if it is missing."""
        return (self._compose or _ask_compose()).answer()

    @cached_property
    def base_image(self) -> LocalImage | None:
        """The base image when the queries started; None if it did not exist, or no engine can be reached.

        Raises:
            SilentEngineError: as `server_version`.
        """
        self.server_version()
        return self._base.image()

    def ask_repo_image(self, tag: str) -> None:
        """Query the repository's image too, by its name."""
        self._repo = ask_image(tag)

    @cached_property
    def repo_image(self) -> LocalImage | None:
        """The repository's image, as the base image."""
        self.server_version()
        return self._repo.image() if self._repo else None


def _ask_compose() -> Question:
    return Question("compose", "version")


def compose_refusal(folder: Path) -> str | None:
    """Let Compose read a folder's files; return the reason if it refuses them, else None."""
    file = ("--file", str(folder / COMPOSE_FILE))
    command = _command("compose", *file, "--profile", BUILD_PROFILE, "config", "--quiet", folder=folder)
    with starting_group():
        reading = subprocess.Popen(
            command.words,
            env=command.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            process_group=0,
        )
    with awaited(reading), interruptible():
        _, told = reading.communicate()
    if reading.returncode == 0:
        return None
    lines = [line.strip() for line in told.split("\n") if line.strip()]
    return printable(shortened(lines[-1] if lines else "it gave no reason"))


def build_image(
    folder: Path, project: str, service: str, log: Path, variables: Mapping[str, str] | None = None
) -> None:
    """Build a service's image.

    Args:
        folder: contains the compose.yml.
        project: Compose's project name.
        service: the service to build.
        log: receives the build's output.
        variables: variables for the build, in addition to this process's.

    Raises:
        BuildError: the build failed; the message is its last error.
        EngineError: the log cannot be written.
    """
    failure = _build_once(folder, project, service, log, variables or {})
    passing = [why for word, why in _PASSING.items() if failure and word in failure.reason]
    if passing:
        say(f"Image: building {service} once more: {passing[0]}")
        failure = _build_once(folder, project, service, log, variables or {})
    if failure:
        raise _build_error(service, failure, log, Redaction(variables or {}))


def _build_error(service: str, failure: BuildFailure, log: Path, redaction: Redaction) -> BuildError:
    reason = f"the {service} image could not be built: {printable(failure.reason)}"
    remedy = f"{log} has the full output"
    title = ["Image: the step that failed printed at its end:"] if failure.tail else []
    details = (*title, *(f"  | {redaction.text(line)}" for line in failure.tail))
    return BuildError(reason, f"{failure.hint}; {remedy}" if failure.hint else remedy, details)


def _build_once(
    folder: Path, project: str, service: str, log: Path, variables: Mapping[str, str]
) -> BuildFailure | None:
    """Build; return the failure, or None if there was none."""
    lines: list[str] = []
    try:
        # Line by line: a person may follow the log.
        with (
            log.open("a", encoding="utf-8", buffering=1) as file,
            awaited(_build(folder, project, service, variables)) as build,
            interruptible(),
        ):
            for line in build.stdout or ():
                lines.append(line)
                file.write(line)
    except OSError as error:
        raise disk_error(log, error) from error
    return read_failure(lines) if build.returncode else None


def _build(folder: Path, project: str, service: str, variables: Mapping[str, str]) -> subprocess.Popen[str]:
    build = ("--profile", BUILD_PROFILE, "build", "--progress", "plain", service)
    command = _command("compose", *_project(folder, project), *build, folder=folder)
    with starting_group():
        return subprocess.Popen(
            command.words,
            env={**variables, **command.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            process_group=0,  # with Compose, which is a plugin
        )


def _project(folder: Path, project: str) -> tuple[str, ...]:
    return ("--file", str(folder / COMPOSE_FILE), "--project-name", project)


class PipedClient:
    """A docker client whose output is read while it runs, in a process group of its own.

    So Ctrl+C is for lw_coder alone, which then ends the session.
    """

    def __init__(self, command: Command, keeps_open: tuple[int, ...] = ()) -> None:
        """Start it.

        Args:
            command: its command line and environment.
            keeps_open: file descriptors that it inherits.
        """
        with starting_group():
            self._process = subprocess.Popen(
                command.words,
                env=command.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                pass_fds=keeps_open,
                process_group=0,
            )

    def has_ended(self) -> bool:
        """Return whether it has ended, without waiting for it."""
        return self._process.poll() is not None

    def read(self, seconds: float) -> tuple[bytes, bytes] | None:
        """Wait for output for so long; return what came on stdout and stderr, or None at the end of both."""
        both = self._process.stdout, self._process.stderr
        streams = [stream for stream in both if stream and not stream.closed]
        if not streams:
            return None
        with interruptible():
            ready = readable(streams, seconds)
        chunks = [os.read(stream.fileno(), _CHUNK) if stream and stream in ready else None for stream in both]
        for stream, chunk in zip(both, chunks, strict=True):
            if stream and chunk == b"":
                stream.close()
        return chunks[0] or b"", chunks[1] or b""

    def end(self) -> int:
        """Wait for a client whose output has ended, end any other, and return its status."""
        if all(stream is None or stream.closed for stream in (self._process.stdout, self._process.stderr)):
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_PATIENCE)
        end_group(self._process)
        return self._process.returncode


class HeadlessCall(NamedTuple):
    """What a headless session's client is started with.

    Attributes:
        folder: contains the compose.yml.
        project: Compose's project name.
        dependencies: whether to start the services that it depends on.
    """

    folder: Path
    project: str
    dependencies: bool = True

    def command(self, environment: Mapping[str, str], *options: str) -> Command:
        """Return its command line, with some options of Compose, and this environment."""
        run = _run({OWN_LABEL: "true"}, "--no-TTY", dependencies=self.dependencies)
        where = _project(self.folder, self.project)
        return compose_command(environment, *options, *where, *run, *HEADLESS_COMMAND)


def start_headless(call: HeadlessCall) -> PipedClient:
    """Start the droid service without a terminal."""
    return PipedClient(call.command(environment_for(call.folder)))


def run_attached(
    folder: Path,
    project: str,
    labels: Mapping[str, str],
    variables: Mapping[str, str],
    keeps_open: tuple[int, ...] = (),
    *,
    dependencies: bool = True,
) -> int:
    """Run the droid service in the person's terminal to its end, and return the docker client's exit status.

    Args:
        folder: contains the compose.yml.
        project: Compose's project name.
        labels: additional labels of the container.
        variables: more variables for docker's client.
        keeps_open: file descriptors that it inherits.
        dependencies: whether to start the services that it depends on.
    """
    run = _run(labels, dependencies=dependencies)
    command = _command("compose", *_project(folder, project), *run, folder=folder)
    with interruptible():
        return subprocess.run(
            command.words, check=False, env={**command.environment, **variables}, pass_fds=keeps_open
        ).returncode


def _run(labels: Mapping[str, str], *options: str, dependencies: bool) -> tuple[str, ...]:
    added = [word for name, value in labels.items() for word in ("--label", f"{name}={value}")]
    alone = () if dependencies else ("--no-deps",)
    # service-ports: `run` leaves a service's ports unpublished otherwise.
    return ("run", "--rm", *options, "--service-ports", *alone, *added, "droid")


def follow_headless(container: str) -> PipedClient:
    """Follow the output of a session that is running already, from now on."""
    return PipedClient(_command("attach", "--no-stdin", "--sig-proxy=false", container))


def disk_error(path: Path, error: OSError) -> EngineError:
    """Make the error for a file or folder that cannot be written."""
    reason = error.strerror or type(error).__name__
    return EngineError(f"{path}: cannot be written: {reason}", remedy_of(error))
