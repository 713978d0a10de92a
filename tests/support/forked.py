"""lw_coder as a process of its own that need not start: forked from one that has imported everything.

Most of what a short command costs is the interpreter's start and its imports. A test that looks at neither
types it here. The process is real: its folder, its environment, what it reads and prints, how it ends.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import select
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

_LONGEST = 600.0  # seconds; this is a program too, which has no other module of the tests
_SLOW = ("lw_coder.__main__", "lw_coder.dspy")  # the first runs, the other takes seconds


def forked(
    *words: str,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    stdin: str = "",
    under: tuple[str, ...] = (),
) -> subprocess.CompletedProcess[str]:
    """Type `lw_coder WORDS`; return its status and what it printed, as `subprocess.run` does.

    Args:
        words: what is typed.
        cwd: where.
        env: the whole environment, by default that of the test.
        stdin: what it reads.
        under: a command that starts another one, such as `setpriv --no-new-privs`.
    """
    with tempfile.TemporaryDirectory(prefix="lw_coder-") as folder:
        files = [Path(folder) / name for name in ("stdin", "stdout", "stderr")]
        files[0].write_text(stdin, encoding="utf-8")
        environment = dict(os.environ if env is None else env)
        order = {"words": words, "cwd": str(cwd), "env": environment, "files": [str(file) for file in files]}
        status = _ask(_server(under), order)
        stdout, stderr = (file.read_text(encoding="utf-8") for file in files[1:])
    return subprocess.CompletedProcess(words, status, stdout, stderr)


def _ask(server: subprocess.Popen[str], order: Mapping[str, Any]) -> int:
    assert server.stdin
    assert server.stdout
    server.stdin.write(json.dumps(order) + "\n")
    server.stdin.flush()
    if not select.select([server.stdout], [], [], _LONGEST)[0]:
        server.kill()
        _server.cache_clear()
        raise AssertionError(f"it has not ended: {order['words']}")
    return int(server.stdout.readline())


@cache
def _server(under: tuple[str, ...]) -> subprocess.Popen[str]:
    """Start this file as a program, which ends with its standard input."""
    command = [*under, sys.executable, "-P", __file__]  # -P: the modules beside this file are none of its own
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _serve() -> None:
    """Fork for each order, and print how the child ended; the child returns, and carries the order out."""
    import lw_coder

    found = pkgutil.walk_packages(lw_coder.__path__, "lw_coder.")
    for name in [module.name for module in found if not module.name.startswith(_SLOW)]:
        importlib.import_module(name)
    importlib.import_module("python_on_whales")
    while line := sys.stdin.readline():
        child = os.fork()
        if not child:
            _become(json.loads(line))
            return
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
    sys.exit()


def _become(order: Mapping[str, Any]) -> None:
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    for number, file in enumerate(order["files"]):
        os.dup2(os.open(file, os.O_RDWR | os.O_CREAT, 0o600), number)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.argv = ["lw_coder", *order["words"]]


if __name__ == "__main__":
    _serve()
    sys.path.append(str(Path(__file__).parents[2]))
    from lw_coder.__main__ import main
    from tests.support.forking import run_to_the_end

    run_to_the_end(main)
