"""A repository whose agent ends at once, and the commands that are timed in it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pexpect

from tests.support.engine import bridge_address
from tests.support.sample_repository import PLAN, PLAN_ID, SampleRepository, make_sample_repository
from tests.support.scripted_model import Script, ScriptedModel
from tests.support.shell_agent import shell_agent

PYTHON = sys.executable
LW_CODER = str(Path(PYTHON).with_name("lw_coder"))

# It replaces droid: it prints when its first instruction ran. If the worktree has a file "linger", it waits.
_STUB = r"#!/bin/sh\ndate +FIRST:%s.%N\n[ -e /workspace/linger ] && sleep 30\nexit 0\n"
_DOCKERFILE = f"""FROM lw_coder_droid:latest
RUN printf '%b' '{_STUB}' > "$(command -v start-session)"\
"""
# Variables that a machine may have set, and that would change what is measured.
_LEFT_OUT = ("OPENROUTER_", "FACTORY_", "GIT_", "COMPOSE_", "BUILDX_", "PYTHON", "XDG_")


@dataclass(frozen=True)
class Timed:
    """Seconds from the start of a command to the agent's first instruction, and to its end."""

    first: float
    total: float


@dataclass(frozen=True)
class Workplace:
    """A sample repository with a home of its own, and the lw_coder that works in it."""

    sample: SampleRepository
    home: Path
    lw_coder: str = LW_CODER

    @property
    def root(self) -> Path:
        """The repository's root."""
        return self.sample.root

    @property
    def env(self) -> Mapping[str, str]:
        """What the commands are started with; a bare build at a terminal would ask for a permission."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_LEFT_OUT)}
        own = {"HOME": str(self.home), "TMPDIR": str(self.home / "tmp"), "TERM": "xterm-256color"}
        return {**kept, **own, "BUILDX_BAKE_ENTITLEMENTS_FS": "0"}

    def starts(self, command: Sequence[str], **variables: str) -> pexpect.spawn[bytes]:
        """Start a command at a terminal of its own, with more variables."""
        return pexpect.spawn(
            command[0],
            list(command[1:]),
            cwd=str(self.root),
            env={**self.env, **variables},
            timeout=300,
            dimensions=(50, 160),
        )

    def times(self, *command: str, **variables: str) -> Timed:
        """Run a command that starts the stub, to its end."""
        began = time.time()
        child = self.starts(command, **variables)
        child.expect(rb"FIRST:\d+\.\d+")
        first = float((child.after if isinstance(child.after, bytes) else b"").removeprefix(b"FIRST:"))
        child.expect(pexpect.EOF)
        total = time.time() - began
        finish(child)
        return Timed(first - began, total)

    def code(self, plan: str = PLAN_ID) -> Timed:
        """Time `lw_coder code`."""
        return self.times(self.lw_coder, "code", plan)

    def bare(self, plan: str = PLAN_ID) -> tuple[str, ...]:
        """The very compose file of a plan's newest run, built and run as a person would."""
        compose = f"docker compose -f {self.newest_run(plan).relative_to(self.root)}/compose.yml"
        return ("/bin/sh", "-c", f"{compose} --profile build build -q repo && exec {compose} run --rm droid")

    def newest_run(self, plan: str = PLAN_ID) -> Path:
        """The folder of a plan's newest run."""
        return max(self.root.glob(f".lw_coder/runs/{plan}/2*"))

    def add_plan(self, name: str) -> None:
        """Write another plan."""
        text = (self.root / PLAN).read_text(encoding="utf-8").replace(PLAN_ID, name)
        (self.root / PLAN).with_name(f"{name}.md").write_text(text, encoding="utf-8")

    def set_dockerfile(self, more: str = "") -> None:
        """Give the repository's image the stub, and what more it is to be built of."""
        # A layer of its own: the engine fails builds of one that it removes at that moment, for another.
        text = f"{_DOCKERFILE} # {self.root.parent.name}\n{more}"
        (self.root / ".lw_coder/code.Dockerfile").write_text(text, encoding="ascii")


def finish(child: pexpect.spawn[bytes]) -> None:
    """Wait for a command's end; a status other than 0 is an error that shows what it printed."""
    if not child.flag_eof:
        child.expect(pexpect.EOF)
    shown = child.before if isinstance(child.before, bytes) else b""
    child.close()  # takes a tenth of a second by itself, which is no part of what is timed
    if child.exitstatus:
        raise RuntimeError(f"{child.args}: {child.exitstatus}\n{shown.decode(errors='replace')}")


@contextmanager
def workplace(
    thinking: float = 0.0, lw_coder: str = LW_CODER, script: Script | None = None
) -> Iterator[Workplace]:
    """Make a workplace, and remove all of it afterwards.

    Args:
        thinking: seconds after which the model answers.
        lw_coder: the command.
        script: plays the model for the real droid; by default, the stub takes droid's place.
    """
    folder = Path(tempfile.mkdtemp(prefix="lw_coder-bench-"))
    try:
        with ScriptedModel(script or shell_agent([], thinking=thinking), host=bridge_address()) as model:
            place = Workplace(make_sample_repository(folder / "repository"), folder / "home", lw_coder)
            (place.home / "tmp").mkdir(parents=True)
            place.sample.write_env(model.base_url)
            if script is None:
                place.set_dockerfile()
            try:
                yield place
            finally:
                _remove_images(place)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def image_names(services: str) -> list[str]:
    """List the images that a services.yml names, by tag or by id; an earlier version quotes none."""
    return re.findall(r'^ +image: "?([^"\n]+)"?$', services, re.MULTILINE)


def _remove_images(place: Workplace) -> None:
    """Remove the images that the runs name: the repository's tag, and one for each changed layer."""
    texts = [path.read_text(encoding="utf-8") for path in place.root.glob(".lw_coder/runs/*/2*/services.yml")]
    named = {name for text in texts for name in image_names(text)}
    named.discard("lw_coder_droid:latest")
    subprocess.run(["docker", "image", "rm", "--force", *named], check=False, capture_output=True)


def seconds(command: Sequence[str], cwd: Path | None = None, env: Mapping[str, str] | None = None) -> float:
    """Time a process that needs no terminal, from its start to its end."""
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, cwd=cwd, env=env)
    return time.perf_counter() - began
