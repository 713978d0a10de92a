"""A module that runs as a process of its own which need not start: forked from one that has imported it.

Most of what such a process costs is the interpreter's start and its imports. It is real: its folder, its
environment, what it prints, how it ends. `forked` does the same for commands of lw_coder, which end by
themselves.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

_LARGEST_ORDER = 1 << 20  # bytes; nearly all of them are the environment
_PROGRAM = str(Path(__file__))  # this is a program too, which has no other module of the tests


class ForkedProcess:
    """A process that is no child of this one.

    Args:
        pid: of a process that runs, or that nobody has waited for yet.
    """

    def __init__(self, pid: int) -> None:
        self._descriptor = os.pidfd_open(pid)

    def kill(self) -> None:
        """End it at once."""
        self._send(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self._send(signal.SIGTERM)

    def poll(self) -> bool | None:
        """Return None as long as it runs."""
        return True if select.select([self._descriptor], [], [], 0)[0] else None

    def wait(self, timeout: float) -> None:
        """Wait for its end; nothing more can be done with it then."""
        has_ended = select.select([self._descriptor], [], [], timeout)[0]
        os.close(self._descriptor)
        assert has_ended, f"it has not ended in {timeout} s"

    def _send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._descriptor, number)


def start_module(
    folder: Path, module: str, words: Sequence[str], env: Mapping[str, str], imports: str
) -> ForkedProcess:
    """Do what `python -m MODULE WORDS` would.

    Args:
        folder: has the module.
        module: is run as the main one.
        words: its arguments.
        env: the process's whole environment.
        imports: the module that is imported once, for all processes.
    """
    server = _server(folder, imports)
    order = {"module": module, "words": list(words), "env": dict(env), "cwd": str(Path.cwd())}
    socket.send_fds(server, [json.dumps(order).encode()], [1, 2])
    return ForkedProcess(int(server.recv(_LARGEST_ORDER)))


@cache
def _server(folder: Path, imports: str) -> socket.socket:
    """Start this file as a program, which ends with this end of its socket."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, "-P", _PROGRAM, str(folder), imports, str(theirs.fileno())]
    with theirs:
        subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])
    return ours


def _serve(orders: socket.socket) -> dict[str, Any]:
    """Fork for each order, and tell the child's id; the child returns, with its order."""
    while True:
        message, descriptors, _, _ = socket.recv_fds(orders, _LARGEST_ORDER, 2)
        if not message:
            sys.exit()
        _forget_those_that_ended()
        child = os.fork()
        if not child:
            _become(order := json.loads(message), descriptors)
            return dict(order)
        for descriptor in descriptors:
            os.close(descriptor)
        orders.send(str(child).encode())


def _forget_those_that_ended() -> None:
    """Wait for them no sooner than now: whoever ordered one has had its descriptor for a long time."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _become(order: Mapping[str, Any], descriptors: Sequence[int]) -> None:
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    for number, descriptor in enumerate(descriptors, 1):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.argv[1:] = order["words"]


def _main() -> None:
    folder, imports, number = sys.argv[1:]
    sys.path.insert(0, folder)
    importlib.import_module(imports)
    with socket.socket(fileno=int(number)) as orders:
        order = _serve(orders)
    run_to_the_end(lambda: runpy.run_module(order["module"], run_name="__main__", alter_sys=True))


def run_to_the_end(program: Callable[[], object]) -> None:
    """End as Python does, but take no modules apart: that is most of what an end costs."""
    code: object = None
    try:
        program()
    except SystemExit as ended:
        code = ended.code
    if code is not None and not isinstance(code, int):
        sys.exit(str(code))
    threading._shutdown()  # type: ignore[attr-defined] # noqa: SLF001
    atexit._run_exitfuncs()  # noqa: SLF001
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)


if __name__ == "__main__":
    _main()
