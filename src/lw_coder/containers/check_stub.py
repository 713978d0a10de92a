"""Render verdict/check.yml of a run that has no verdict yet, so that compose.yml can include the file."""

from __future__ import annotations

import shlex

from lw_coder.containers.compose_files import dump

CHECK_FILE = "check.yml"
CHECK_SERVICE = "check"


def render_stub(image: str, run: str) -> str:
    """Return the text of check.yml in a run that has not been verified.

    Args:
        image: id of an image that has a shell.
        run: the run's name, as `lw_coder verify` takes it.
    """
    told = f"This run has not been verified. Type: lw_coder verify {run}"
    command = ["sh", "-c", f"echo {shlex.quote(told)} >&2; exit 1"]
    fixed = {"profiles": ["check"], "pull_policy": "never", "network_mode": "none"}
    return dump({"services": {CHECK_SERVICE: {**fixed, "image": image, "command": command}}}, CHECK_FILE)
