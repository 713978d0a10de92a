"""Commands that are started in bad weather, without a terminal or at one, and how they ended."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from lw_coder.foundation.errors import ExitCode
from tests.support.installed import LW_CODER
from tests.support.patience import PATIENCE, wait_until
from tests.support.sample_repository import PLAN_ID
from tests.support.terminal import Terminal
from tests.torture.scenes import Scene

CODE = ("code", PLAN_ID, "--headless")
LONGEST_END = 400  # seconds that an end may take while the engine is silent, on a busy machine
DONE = {ExitCode.OK}
REFUSED = {ExitCode.ERROR}


@dataclass(frozen=True)
class Told:
    """How a command ended: its status, -9 if it had to be killed, and all that it printed."""

    status: int
    shown: str


@dataclass
class Running:
    """A command that was started, without a terminal."""

    process: subprocess.Popen[str]
    _shown: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self._shown.append(line)

    @property
    def shown(self) -> str:
        return "".join(self._shown)

    @property
    def pid(self) -> int:
        return self.process.pid

    def send_signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait_until(self, is_there: Callable[[], bool], what: str) -> None:
        """Wait until something is there; fail if the command ends before."""
        wait_until(lambda: is_there() or self.process.poll() is not None, what)
        assert self.process.poll() is None, self.shown

    def end(self, seconds: float = PATIENCE) -> Told:
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self._reader.join(10)
        return Told(status, self.shown)


@dataclass
class AtTerminal:
    """A command that was started at a terminal."""

    terminal: Terminal

    @property
    def pid(self) -> int:
        return self.terminal.pid

    def send_signal(self, number: signal.Signals) -> None:
        self.terminal.send_signal(number)

    def wait_until(self, is_there: Callable[[], bool], what: str) -> None:
        self.terminal.wait_until(is_there, what, PATIENCE)

    def end(self, seconds: float = PATIENCE) -> Told:
        return Told(self.terminal.wait(seconds), self.terminal.text)


Command = Running | AtTerminal


def started(scene: Scene, *words: str, under: Sequence[str] = (), **variables: str | None) -> Running:
    """Start an lw_coder command.

    Args:
        scene: where.
        words: what is typed.
        under: a command that runs it.
        variables: of its environment, in addition to the scene's; None removes one.
    """
    env = {name: value for name, value in {**scene.env, **variables}.items() if value is not None}
    return Running(
        subprocess.Popen(
            [*under, LW_CODER, *words],
            cwd=scene.root,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    )


def at_terminal(scene: Scene, variables: Mapping[str, str]) -> Terminal:
    """Start a session at a terminal."""
    return Terminal((LW_CODER, "code", PLAN_ID), scene.root, {**scene.env, **variables})


def ran(scene: Scene, *words: str, under: Sequence[str] = (), **variables: str | None) -> Told:
    """Run an lw_coder command to its end."""
    return started(scene, *words, under=under, **variables).end()


def unusual(told: Told, statuses: set[ExitCode] | set[int]) -> list[str]:
    """Name what no command may do whatever the weather."""
    found = [] if told.status in statuses else [f"status {told.status}, not one of {sorted(statuses)}"]
    found += [word for word in ("Traceback", "a bug in lw_coder") if word in told.shown]
    if told.status == ExitCode.ERROR and not {"error:", "wrong "} & {
        line[:6] for line in told.shown.splitlines()
    }:
        found.append("no line says what is wrong")
    return [f"{one}:\n{told.shown}" for one in found]
