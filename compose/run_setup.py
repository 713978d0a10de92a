#!/usr/bin/python3 -B
"""What a session's container runs before its agent, if the repository has commands in `[code] setup`.

    run-setup COMMAND [ARGUMENT]...    COMMAND: what starts the agent, after all commands have succeeded

The commands are in commands.json beside this file. Each is run by a shell in /workspace. What they print is
kept in out/log, without the values of the session's variables and cut in its middle, and shown at a terminal.
out/end.json says that they have ended, and which one failed. The exit status is then 79, and the agent is not
started.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from lw_coder.foundation.bounded_log import BoundedLog
from lw_coder.foundation.redaction import Redaction

FAILED = 79  # sessions/setup_commands.py knows it

_HERE = Path(__file__).parent
_OUT = _HERE / "out"
_CHUNK = 1 << 16
_LONGEST_LINE = 1 << 20  # bytes that are kept until a line ends; values are looked for line by line
_PAUSE = 0.1  # seconds
_SHOWN = 10  # lines of a failed command, where nobody has seen them
_ENDING = (signal.SIGTERM, signal.SIGINT)

_received: list[int] = []  # signals; an exception in a handler could lose what was read and is not kept yet


class Output:
    """Where the commands' output goes: the log and, at a terminal, standard output."""

    def __init__(self, log: BoundedLog, redaction: Redaction) -> None:
        self._log, self._redaction = log, redaction
        self._line = b""
        self._last: list[str] = []
        self._is_shown = sys.stdout.isatty()

    def begin(self, command: str) -> None:
        """Name the command that is about to run."""
        self.write(f"$ {command}\n".encode())
        self._last = []

    def write(self, data: bytes) -> None:
        """Take output."""
        if self._is_shown:
            with suppress(OSError):
                os.write(sys.stdout.fileno(), data)
        *lines, self._line = (self._line + data).split(b"\n")
        for line in lines:
            self._keep(line + b"\n")
        if len(self._line) > _LONGEST_LINE:
            self.end_line()

    def end_line(self) -> None:
        """Keep what has no line break."""
        if self._line:
            self._keep(self._line)
        self._line = b""

    def end(self, problem: str) -> None:
        """Say why the commands ended; where nobody has seen what they printed, with their last lines."""
        self.end_line()
        for line in [] if self._is_shown else self._last:
            sys.stderr.write(line)
        sys.stderr.write(f"{problem}\n")
        self._log.write(f"{problem}\n".encode())

    def _keep(self, line: bytes) -> None:
        text = self._redaction.text(line.decode(errors="replace"))
        self._last = [*self._last, text][-_SHOWN:]
        self._log.write(text.encode())


def run(command: str, output: Output) -> int:
    """Run one command to its end; what it leaves running goes on without being read."""
    output.begin(command)
    with subprocess.Popen(
        ["/bin/sh", "-c", command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        try:
            for piece in _pieces(process):
                output.write(piece)
        finally:
            output.end_line()
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    _end_if_asked()
    return process.returncode


def _pieces(process: subprocess.Popen[bytes]) -> Iterator[bytes]:
    """Yield what a command prints, until it has ended or a signal has come."""
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    is_open = True
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while not _received:
            if is_open and selector.select(_PAUSE):
                piece = os.read(process.stdout.fileno(), _CHUNK)
                is_open = bool(piece)
                yield piece
            elif process.poll() is not None:
                return
            elif not is_open:
                time.sleep(_PAUSE)
        if is_open and selector.select(0):
            yield os.read(process.stdout.fileno(), _CHUNK)  # all that a pipe holds


def _end_if_asked() -> None:
    if _received:
        sys.exit(128 + _received[0])


def prepare(commands: list[str], output: Output) -> int:
    """Run the commands up to the first that fails; return its number, or 0."""
    for number, command in enumerate(commands, 1):
        if status := run(command, output):
            output.end(f"command {number} of {len(commands)} of [code] setup failed with status {status}")
            _tell({"failed": number, "status": status})
            return number
    _tell({"failed": 0, "status": 0})
    return 0


def _tell(end: dict[str, int]) -> None:
    (_OUT / "end.new").write_text(json.dumps(end), encoding="ascii")
    (_OUT / "end.new").replace(_OUT / "end.json")


def main() -> NoReturn:
    """Run the commands, and then the agent in this process's place."""
    for number in _ENDING:
        signal.signal(number, lambda number, _: _received.append(number))
    given = json.loads((_HERE / "commands.json").read_text(encoding="ascii"))
    redaction = Redaction({name: os.environ[name] for name in given["variables"] if name in os.environ})
    with BoundedLog(_OUT / "log") as log:
        if prepare(given["commands"], Output(log, redaction)):
            sys.exit(FAILED)
    for number in _ENDING:
        signal.signal(number, signal.SIG_DFL)
    _end_if_asked()
    os.execvpe(sys.argv[1], sys.argv[1:], {**os.environ, "LW_CODER_PREPARED": "yes"})  # noqa: S606 - as typed


if __name__ == "__main__":
    main()
