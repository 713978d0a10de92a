"""Each command with --json has a schema, and each schema a command and a place in the reference."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
from jsonschema import ValidationError

from lw_coder.cli import cli
from tests.support.json_schemas import REFERENCE, schema_names, schema_path, validated, validator

SAME = {"plans": "plans-list", "code": "result"}  # without a command, a group prints its list
LINES = {"runs-export"}  # a document in each line, without --json


def commands_with_json(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[str]:
    for name, command in group.commands.items():
        if any("--json" in parameter.opts for parameter in command.params):
            yield "-".join((*path, name))
        if isinstance(command, click.Group):
            yield from commands_with_json(command, (*path, name))


def test_each_command_with_json_has_a_schema_and_no_other_has() -> None:
    named = {SAME.get(name, name) for name in commands_with_json(cli)}
    assert named | LINES == schema_names(), "docs/reference/schemas has one for each"


def test_each_schema_is_in_the_reference() -> None:
    page = (REFERENCE / "json.md").read_text(encoding="utf-8")
    for name in schema_names():
        assert f"`{schema_path(name)}`" in page, "add a row for it"


@pytest.mark.parametrize("name", sorted(schema_names()))
def test_each_schema_refuses_what_is_no_document_of_the_command(name: str) -> None:
    assert validator(name).schema
    for wrong in ("{}", '[{"run": 1}]', '"text"'):
        with pytest.raises(ValidationError):
            validated(name, wrong)
