"""Wait for docker's answers, and show that they are waited for: an engine can be frozen, or very busy."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from lw_coder.foundation.report import clear_live, say, show_live

T = TypeVar("T")

_SHOWN_AFTER = 1.0  # seconds without an answer; at a terminal, until it comes
_TOLD_AFTER = 5.0  # seconds until a line that stays says it
_LINE = "Docker:   the engine does not answer yet; waiting for it"


class _Silence:
    """What has been shown since the engine's last answer."""

    def __init__(self) -> None:
        self._is_told = False
        self._is_shown = False

    def show(self) -> None:
        """Show at a terminal that the engine is waited for."""
        # Only in the main thread, which waits for droid while droid has the screen.
        if not self._is_told and threading.current_thread() is threading.main_thread():
            self._is_shown = show_live(_LINE)

    def tell(self) -> None:
        """Say it, once until the next answer."""
        if not self._is_told:
            self._is_told, self._is_shown = True, False  # the line replaces what is shown
            say(_LINE)

    def end(self, *, is_answered: bool) -> None:
        """Remove what is shown."""
        if self._is_shown:
            self._is_shown = False
            clear_live()
        if is_answered:
            self._is_told = False


_SILENCE = _Silence()


def answer_within(seconds: float, wait: Callable[[float], T | None]) -> T | None:
    """Wait for an answer of the engine, and show this if it takes long; None if it does not come in time.

    Args:
        seconds: how long it may take.
        wait: waits for so many seconds; returns the answer or None.
    """
    answer = None
    try:
        answer = _awaited(seconds, wait)
    finally:
        _SILENCE.end(is_answered=answer is not None)
    return answer


def _awaited(seconds: float, wait: Callable[[float], T | None]) -> T | None:
    waited = 0.0
    for until, show in ((_SHOWN_AFTER, _SILENCE.show), (_TOLD_AFTER, _SILENCE.tell)):
        if seconds <= until:
            break
        answer = wait(until - waited)
        if answer is not None:
            return answer
        waited = until
        show()
    return wait(seconds - waited)
