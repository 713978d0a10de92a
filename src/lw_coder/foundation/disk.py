"""How much room folders take."""

from __future__ import annotations

import os
from pathlib import Path

_BLOCK = 512  # bytes, whatever the file system's own blocks are
_STEP, _EXACT = 1000, 10  # of units; amounts below the second have a decimal
_MOST = 2_000_000  # entries that are counted


def size_of(folder: Path) -> int:
    """Return the bytes that a folder takes on the disk, without following links; an agent may have made it.

    What cannot be read, and what comes after the first two million entries, is not counted.
    """
    total, seen, waiting = 0, 0, [str(folder)]
    while waiting and seen < _MOST:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    seen += 1
                    total += entry.stat(follow_symlinks=False).st_blocks * _BLOCK
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    if seen >= _MOST:
                        break
        except OSError:
            continue
    return total


def readable_size(size: int) -> str:
    """Format a number of bytes, such as `740 MB`."""
    amount, units = float(size), ["B", "kB", "MB", "GB", "TB"]
    while amount >= _STEP and len(units) > 1:
        amount /= _STEP
        units.pop(0)
    return f"{amount:.1f} {units[0]}" if amount < _EXACT and units[0] != "B" else f"{amount:.0f} {units[0]}"
