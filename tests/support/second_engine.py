"""An engine of a test's own, beside the machine's: of a kind that the machine's is not."""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
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


@contextmanager
def second_engine(folder: Path, config: Mapping[str, Any], flags: Sequence[str] = ()) -> Iterator[str]:
    """Start an engine without networks, in namespaces of its own; yield its DOCKER_HOST.

    Without a network namespace of its own, `--bridge=none` would have it delete the machine's docker0.

    Args:
        folder: an empty one for all that is its own; sockets want a short path.
        config: its daemon.json.
        flags: of dockerd.
    """
    (folder / "daemon.json").write_text(json.dumps(config), encoding="ascii")
    host = f"unix://{folder}/sock"
    own = ("data-root", "data"), ("exec-root", "exec"), ("pidfile", "pid"), ("config-file", "daemon.json")
    command = [
        *("dockerd", f"--host={host}", "--bridge=none", "--iptables=false", "--ip6tables=false"),
        *(f"--{flag}={folder / name}" for flag, name in own),
        *flags,
    ]
    script = f"{_mount_accounts(folder)}\nexec {shlex.join(command)}"
    with (folder / "log").open("wb") as log:
        engine = subprocess.Popen(
            ["unshare", "--mount", "--net", "sh", "-e", "-c", script],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            _wait_for(host, engine, folder / "log")
            yield host
        finally:
            engine.terminate()
            engine.wait(60)


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
