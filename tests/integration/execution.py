"""One `lw_coder code` as a person sees it, with a look into its container while the session is up."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from lw_coder.containers.image_names import repo_hash, repo_tag
from lw_coder.repository.git import find_repository, root_commit
from tests.support.engine import containers, docker
from tests.support.patience import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.support.terminal import Terminal

_RUN_NAME = re.compile(r"\d{8}T\d{6}Z(-\d+)?")


class AtWork:
    """A plan's session in the repository at `root`, while it is up."""

    def __init__(self, root: Path, plan_id: str) -> None:
        self.root = root
        self.plan_id = plan_id

    @property
    def identity(self) -> str:
        """The repository's, as its image and its containers carry it."""
        repository = find_repository(self.root)
        return repo_hash(root_commit(repository), repository.common_dir)

    @property
    def image(self) -> str:
        return repo_tag(self.identity)

    @property
    def container(self) -> str:
        """The session's container; others that run on the same engine are none of ours."""
        (found,) = containers(f"lw_coder.plan={self.identity}/{self.plan_id}")
        return found

    def inside(self, *command: str) -> str:
        """Run a command in the session's container, with its user, its limits and its variables."""
        return docker("exec", self.container, *command)

    def find_inside(self, names: Sequence[str]) -> list[str]:
        """Find files of these names anywhere in the container, mounts included, closed folders too."""
        wanted = [part for name in names for part in ("-o", "-name", name)][1:]
        kernels = ("(", "-path", "/proc", "-o", "-path", "/sys", ")", "-prune")
        command = ("find", "/", *kernels, "-o", "(", *wanted, ")", "-print")
        return docker("exec", "--privileged", "--user", "0", self.container, *command).split()


class Execution(AtWork):
    """A command that was typed: its terminal, and what it makes of the repository at `root`."""

    def __init__(self, terminal: Terminal, root: Path, plan_id: str) -> None:
        super().__init__(root, plan_id)
        self.terminal = terminal
        self.status: int | None = None
        self.typed_at = datetime.now(UTC)
        self._earlier = run_folders(root, plan_id)

    def wait_for(self, text: str) -> None:
        """Read until the screen shows the text or the command ends by itself."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.terminal.screen and self.status is None:
            assert time.monotonic() < deadline, self.terminal.screen
            if not self.terminal.settle(0.2):
                self.status = self.terminal.wait()

    def end(self) -> int:
        """Leave the session if it is still up, and give the command's status."""
        if self.status is None:
            self.status = self.terminal.leave()
        return self.status

    @cached_property
    def run(self) -> Path:
        """The folder of this command's run: the first that was not there before."""
        return min(set(run_folders(self.root, self.plan_id)) - set(self._earlier))


def run_folders(root: Path, plan_id: str) -> list[Path]:
    """List a plan's complete runs, oldest first."""
    folder = root / ".lw_coder/runs" / plan_id
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in found if _RUN_NAME.fullmatch(path.name))


def docker_clients(run: Path) -> list[int]:
    """List docker's processes that work on this run's Compose file."""
    name = str(run / "compose.yml").encode()
    lines = {path: _command_line(path) for path in _processes()}
    return [int(path.parent.name) for path, line in lines.items() if name in line and b"run" in line]


def command_lines() -> list[list[bytes]]:
    """Return the words of each process's command line."""
    return [_command_line(path) for path in _processes()]


def _processes() -> Iterator[Path]:
    return Path("/proc").glob("[0-9]*/cmdline")


def _command_line(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().split(b"\0")
    except OSError:
        return []
