"""Tell a person that an unattended run has ended: `[code] notify`, a command that runs on their machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from lw_coder.foundation.processes import run_program
from lw_coder.foundation.report import warn

SECONDS = 30.0

# All that the command gets: what a program needs to find its files and the person's desktop. A pattern would
# let variables in that hold keys.
PASSED_ON = (
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TZ"),
    *("LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "LC_MESSAGES", "LC_TIME", "LC_NUMERIC", "LC_COLLATE"),
    *("DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY"),
    *("XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"),
    *("XDG_CURRENT_DESKTOP", "XDG_SESSION_TYPE"),
)


def notify(command: Sequence[str], root: Path, document: str) -> None:
    """Run the command in the repository's root, with the result on standard input; a failure is a warning."""
    variables = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    if problem := run_program(command, f"{document}\n", root, variables, SECONDS):
        warn(f"notify: {command[0]}: {problem}; the result is not affected")
