"""Stop a session that floods the folder of its transcripts, which stays on the host when it has ended."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lw_coder.foundation.report import printable, warn


@dataclass(frozen=True)
class Limits:
    """How much a session may leave beside its commits; ten hours of work make some 20 MB.

    Attributes:
        size: bytes in all, holes in files counted.
        entries: files and folders.
        interval: seconds from one look to the next.
    """

    size: int = 1 << 30
    entries: int = 100_000
    interval: float = 2.0


LIMITS = Limits()


@contextmanager
def stopped_if_flooded(folder: Path, stop: Callable[[], object], limits: Limits = LIMITS) -> Iterator[None]:
    """Look at a folder again and again during the block; too large, call `stop` and tell the person.

    Args:
        folder: what a running container writes.
        stop: ends that container, from another thread.
        limits: what is too large, and how often it is looked for.
    """
    ended, flooded = threading.Event(), threading.Event()

    def watch() -> None:
        while not ended.wait(limits.interval):
            if is_flooded(folder, limits):
                flooded.set()
                stop()
                return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    if flooded.is_set():
        name = printable(str(folder))
        warn(f"the session was stopped: it wrote too much to {name}; inspect and remove that folder")


def is_flooded(folder: Path, limits: Limits = LIMITS) -> bool:
    """Tell whether a folder holds more than the limits allow."""
    waiting, seen, size = [str(folder)], 0, 0
    while waiting:
        try:
            # A link that takes the folder's place just now makes us count something else, and no more.
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    seen += 1
                    size += entry.stat(follow_symlinks=False).st_size
                    if size > limits.size or seen > limits.entries:
                        return True
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
        except OSError:
            continue  # gone meanwhile, or too deep
    return False
