"""JSON of any length and depth is read, or refused with a ValueError."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest

from lw_coder.foundation.files import LONGEST as LONGEST_FILE
from lw_coder.foundation.files import read_regular
from lw_coder.foundation.json_text import DEEPEST, LONGEST, BoundsError, read_json, read_json_as
from tests.support.patience import within_cpu_time

SECONDS = 20  # of processor time; each takes less than one


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


def test_what_is_nested_as_deeply_as_allowed_is_read() -> None:
    found = read_json(nested(DEEPEST))
    for _ in range(DEEPEST - 1):
        (found,) = found
    assert found == []


@pytest.mark.parametrize("depth", [DEEPEST + 1, 500, 990, 5_000_000])
def test_what_is_nested_more_deeply_is_refused(depth: int) -> None:
    def read() -> str:
        with pytest.raises(BoundsError, match="nested too deeply"):
            read_json(nested(depth))
        with pytest.raises(BoundsError, match="nested too deeply"):
            read_json_as(nested(depth).encode(), list)
        return "refused"

    assert within_cpu_time(SECONDS, read) == "refused"


def test_brackets_in_texts_do_not_count() -> None:
    text = "[" * 10_000 + '\\"' + "{" * 10_000
    assert read_json('{"a": "' + text + '"}') == {"a": text.replace("\\", "")}


@pytest.mark.parametrize("begun", ['"', '"\\', '["a", "', '[["' * 1000, '{"a":' * 10])
def test_what_is_cut_off_takes_no_longer(begun: str) -> None:
    def read() -> str:
        with suppress(BoundsError, json.JSONDecodeError):
            read_json(begun + "[\\" * 1_000_000)
        return "refused"

    assert within_cpu_time(SECONDS, read) == "refused"


def test_what_is_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BoundsError, match="is longer than"):
        read_json(" " * (LONGEST + 1))
    with (tmp_path / "large").open("wb") as file:
        file.truncate(LONGEST_FILE + 1)
    with pytest.raises(OSError, match="File too large"):
        read_regular(tmp_path / "large")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_json_does_not_have(number: str) -> None:
    assert read_json(f"[{number}]", finite=True) == [None]
