"""A shorter talk of a chatty agent than that of `nox -s torture`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.torture.cases import Extent
from tests.torture.long_sessions import opened

SHARE = 0.05

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root may start an engine")


def test_nothing_grows_while_an_agent_talks(tmp_path: Path) -> None:
    with opened(tmp_path, Extent(SHARE)) as cases:
        wrong = {case.name: found for case in cases[:1] if (found := case.run())}
    assert wrong == {}
