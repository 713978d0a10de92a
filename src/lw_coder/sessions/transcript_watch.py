"""Stop a session by what it writes into the folder of its transcripts, which stays on the host.

That is too much of anything, or that its model can never finish an answer.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from lw_coder.foundation.report import printable, warn
from lw_coder.sessions.cut_off_answers import WHY, CutOffAnswers


class Limits(Struct, frozen=True):
    """How much a session may write besides its commits; ten hours of work make about 20 MB.

    Attributes:
        size: bytes in total, including holes in files.
        entries: files and folders.
        interval: seconds between checks.
    """

    size: int = 1 << 30
    entries: int = 100_000
    interval: float = 2.0


LIMITS = Limits()


@contextmanager
def stopped_if_flooded(
    folder: Path, stop: Callable[[], object], limits: Limits = LIMITS
) -> Iterator[list[str]]:
    """Check a folder regularly during the block; if something is wrong, call `stop` and warn the person.

    Yields a list that then has the reason.

    Args:
        folder: the folder that a running container writes.
        stop: ends that container; it is called from another thread.
        limits: what is too large, and how often to check.
    """
    ended, reasons, answers = threading.Event(), list[str](), CutOffAnswers(folder.parent)

    def watch() -> None:
        while not ended.wait(limits.interval):
            if reason := _reason_to_stop(folder, limits, answers):
                reasons.append(reason)
                stop()
                return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield reasons
    finally:
        ended.set()
        thread.join()
    for reason in reasons:
        warn(f"the session was stopped: {reason}")


def _reason_to_stop(folder: Path, limits: Limits, answers: CutOffAnswers) -> str | None:
    if is_flooded(folder, limits):
        return f"it wrote too much to {printable(str(folder))}; inspect and remove that folder"
    return WHY if answers.are_too_many() else None


def is_flooded(folder: Path, limits: Limits = LIMITS) -> bool:
    """Return whether a folder contains more than the limits allow."""
    waiting, seen, size = [str(folder)], 0, 0
    while waiting:
        try:
            # If a link replaces the folder just now, the count is wrong, but nothing else happens.
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    seen += 1
                    size += entry.stat(follow_symlinks=False).st_size
                    if size > limits.size or seen > limits.entries:
                        return True
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
        except OSError:
            continue  # removed meanwhile, or too deep
    return False
