"""Run a service of a Compose file without a terminal, several at once if need be."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from lw_coder.containers.build_output import shortened
from lw_coder.containers.docker_command import environment_for
from lw_coder.foundation.errors import EngineError
from lw_coder.foundation.processes import awaited, end_group, starting_group
from lw_coder.foundation.report import printable
from lw_coder.foundation.signals import interruptible

_CHUNK = 1 << 16


class ServiceCall:
    """A one-off container of a service, without a terminal; it must be waited for or ended."""

    def __init__(self, file: Path, service: str, words: Sequence[str], labels: Mapping[str, str]) -> None:
        """Start it.

        Args:
            file: the Compose file.
            service: its service; services that it depends on are not started.
            words: its command.
            labels: labels of the container, in addition to the service's.

        Raises:
            EngineError: docker cannot be started.
        """
        pairs = (part for name, value in labels.items() for part in ("--label", f"{name}={value}"))
        compose = ("docker", "compose", "--file", str(file), "--progress", "quiet")
        run = ("run", "--rm", "--no-TTY", "--no-deps", "--pull", "never", *pairs, service, *words)
        self._process = _call((*compose, *run))

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

    def wait(self) -> int:
        """Wait for its end; return its exit status, or that of a docker that could not run it."""
        with awaited(self._process) as process, interruptible():
            return process.wait()

    def end(self) -> None:
        """End docker's client; no effect if it has ended."""
        end_group(self._process)


def start_service(file: Path, service: str) -> None:
    """Start a service in the background, and wait until it is healthy.

    Raises:
        EngineError: it could not be started.
    """
    compose = ("docker", "compose", "--file", str(file), "--progress", "quiet")
    with awaited(_call((*compose, "up", "--detach", "--wait", service))) as process, interruptible():
        told, _ = process.communicate()
    if process.returncode:
        lines = [line for line in told.decode(errors="replace").split("\n") if line.strip()]
        reason = printable(shortened(lines[-1] if lines else "it gave no reason"))
        raise EngineError(f"the service {service} could not be started: {reason}", f"inspect {file}")


def _call(command: Sequence[str]) -> subprocess.Popen[bytes]:
    try:
        with starting_group():
            return subprocess.Popen(
                command,
                env=environment_for(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
    except OSError:
        raise EngineError("docker: command not found", "install Docker Engine with Compose v2") from None
