"""Whatever a person or a model writes is read, or refused by an error of ours; nothing else comes out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lw_coder.settings.docker_flags import BUILD_FLAGS, RUN_FLAGS, parse_build_flags, parse_run_flags
from tests.support.properties import PROPERTIES, SNAGS, Property, quiet, refused_or_read

EXAMPLES = 60  # the same every time, and no clock: such a test fails for a reason, or not at all


@pytest.mark.parametrize("one", PROPERTIES, ids=lambda one: one.name.replace(" ", "-"))
def test_a_reader_takes_any_input(tmp_path: Path, one: Property) -> None:
    assert one.hold(tmp_path, quiet(EXAMPLES, repeats=True)) > EXAMPLES / 2


@pytest.mark.parametrize("parse", [parse_run_flags, parse_build_flags])
@pytest.mark.parametrize("snag", SNAGS)
def test_each_docker_flag_with_each_snag(parse: Callable[[list[str]], object], snag: str) -> None:
    for name in {**RUN_FLAGS, **BUILD_FLAGS}:
        refused_or_read(lambda flag=name: parse([flag, snag]))  # type: ignore[misc]
        refused_or_read(lambda flag=name: parse([f"{flag}={snag},"]))  # type: ignore[misc]
