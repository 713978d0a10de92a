"""What the tests of DSPy's cache have in common."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import dspy
import pytest


@pytest.fixture(autouse=True)
def own_cache() -> Iterator[None]:
    """Put DSPy's cache back after a test, and close the test's own: each has some fifty files open."""
    before = dspy.cache
    yield
    if dspy.cache is not before:
        dspy.cache = before
        gc.collect()
