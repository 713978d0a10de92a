"""Where a model's answers are kept, so that an equal question costs nothing and needs no server."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path
from typing import Any

import dspy
from dspy.clients.cache import Cache

SIZE_LIMIT = 256 * 2**20  # bytes; the oldest answers go first

logger = logging.getLogger(__name__)


class AnswerCache(Cache):  # type: ignore[misc]
    """DSPy's own cache, which also counts misses and takes a damaged entry for a miss.

    DSPy tells a hit from a request only by an empty usage, which a server may send as well.
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

    def get(self, request: dict[str, Any], ignored_args_for_cache_key: list[str] | None = None) -> Any:
        """Look an answer up; None is a miss, which DSPy follows with a request."""
        try:
            found = super().get(request, ignored_args_for_cache_key)
        except sqlite3.Error as error:
            logger.warning("an answer in the cache cannot be read: %s: %s", self.disk_cache_dir, error)
            found = None
        self.misses += found is None
        return found


def open_cache(folder: Path) -> AnswerCache:
    """Let DSPy keep answers in `folder`, by its version: another version cannot read them.

    Folders are made 0700. One that cannot be used costs a warning and the saving, never the run.
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
