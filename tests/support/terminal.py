"""A person at a terminal: a program behind a real pty, and what its screen shows."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pexpect
import pyte

ROWS, COLUMNS = 50, 160
_CTRL_C = "\x03"
# Several threads have people of their own, and filelock lets only one fork at a time.
_FORKING = threading.Lock()
_LEAVING = 15  # seconds that droid's end and what follows it may take on a busy machine


class ScreenTimeoutError(AssertionError):
    """The screen never showed what was waited for; the message holds what it did show."""


class Terminal:
    """Runs a program as a person would see it.

    The screen is that of a terminal emulator: what the program drew over is gone from `screen`, and
    still in `transcript`.
    """

    def __init__(self, command: Sequence[str], cwd: Path, env: Mapping[str, str]) -> None:
        self._screen = pyte.HistoryScreen(COLUMNS, ROWS, history=5000)
        self._stream = pyte.ByteStream(self._screen)
        self.transcript = b""
        with _FORKING:
            self._child: pexpect.spawn[bytes] = pexpect.spawn(
                command[0],
                list(command[1:]),
                cwd=str(cwd),
                env={**env, "TERM": "xterm-256color"},
                dimensions=(ROWS, COLUMNS),
                timeout=5,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.close(force=True)

    @property
    def is_alive(self) -> bool:
        return bool(self._child.isalive())

    def send_signal(self, number: signal.Signals) -> None:
        """Signal the program alone, if it has not ended."""
        if self._child.isalive():
            self._child.kill(number)

    @property
    def is_dead_by_signal(self) -> bool:
        """Whether it was ended by a signal's default action, once it was waited for."""
        return self._child.signalstatus is not None

    @property
    def screen(self) -> str:
        """What is to be seen now, without trailing spaces."""
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    @property
    def text(self) -> str:
        """All that was ever shown, line by line, with what was drawn over left out."""
        history = (
            "".join(cell.data for _, cell in sorted(line.items())) for line in self._screen.history.top
        )
        return "\n".join([*(line.rstrip() for line in history), self.screen])

    def wait_for(self, text: str, timeout: float = 60) -> None:
        """Read until the screen shows the text."""
        self.wait_until(lambda: text in self.screen, text, timeout)

    def wait_until(self, is_met: Callable[[], bool], what: str, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not is_met():
            if time.monotonic() > deadline or not self._read():
                raise ScreenTimeoutError(f"waited for {what!r}; the screen shows:\n{self.screen}")

    def settle(self, seconds: float) -> bool:
        """Read whatever comes for a while; tell whether the program still runs."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not self._read():
                return False
        return True

    def type(self, text: str) -> None:
        self._child.send(text)

    def press_ctrl_c(self) -> None:
        self._child.send(_CTRL_C)

    def resize(self, rows: int, columns: int) -> None:
        self._child.setwinsize(rows, columns)
        self._screen.resize(rows, columns)

    def leave(self, timeout: float = 60) -> int:
        """Leave droid, which wants Ctrl+C twice within a second; return the program's exit status.

        A third one would meet what comes after droid: so it is pressed only when nothing ended for long.
        """
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            self.press_ctrl_c()
            if not self.settle(0.5):
                break
            self.press_ctrl_c()
            if not self.settle(_LEAVING):
                break
        return self.wait(timeout)

    def end(self, timeout: float = 60) -> None:
        """Ask the program and its children to end, and give them time to tidy up behind themselves."""
        if self._child.pid and self._child.isalive():
            os.killpg(self._child.pid, signal.SIGTERM)
            self.wait(timeout)

    def wait(self, timeout: float = 60) -> int:
        """Read to the end and return the exit status (128 + n after signal n)."""
        deadline = time.monotonic() + timeout
        while self._read():
            if time.monotonic() > deadline:
                raise ScreenTimeoutError(f"waited for the end; the screen shows:\n{self.screen}")
        self._child.close()
        if self._child.exitstatus is not None:
            return int(self._child.exitstatus)
        return 128 + int(self._child.signalstatus or 0)

    def _read(self) -> bool:
        try:
            chunk = self._child.read_nonblocking(65536, timeout=0.2)
        except pexpect.TIMEOUT:
            return True
        except (pexpect.EOF, OSError):
            return False
        self.transcript += chunk
        self._stream.feed(chunk)
        return True
