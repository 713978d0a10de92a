"""An engine of a test's own, beside the machine's: of a kind that the machine's is not."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_USER = "dockremap"
# `dockerd --userns-remap=default` would add this user to the machine's own files.
_ACCOUNTS = {
    "/etc/passwd": f"{_USER}:x:64999:64999::/nonexistent:/bin/false\n",
    "/etc/group": f"{_USER}:x:64999:\n",
    "/etc/subuid": f"{_USER}:100000:65536\n",
    "/etc/subgid": f"{_USER}:100000:65536\n",
}


@dataclass
class SecondEngine:
    """Such an engine, which can be stopped and frozen.

    Attributes:
        folder: all that is its own.
        command: dockerd, with its flags.
    """

    folder: Path
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def host(self) -> str:
        """Its DOCKER_HOST."""
        return f"unix://{self.folder}/sock"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        script = f"{_mount_accounts(self.folder)}\nexec {shlex.join(self.command)}"
        unshared = ["unshare", "--mount", "--net", "sh", "-e", "-c", script]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(unshared, stdout=log, stderr=log, start_new_session=True)
        _wait_for(self.host, self.process, self.folder / "log")

    def stop(self) -> None:
        """End it as a system does that shuts down, with its containers; no effect if it has ended."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            self.process.wait(60)
            self.process = None

    def kill(self) -> None:
        """End it as a crash does; its containers go on."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(60)
        self.process = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Have it answer nothing during the block; its containers go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)


@contextmanager
def an_engine(
    folder: Path, config: Mapping[str, Any], flags: Sequence[str] = (), *, bridge: bool = False
) -> Iterator[SecondEngine]:
    """Start an engine in namespaces of its own.

    Without a network namespace of its own, `--bridge=none` would have it delete the machine's docker0.

    Args:
        folder: an empty one for all that is its own; sockets want a short path.
        config: its daemon.json.
        flags: of dockerd.
        bridge: whether containers get a network, which leads nowhere.
    """
    (folder / "daemon.json").write_text(json.dumps(config), encoding="ascii")
    own = ("data-root", "data"), ("exec-root", "exec"), ("pidfile", "pid"), ("config-file", "daemon.json")
    command = [
        *("dockerd", f"--host=unix://{folder}/sock"),
        *("--iptables=false", "--ip6tables=false", *(() if bridge else ("--bridge=none",))),
        *(f"--{flag}={folder / name}" for flag, name in own),
        *flags,
    ]
    engine = SecondEngine(folder, command)
    try:
        engine.start()
        yield engine
    finally:
        engine.stop()


@contextmanager
def second_engine(folder: Path, config: Mapping[str, Any], flags: Sequence[str] = ()) -> Iterator[str]:
    """As `an_engine`; yield its DOCKER_HOST."""
    with an_engine(folder, config, flags) as engine:
        yield engine.host


def _mount_accounts(folder: Path) -> str:
    lines = []
    for path, line in _ACCOUNTS.items():
        copy = folder / Path(path).name
        before = Path(path).read_text(encoding="utf-8") if Path(path).exists() else ""
        kept = [one for one in before.splitlines() if not one.startswith(f"{_USER}:")]
        copy.write_text("\n".join([*kept, line]), encoding="utf-8")
        lines.append(f"touch {path}; mount --bind {shlex.quote(str(copy))} {path}")
    return "\n".join(lines)


def _wait_for(host: str, engine: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 120
    while (
        subprocess.run(["docker", "--host", host, "info"], capture_output=True, check=False).returncode != 0
    ):
        assert engine.poll() is None, log.read_text(errors="replace")
        assert time.monotonic() < deadline, log.read_text(errors="replace")
        time.sleep(0.2)
