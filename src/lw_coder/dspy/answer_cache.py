"""The cache of a model's answers, so that the same question costs nothing and needs no server."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dspy
from dspy.clients.cache import Cache

SIZE_LIMIT = 256 * 2**20  # bytes; the oldest answers are removed first

logger = logging.getLogger(__name__)


def _nothing() -> None:
    """Do nothing."""


class AnswerCache(Cache):  # type: ignore[misc]
    """DSPy's own cache, which also counts misses and treats a damaged entry as a miss.

    DSPy marks a hit only by an empty usage, which a server may send as well.

    Attributes:
        misses: how many requests were not answered from the cache.
        on_miss: called before each of them is sent, in the thread that sends it.
    """

    def __init__(self, folder: Path | None) -> None:
        super().__init__(
            enable_disk_cache=folder is not None,
            enable_memory_cache=True,
            disk_cache_dir=str(folder),
            disk_size_limit_bytes=SIZE_LIMIT,
            restrict_pickle=True,
        )
        self.misses = 0
        self.on_miss: Callable[[], None] = _nothing

    def cache_key(self, request: dict[str, Any], ignored_args_for_cache_key: list[str] | None = None) -> str:
        """Return the key of a request. Another time limit must not make every answer a miss."""
        return str(super().cache_key(request, [*(ignored_args_for_cache_key or ()), "timeout"]))

    def get(self, request: dict[str, Any], ignored_args_for_cache_key: list[str] | None = None) -> Any:
        """Look an answer up; None is a miss, which DSPy follows with a request."""
        try:
            found = super().get(request, ignored_args_for_cache_key)
        except sqlite3.Error as error:
            logger.warning("an answer in the cache cannot be read: %s: %s", self.disk_cache_dir, error)
            found = None
        if found is None:
            self.misses += 1
            self.on_miss()
        return found


def open_cache(folder: Path) -> AnswerCache:
    """Make DSPy store answers in `folder`, by its version: other versions cannot read them.

    Folders are created with mode 0700. If one cannot be used, answers are not cached, with a warning.
    """
    dspy.cache = cache = _on_disk(folder / dspy.__version__) or AnswerCache(None)
    return cache


def _on_disk(folder: Path) -> AnswerCache | None:
    try:
        for path in (folder.parent, folder):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return AnswerCache(folder)
    except (OSError, sqlite3.Error) as error:
        reason = getattr(error, "strerror", None) or error
        logger.warning("answers are not cached: %s: %s; repair or delete that folder", folder, reason)
        return None
