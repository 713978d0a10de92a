"""`lw_coder code --headless --engine swarm` on the sample repository, with an agent that runs a script."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lw_coder.containers.job_spec import SLOT
from tests.integration.conftest import LW_CODER
from tests.integration.execution import run_folders
from tests.integration.known_prompts import know_prompts
from tests.support.cluster import Cluster
from tests.support.patience import PATIENCE
from tests.support.sample_repository import PLAN_ID, SampleRepository
from tests.support.stand_in import SCRIPT


def committing(message: str) -> str:
    """Return a script that commits all that there is, and one file more."""
    return f"touch {message}.done; git add --all; git commit --quiet --message {message}"


def files_with(folder: Path, text: str) -> list[str]:
    search = ["grep", "-rlaF", "--devices=skip", text, str(folder)]
    return subprocess.run(search, capture_output=True, text=True, check=False).stdout.split()


@dataclass
class Remote:
    """Somebody who has a repository, and a cluster."""

    home: Path
    sample: SampleRepository
    cluster: Cluster
    env: Mapping[str, str]
    model: str = "http://model.example.com/v1"  # the stand-in asks none

    def types(self, script: str, *options: str) -> subprocess.Popen[str]:
        """Start the sample's plan on a node, with an agent that runs a script."""
        assert "'" not in script
        self.sample.write_env(self.model, **{SCRIPT: f"'{script}'"})
        know_prompts(self.home, self.sample, self.model)
        return subprocess.Popen(
            [LW_CODER, "code", PLAN_ID, "--headless", "--json", *options],
            cwd=self.sample.root,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def runs(self, script: str, *options: str) -> tuple[int, dict[str, Any], str]:
        """Run the plan to its end; return the status, the document, and what was said."""
        return self.ended(self.types(script, *options))

    def ended(self, process: subprocess.Popen[str]) -> tuple[int, dict[str, Any], str]:
        with process:
            stdout, stderr = process.communicate(timeout=PATIENCE)
        return process.returncode, json.loads(stdout or "{}"), stderr

    @property
    def run(self) -> Path:
        return run_folders(self.sample.root, PLAN_ID)[-1]

    @property
    def worktree(self) -> Path:
        return self.sample.root / ".lw_coder/worktrees" / PLAN_ID

    def on_nodes(self) -> list[Path]:
        """List the work folders of attempts."""
        return self.files_on_nodes("")

    def files_on_nodes(self, pattern: str) -> list[Path]:
        """List files of attempts by a pattern below their work folders."""
        work = f"work/lw-*/{pattern}".rstrip("/")
        return [path for node in self.cluster.nodes for path in node.work.glob(work)]

    def configure(self, more: str = "") -> None:
        """Write and commit the settings; the session's image is the stand-in."""
        text = (
            f'[code]\nengine = "swarm"\nallow_hosts = []\n{more}\n'
            f'[code.swarm]\nregistry = "http://{self.cluster.registry}/team"\nslot = "{SLOT}"\n'
        )
        folder = self.sample.root / ".lw_coder"
        (folder / "config.toml").write_text(text, encoding="ascii")
        (folder / "code.Dockerfile").write_text("FROM lw_coder_droid:latest\n", encoding="ascii")
