"""Run a service of a Compose file without a terminal, several at once if need be."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from lw_coder.containers.build_output import shortened
from lw_coder.containers.compose_plugin import Command, compose_command
from lw_coder.containers.docker_command import BUILD_PROFILE, SERVICES_FILE, environment_for
from lw_coder.foundation.errors import EngineError
from lw_coder.foundation.processes import awaited, end_group, starting_group
from lw_coder.foundation.report import printable
from lw_coder.foundation.signals import interruptible

_CHUNK = 1 << 16
_NETWORK_REMEDY = "`docker network ls` lists what takes up addresses, `lw_coder doctor` what is left over"


class ComposeCall:
    """A `docker compose` that is running; it must be waited for or ended."""

    def __init__(self, *words: str, folder: Path | None = None, file: str = SERVICES_FILE) -> None:
        """Start it.

        Args:
            words: its arguments.
            folder: contains the Compose file that names variables, if any; they are passed on.
            file: that file's name.

        Raises:
            EngineError: docker cannot be started.
        """
        self._process = _started(compose_command(environment_for(folder, file), *words))

    def fileno(self) -> int:
        """Return the descriptor of its output, for a selector."""
        return self._output.fileno()

    @property
    def _output(self) -> IO[bytes]:
        if self._process.stdout is None:
            raise AssertionError("it was started with a pipe")
        return self._process.stdout

    def read(self) -> bytes:
        """Return output that has arrived; empty at its end."""
        return os.read(self.fileno(), _CHUNK)

    def read_all(self) -> bytes:
        """Return all output, at its end."""
        parts = []
        with awaited(self._process), interruptible():
            while part := self.read():
                parts.append(part)
        return b"".join(parts)

    def wait(self) -> int:
        """Wait for its end; return its exit status."""
        with awaited(self._process) as process, interruptible():
            return process.wait()

    @contextmanager
    def ended_on_failure(self) -> Iterator[None]:
        """End docker's client if the block fails."""
        try:
            yield
        except BaseException:
            self.end()
            raise

    def end(self) -> bool:
        """End docker's client, and return whether that was necessary; no effect if it has ended."""
        was_running = self._process.poll() is None
        end_group(self._process)
        return was_running


class ServicesStart:
    """All services of a Compose file, which Compose is starting; it must be ended."""

    def __init__(
        self, folder: Path, file: str, project: str, project_folder: Path, env_file: Path | None
    ) -> None:
        """Start them.

        Args:
            folder: contains the Compose file.
            file: its name.
            project: Compose's project name.
            project_folder: relative paths in the file are relative to it.
            env_file: values of the variables that the file only names; the shell's come before them.

        Raises:
            EngineError: docker cannot be started.
        """
        where = ("--file", str(folder / file), "--project-directory", str(project_folder))
        named = ("--project-name", project)
        values = ("--env-file", str(env_file)) if env_file else ()
        up = ("--progress", "plain", "up", "--detach", "--no-recreate", "--pull", "never")
        self._call = ComposeCall(*where, *named, *values, *up, folder=folder, file=file)
        self._told = b""

    def wait_for_networks(self) -> None:
        """Wait until the networks exist: Compose creates them before the first container.

        Raises:
            EngineError: they could not be created.
        """
        with interruptible():
            while b" Container " not in self._told and (part := self._call.read()):
                self._told += part
        if b" Container " not in self._told and (reason := self.failure()):
            raise EngineError(f"the networks of the session could not be created: {reason}", _NETWORK_REMEDY)

    def failure(self) -> str:
        """Wait for Compose's end; return the reason if a service could not be started, else nothing."""
        self._told += self._call.read_all()
        return _last_line(self._told) if self._call.wait() else ""

    def end(self) -> bool:
        """End docker's client, and return whether that was necessary; no effect if it has ended."""
        return self._call.end()


def run_service(file: Path, service: str, words: Sequence[str], labels: Mapping[str, str]) -> ComposeCall:
    """Start a one-off container of a service, without a terminal and without the services it depends on.

    Its exit status is the container's, or that of a docker that could not run it.

    Args:
        file: the Compose file.
        service: the service.
        words: its command.
        labels: labels of the container, in addition to the service's.

    Raises:
        EngineError: docker cannot be started.
    """
    pairs = [part for name, value in labels.items() for part in ("--label", f"{name}={value}")]
    run = ("run", "--rm", "--no-TTY", "--no-deps", "--pull", "never", *pairs, service, *words)
    return ComposeCall(*_quiet(file), *run)


def build_service(file: Path, project: str, service: str) -> ComposeCall:
    """Start the build of a service's image; its output is BuildKit's plain text.

    Raises:
        EngineError: docker cannot be started.
    """
    build = ("build", "--progress", "plain", service)
    return ComposeCall("--file", str(file), "--project-name", project, "--profile", BUILD_PROFILE, *build)


def start_service(file: Path, service: str) -> None:
    """Start a service in the background, and wait until it is healthy.

    Raises:
        EngineError: it could not be started.
    """
    starting = ComposeCall(*_quiet(file), "up", "--detach", "--wait", service)
    told = starting.read_all()
    if starting.wait():
        reason = _last_line(told)
        raise EngineError(f"the service {service} could not be started: {reason}", f"inspect {file}")


def _last_line(told: bytes) -> str:
    lines = [line for line in told.decode(errors="replace").split("\n") if line.strip()]
    return printable(shortened(lines[-1] if lines else "it gave no reason"))


def _quiet(file: Path) -> tuple[str, ...]:
    return ("--file", str(file), "--progress", "quiet")


def _started(command: Command) -> subprocess.Popen[bytes]:
    try:
        with starting_group():
            return subprocess.Popen(
                command.words,
                env=command.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
    except OSError:
        raise EngineError("docker: command not found", "install Docker Engine with Compose v2") from None
