"""The command that is tested."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support.forked import forked
from tests.support.patience import PATIENCE

_NAMED = os.environ.get("LW_CODER")  # another installation's, such as a wheel's, where that is what is tested
LW_CODER = _NAMED or str(Path(sys.executable).with_name("lw_coder"))


def typed(*words: str, cwd: Path, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Type a command that ends by itself, with nothing to read; only another installation's has to start."""
    if not _NAMED:
        return forked(*words, cwd=cwd, env=env)
    return subprocess.run(
        [_NAMED, *words],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
