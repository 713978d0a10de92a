"""A person at a terminal: a program behind a real pty, and what its screen shows."""

from __future__ import annotations

import os
import signal
import termios
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pexpect
import pyte

from tests.support.patience import PATIENCE

ROWS, COLUMNS = 50, 160
_CTRL_C = "\x03"
# Several threads have people of their own, and filelock lets only one fork at a time.
_FORKING = threading.Lock()
_ANOTHER_TRY = 15  # seconds after which droid is taken to have missed one of two Ctrl+C
_PAUSE = 0.02  # seconds
_CHUNK = 8192  # bytes; the screen is looked at after each, so that nothing brief is missed


class ScreenTimeoutError(AssertionError):
    """The screen never showed what was waited for; the message holds what it did show."""


class _Screen(pyte.Screen):
    """A terminal's screen, and the lines that have left it at the top.

    pyte's own HistoryScreen turns pages too, which takes twice the time, and makes all lines anew each time.
    """

    def __init__(self, columns: int, lines: int) -> None:
        self.scrolled: deque[Mapping[int, Any]] = deque(maxlen=5000)
        self._rows: dict[int, str] = {}
        super().__init__(columns, lines)

    @property
    def rows(self) -> list[str]:
        """The lines to be seen now, without trailing spaces; those that have changed are made anew."""
        for y in self.dirty:
            line = self.buffer[y]
            self._rows[y] = "".join([line[x].data for x in range(self.columns)]).rstrip()
        self.dirty.clear()
        return [self._rows[y] for y in range(self.lines)]

    def reset(self) -> None:
        super().reset()
        self.scrolled.clear()

    def index(self) -> None:
        top, bottom = self.margins or (0, self.lines - 1)
        if self.cursor.y == bottom:
            self.scrolled.append(self.buffer[top])
        super().index()

    def erase_in_display(self, how: int = 0, *more: Any, **options: Any) -> None:
        super().erase_in_display(how, *more, **options)
        if how == 3:
            self.scrolled.clear()


class Terminal:
    """Runs a program as a person would see it.

    The screen is that of a terminal emulator: what the program drew over is gone from `screen`, and
    still in `transcript`.
    """

    def __init__(self, command: Sequence[str], cwd: Path, env: Mapping[str, str]) -> None:
        self._screen = _Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self._screen)
        self.transcript = b""
        with _FORKING:
            self._child: pexpect.spawn[bytes] = pexpect.spawn(
                command[0],
                list(command[1:]),
                cwd=str(cwd),
                env={**env, "TERM": "xterm-256color"},
                dimensions=(ROWS, COLUMNS),
                timeout=PATIENCE,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.close(force=True)

    @property
    def pid(self) -> int:
        """The program's process id."""
        return int(self._child.pid or 0)

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
        return "\n".join(self._screen.rows).rstrip()

    @property
    def cells(self) -> list[list[Any]]:
        """The screen's characters with their colours, row by row, as pyte has them."""
        rows, columns = range(self._screen.lines), range(self._screen.columns)
        return [[self._screen.buffer[y][x] for x in columns] for y in rows]

    @property
    def text(self) -> str:
        """All that was ever shown, line by line, with what was drawn over left out."""
        history = ("".join(cell.data for _, cell in sorted(line.items())) for line in self._screen.scrolled)
        return "\n".join([*(line.rstrip() for line in history), self.screen])

    def wait_for(self, text: str, timeout: float = PATIENCE) -> None:
        """Read until the screen shows the text."""
        self.wait_until(lambda: text in self.screen, text, timeout)

    def wait_until(self, is_met: Callable[[], bool], what: str, timeout: float = PATIENCE) -> None:
        deadline = time.monotonic() + timeout
        while not is_met():
            if time.monotonic() > deadline or not (self._read() or self._is_ending() or is_met()):
                raise ScreenTimeoutError(f"waited for {what!r}; the screen shows:\n{self.screen}")

    def _is_ending(self) -> bool:
        """Return whether the program still runs after the end of its output, as a killed one does briefly."""
        time.sleep(_PAUSE)
        return self.is_running

    def settle(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Read whatever comes for a while, or until something is so; tell whether the program still runs."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not until():
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

    @property
    def is_raw(self) -> bool:
        """Whether Ctrl+C is a key like any other, as it is while a session has the terminal."""
        try:
            return not termios.tcgetattr(self._child.child_fd)[3] & termios.ISIG
        except (termios.error, ValueError):  # the program has ended
            return False

    @property
    def is_running(self) -> bool:
        """Whether the program itself runs; what it started can outlive it."""
        return bool(self._child.isalive())

    def leave(self) -> int:
        """Leave the session as `leave_session` does; return the program's exit status."""
        self.leave_session()
        return self.wait()

    def leave_session(self) -> None:
        """Leave droid, which wants Ctrl+C twice within a second: a busy machine can take too long for that.

        Once the session has given the terminal back, another one would interrupt what comes after it.
        """
        deadline = time.monotonic() + PATIENCE
        while self.is_raw and time.monotonic() < deadline:
            self.press_ctrl_c()
            self.settle(0.5, until=self._is_given_back)
            if self.is_raw:
                self.press_ctrl_c()
                self.settle(_ANOTHER_TRY, until=self._is_given_back)

    def _is_given_back(self) -> bool:
        return not self.is_raw

    def end(self, timeout: float = PATIENCE) -> None:
        """Ask the program and its children to end, and give them time to tidy up behind themselves."""
        if self._child.pid and self._child.isalive():
            os.killpg(self._child.pid, signal.SIGTERM)
            self.wait(timeout)

    def wait(self, timeout: float = PATIENCE) -> int:
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
            chunk = self._child.read_nonblocking(_CHUNK, timeout=0.2)
        except pexpect.TIMEOUT:
            return True
        except (pexpect.EOF, OSError):
            return False
        self.transcript += chunk
        self._stream.feed(chunk)
        return True
