"""docs/configuration.md says what the program does."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from lw_coder.foundation.errors import ConfigError
from lw_coder.settings.config import CodeConfig
from lw_coder.settings.docker_flags import BUILD_FLAGS, RUN_FLAGS, Flag, parse_build_flags, parse_run_flags
from lw_coder.settings.environment import DEFAULT_BASE_URL, DEFAULT_MODEL

TEXT = Path(__file__).parents[3].joinpath("docs/configuration.md").read_text(encoding="ascii")


def section(title: str) -> str:
    return TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def rows(title: str) -> list[tuple[str, ...]]:
    lines = [line for line in section(title).splitlines() if line.startswith("| `")]
    return [tuple(re.findall(r"`([^`]+)`", line)) for line in lines]


@pytest.mark.parametrize(
    ("title", "flags"), [("docker_run_args", RUN_FLAGS), ("docker_build_args", BUILD_FLAGS)]
)
def test_the_flag_tables(title: str, flags: dict[str, Flag]) -> None:
    assert {row[0]: row[-1] for row in rows(title)} == {name: flag.key for name, flag in flags.items()}
    assert [row[0] for row in rows(title)] == sorted(flags)


def test_short_names_are_those_of_the_long() -> None:
    for title, parse in (("docker_run_args", parse_run_flags), ("docker_build_args", parse_build_flags)):
        for name, *shorts, _ in rows(title):
            for short in shorts:
                assert parse([short, "1"]).keys == parse([name, "1"]).keys


def test_flags_that_are_told_to_be_errors_are() -> None:
    told = (
        section("docker_run_args")
        .partition("are errors: those that lw_coder")[2]
        .partition("**Dangerous**")[0]
    )
    for flag in re.findall(r"`(-[^`]+)`", told):
        with pytest.raises(ConfigError):
            parse_run_flags([flag, "1"])


def test_dangerous_flags_are_warned_of() -> None:
    told = section("docker_run_args").partition("**Dangerous**")[2].partition(";")[0]
    flags = re.findall(r"`(--[^`]+)`", told)
    assert "--privileged" in flags
    for flag in flags:
        assert parse_run_flags([flag] if RUN_FLAGS[flag].is_switch else [flag, "x"]).dangers


def test_the_keys_and_the_examples() -> None:
    assert [row[0] for row in rows("`[code]`")] == list(CodeConfig.__struct_fields__)
    smallest, full = (tomllib.loads(text) for text in re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL))
    assert msgspec.convert(smallest["code"], CodeConfig) == CodeConfig()
    config = msgspec.convert(full["code"], CodeConfig)
    assert set(full["code"]) == set(CodeConfig.__struct_fields__)
    assert config.run_options.keys["mem_limit"] == "8g"
    assert config.build_options.secrets == {"netrc": {"file": "./netrc"}}
    assert config.warnings() == []


def test_the_defaults() -> None:
    assert f"`{DEFAULT_BASE_URL}`" in TEXT
    assert f"`{DEFAULT_MODEL}`" in TEXT
