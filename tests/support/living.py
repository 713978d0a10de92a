"""Whether a process still runs: one that has ended can be there until somebody asks for its status."""

from __future__ import annotations

from pathlib import Path


def is_living(pid: int) -> bool:
    """Return whether a process runs, and is not a status that nobody has asked for yet."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in {"Z", "X"}
