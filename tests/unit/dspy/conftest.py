"""What the tests of DSPy's cache have in common."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import dspy
import pytest


@pytest.fixture(scope="session", autouse=True)
def kept_modules() -> Iterator[None]:
    """Leave what has been imported out of the collections, each of which would look at all of DSPy."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def own_cache() -> Iterator[None]:
    """Put DSPy's cache back after a test, and close the test's own: each has some fifty files open."""
    before = dspy.cache
    yield
    if dspy.cache is not before:
        dspy.cache = before
        gc.collect()
