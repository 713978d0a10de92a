"""Start Compose while a run is still being prepared: until it reads its files, it needs none of them.

Its own start takes as long as half of the preparations, and the second core has nothing to do meanwhile.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Self

from lw_coder.containers.compose_plugin import find_plugin
from lw_coder.containers.docker_command import (
    HeadlessCall,
    PipedClient,
    environment_for,
    start_headless,
)

# An env file with this line is an error: Compose ends.
_NOT_READY = b"!lw_coder ended before the run was ready\n"


class EarlyCompose:
    """The client of a headless session, started before the session's Compose files are complete.

    A context manager, at whose end a client that was not called for is ended.
    """

    def __init__(self) -> None:
        self._started: _Waiting | None = None

    def start(self, call: HeadlessCall) -> None:
        """Start the client, which then waits; no effect where docker itself has to start Compose.

        Args:
            call: what it is started with. Its files need not exist yet.
        """
        environment = environment_for()
        if find_plugin(environment):
            with suppress(OSError):  # no memfd, or no room for a process: it is started later
                self._started = _Waiting(call, environment)

    def client(self, call: HeadlessCall) -> PipedClient:
        """Let the client go on, and return it; or another one, if that one was started with something else.

        Args:
            call: what it is to be started with. Its files are complete.
        """
        waiting = self._started
        if waiting is None:
            return start_headless(call)
        suits = waiting.suits(call, environment_for(call.folder))
        self._started = None
        if suits:
            return waiting.released()
        waiting.end()
        return start_headless(call)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._started:
            self._started.end()


class _Waiting:
    """A client that waits, because it reads env files before anything else.

    The first is a pipe, whose end it waits for. The second is not valid until then: if lw_coder is killed,
    the pipe ends too, and Compose must not start a session.
    """

    def __init__(self, call: HeadlessCall, environment: dict[str, str]) -> None:
        self._call, self._environment = call, environment
        with ExitStack() as made:
            reads, self._pipe = os.pipe()
            made.callback(os.close, self._pipe)
            try:
                self._file = os.memfd_create("lw_coder")
                made.callback(os.close, self._file)
                os.write(self._file, _NOT_READY)
                files = (reads, self._file)
                options = [word for number in files for word in ("--env-file", f"/proc/self/fd/{number}")]
                self._client = PipedClient(call.command(environment, *options), files)
            finally:
                os.close(reads)
            made.pop_all()

    def suits(self, call: HeadlessCall, environment: dict[str, str]) -> bool:
        """Return whether it is still waiting, and would have been started in the same way now."""
        is_same = (call, environment) == (self._call, self._environment)
        return is_same and not self._client.has_ended()

    def released(self) -> PipedClient:
        """Let it go on; the caller ends it from now on."""
        os.ftruncate(self._file, 0)
        self._close()
        return self._client

    def end(self) -> None:
        """Close what it waits for, and end it."""
        self._close()
        self._client.end()

    def _close(self) -> None:
        os.close(self._pipe)
        os.close(self._file)
