"""What the tests of DSPy's cache have in common."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def closed_caches() -> Iterator[None]:
    """Close the caches of each test: every one has some fifty files open, until it is collected."""
    yield
    gc.collect()
