"""A signal for lw_coder at a chosen moment: at one of the programs that it starts, at a sight, or at a time.

Nothing of lw_coder is patched. Scripts that stand before git and docker on the PATH count what it starts. The
one that a strike names sends the signal, to lw_coder alone: what lw_coder has started goes on.
"""

from __future__ import annotations

import fcntl
import os
import pty
import shutil
import signal
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lw_coder.runs.run_folders import remove_tree
from tests.support.living import processes_with
from tests.support.patience import PATIENCE
from tests.support.sealed_runs import sealed_records

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
WHEN = ("before", "during", "after")  # of a program that is started
MARK = "LW_CODER_TORTURED"  # in the environment of the command, and so of all that it starts

_COUNTED = ("git", "docker")
# What lw_coder starts is counted by the size of a file. The folder "struck" is made by one of them alone.
_RECORDER = """#!/bin/sh
printf . >> '{folder}/count'
printf '%s\\n' "{name} $*" >> '{folder}/log'
[ -s '{folder}/order' ] || exec '{real}' "$@"
read -r number when signal < '{folder}/order'
set_off() {{
    if mkdir '{folder}/struck' 2> /dev/null; then
        for record in '{cwd}'/.lw_coder/runs/*/2*/run.json; do
            run=${{record%/run.json}}
            [ ! -e "$record" ] || [ -e "${{run%/*}}/.partial-${{run##*/}}" ] || echo "$record"
        done > '{folder}/struck/runs'
        read -r pid < '{folder}/pid'
        kill -s "$signal" "$pid" 2> /dev/null
    fi
}}
[ "$(wc -c < '{folder}/count')" -ge "$number" ] || exec '{real}' "$@"
case "$when" in
    before) set_off ;;
    during) (sleep 0.03; set_off) < /dev/null > /dev/null 2>&1 & ;;
    after)
        '{real}' "$@"
        status=$?
        set_off
        exit "$status" ;;
esac
exec '{real}' "$@"
"""
# What Python says, before it ends with status 1, if Ctrl+C comes while it starts.
_STARTING = "Fatal Python error: init_import_site"
_SHELL = 'echo $$ > "$0"; exec "$@"'


@dataclass(frozen=True)
class Sight:
    """Something that a command does, as it is seen from outside.

    Attributes:
        what: in words.
        is_there: tells whether it can be seen in a repository.
    """

    what: str
    is_there: Callable[[Path], object]


