"""Show what a headless agent does: one live line in a terminal, elsewhere a line for each step."""

from __future__ import annotations

import re
import time
from pathlib import Path

from lw_coder.foundation.counting import counted
from lw_coder.foundation.redaction import Redaction
from lw_coder.foundation.report import clear_live, say, show_live
from lw_coder.repository.importing.untrusted_files import UntrustedFolder
from lw_coder.sessions.droid_events import Event

_LONGEST = 100  # characters of a step
_MOST_LINES = 20_000  # an agent can print any number of events, and a log of them would fill the disk
_MOST_READ = 1 << 16  # bytes of the reflog at once
_ENTRY = re.compile(r"[0-9a-f]+ ([0-9a-f]{40,64}) .*\tcommit[^:]*: (.*)")


class Progress:
    """Shows the steps of an agent, and the commits that appear in its reflog.

    Args:
        folder: the run's.
        branch: the branch that the agent commits to.
        redaction: is applied to the subjects of commits; events come without secrets.
    """

    def __init__(self, folder: Path, branch: str, redaction: Redaction) -> None:
        self._git, self._reflog = UntrustedFolder(folder), f"git/logs/refs/heads/{branch}"
        self._redaction = redaction
        self._read = 0
        self._begun = time.monotonic()
        self._last = "starting"
        self._lines = 0

    def show(self, event: Event) -> None:
        """Show a step of the agent."""
        if event.subagent:
            self._tell(f"subagent {event.subagent}")
        elif event.kind == "tool_call":
            self._tell(" ".join(filter(None, event.call)))
        elif event.kind == "error":
            self._tell(f"error: {event.message}")

    def tick(self, turns: int) -> None:
        """Show new commits, and how much time has passed."""
        for sha, subject in self._commits():
            self._tell(f"commit {sha[:12]} {self._redaction.text(subject)}")
        minutes, seconds = divmod(int(time.monotonic() - self._begun), 60)
        show_live(f"Agent:    {minutes}:{seconds:02}, {counted(turns, 'answer')}, {self._last}")

    def end(self) -> None:
        """Remove the live line."""
        clear_live()

    def _tell(self, step: str) -> None:
        self._last = step if len(step) <= _LONGEST else f"{step[:_LONGEST]} ..."
        if show_live(f"Agent:    {self._last}") or self._lines > _MOST_LINES:
            return
        self._lines += 1
        more = self._lines > _MOST_LINES
        say("Agent:    further steps are not shown" if more else f"Agent:    {self._last}")

    def _commits(self) -> list[tuple[str, str]]:
        added = self._git.read_part(self._reflog, self._read, _MOST_READ)
        complete = added[: added.rfind(b"\n") + 1] if len(added) < _MOST_READ else added
        self._read += len(complete)
        lines = complete.decode(errors="replace").split("\n")
        return [(found[1], found[2]) for line in lines if (found := _ENTRY.match(line))]
