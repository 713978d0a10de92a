"""Check what a command with --json prints against the schema that the reference has of it."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

REFERENCE = Path(__file__).parents[2] / "docs/reference"
_ENDING = ".schema.json"
_LISTS = "schemas"  # the folder of those of commands that list or show; the others stand beside their pages


def schema_names() -> set[str]:
    """Return the names of the schemas, such as `runs-list`."""
    return {path.name.removesuffix(_ENDING) for path in REFERENCE.rglob(f"*{_ENDING}")}


def schema_path(name: str) -> Path:
    """Return the path of a schema below the reference."""
    below = f"{_LISTS}/{name}{_ENDING}"
    return Path(below if (REFERENCE / below).exists() else f"{name}{_ENDING}")


def validator(name: str) -> Draft202012Validator:
    """Return what checks a document of a command, named such as `runs-list`."""
    return Draft202012Validator({"$ref": (REFERENCE / schema_path(name)).as_uri()}, registry=_registry())


@cache
def _registry() -> Registry[Any]:
    """Read all schemas, which refer to each other; that they are right themselves is looked at but once."""
    paths = REFERENCE.rglob(f"*{_ENDING}")
    resources = ((path.as_uri(), Resource.from_contents(_read(path))) for path in paths)
    return Registry().with_resources(resources)


def validated(name: str, stdout: str) -> Any:
    """Return the one document that a command printed, once it is what the schema says."""
    document = json.loads(stdout)
    validator(name).validate(document)
    return document


def _read(path: Path) -> Any:
    schema = json.loads(path.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return schema