@dataclass(frozen=True)
class Strike:
    """A signal, and its moment.

    Attributes:
        number: the signal; SIGKILL can be for all processes that lw_coder has started too.
        program: which program that lw_coder starts, counted from 1; 0 if the moment is another one.
        when: before, during or after that program.
        seconds: since the start, if there is neither a program nor a sight.
        sight: what the strike waits for, if there is no program.
        all_of_them: whether all processes that the command has started get the signal at once.
    """

    number: signal.Signals
    program: int = 0
    when: str = WHEN[0]
    seconds: float = 0.0
    sight: Sight | None = None
    all_of_them: bool = False

    def __str__(self) -> str:
        whom = f"{self.number.name}{' for all processes' if self.all_of_them else ''}"
        if self.program:
            return f"{whom} {self.when} program {self.program}"
        return f"{whom} {f'when {self.sight.what}' if self.sight else f'after {self.seconds:.3f} s'}"


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        status: its exit status, 128 + n where signal n ended it by its default action; None if it went on.
        is_struck: whether the signal was sent before.
        runs: how many sealed runs there were when it was sent.
        by_default: whether it was ended by the signal's default action, or by Python's before lw_coder began.
        shown: what it printed.
        programs: the programs that it started.
        seconds: how long it took.
        outlived: processes that it left, and that did not end.
    """

    status: int | None
    is_struck: bool
    runs: int
    by_default: bool
    shown: str
    programs: tuple[str, ...]
    seconds: float
    outlived: tuple[str, ...]


class Watched:
    """Starts commands that can be struck.

    Args:
        folder: an empty one, for the scripts and what they count.
        env: the commands' environment.
        cwd: where they run.
    """

    def __init__(self, folder: Path, env: Mapping[str, str], cwd: Path) -> None:
        self._folder, self._cwd = folder, cwd
        (folder / "path").mkdir(parents=True)
        for name in _COUNTED:
            script = folder / "path" / name
            script.write_text(_RECORDER.format(folder=folder, name=name, real=shutil.which(name), cwd=cwd))
            script.chmod(0o755)
        self._env = {**env, "PATH": f"{folder / 'path'}:{env['PATH']}", MARK: str(folder)}

    def run(
        self, command: Sequence[str], strike: Strike | None = None, *, at_terminal: bool, waits: bool = True
    ) -> Ended:
        """Run a command to its end, with a strike if there is one.

        Args:
            command: the program and its arguments.
            strike: the signal that it gets.
            at_terminal: whether it has a terminal.
            waits: wait for the end of what it leaves running too.
        """
        self._begin(strike)
        began = time.monotonic()
        with _Child(self._folder / "pid", command, self._cwd, self._env, at_terminal=at_terminal) as child:
            if strike and not strike.program:
                self._strike_in_time(child, strike, began)
            status = child.wait()
            took = time.monotonic() - began
            outlived = self._wait_for_the_others() if waits else ()
        return Ended(
            _as_a_shell_has_it(status, child.text),
            (self._folder / "struck").exists(),
            self._runs_when_struck(),
            status is not None and (status < 0 or _STARTING in child.text),
            child.text,
            tuple((self._folder / "log").read_text(errors="replace").splitlines()),
            took,
            outlived,
        )

    def _runs_when_struck(self) -> int:
        noted = self._folder / "struck/runs"
        return len(noted.read_text().splitlines()) if noted.exists() else 0

    def _begin(self, strike: Strike | None) -> None:
        remove_tree(self._folder / "struck")
        for name in ("count", "log", "order"):
            (self._folder / name).write_bytes(b"")
        if strike and strike.program:
            words = f"{strike.program} {strike.when} {strike.number.name.removeprefix('SIG')}\n"
            (self._folder / "order").write_text(words, encoding="ascii")

    def _strike_in_time(self, child: _Child, strike: Strike, began: float) -> None:
        while child.is_running and not self._is_time(strike, began):
            time.sleep(0.002)
        if child.is_running:
            (self._folder / "struck").mkdir()
            sealed = "".join(f"{path}\n" for path in sealed_records(self._cwd))
            (self._folder / "struck/runs").write_text(sealed)
            others = self._others() if strike.all_of_them else []
            for pid in (child.pid, *(pid for pid, _ in others)):
                with suppress(ProcessLookupError):
                    os.kill(pid, strike.number)

    def _is_time(self, strike: Strike, began: float) -> object:
        if strike.sight:
            return strike.sight.is_there(self._cwd)
        return time.monotonic() - began >= strike.seconds

    def _others(self) -> list[tuple[int, str]]:
        return list(processes_with(MARK, str(self._folder)))

    def _wait_for_the_others(self) -> tuple[str, ...]:
        deadline = time.monotonic() + PATIENCE / 5
        while (others := self._others()) and time.monotonic() < deadline:
            time.sleep(0.02)
        return tuple(command for _, command in others)


def _as_a_shell_has_it(status: int | None, shown: str) -> int | None:
    if status is not None and _STARTING in shown:
        return 128 + signal.SIGINT
    return 128 - status if status is not None and status < 0 else status


class _Child:
    """A command, at a terminal of its own or without one; what it prints is read all the time."""

    def __init__(
        self, pid_file: Path, command: Sequence[str], cwd: Path, env: Mapping[str, str], *, at_terminal: bool
    ) -> None:
        ours, theirs = pty.openpty() if at_terminal else os.pipe()
        pid_file.unlink(missing_ok=True)
        if at_terminal:
            fcntl.ioctl(
                theirs, termios.TIOCSWINSZ, b"\x32\x00\xa0\x00\x00\x00\x00\x00"
            )  # 50 rows, 160 columns
        self._ours, self._chunks = ours, list[bytes]()
        self._process = subprocess.Popen(
            [*(("setsid", "--ctty") if at_terminal else ()), "sh", "-c", _SHELL, str(pid_file), *command],
            cwd=cwd,
            env=env,
            stdin=theirs if at_terminal else subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
        )
        self.pid = self._process.pid
        os.close(theirs)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:
            self._process.kill()
        self._reader.join(5)
        with suppress(OSError):
            os.close(self._ours)

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    @property
    def text(self) -> str:
        return b"".join(self._chunks).decode(errors="replace")

    def wait(self) -> int | None:
        try:
            return self._process.wait(PATIENCE / 2)
        except subprocess.TimeoutExpired:
            return None

    def _read(self) -> None:
        with suppress(OSError):  # Linux tells the end of a terminal so
            while chunk := os.read(self._ours, 65536):
                self._chunks.append(chunk)
