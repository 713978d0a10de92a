"""Fixtures that several tests share have a home too: they are made before any test's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.isolated_home import isolate

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session", autouse=True)
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        isolate(monkeypatch, tmp_path_factory.mktemp("shared-home"))
        yield
