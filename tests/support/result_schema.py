"""Check a result document against the schema that the reference has."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

SCHEMA = Path(__file__).parents[2] / "docs/reference/result.schema.json"


def result_of(stdout: str) -> dict[str, Any]:
    """Return the one document that a command printed, once it is what the schema says."""
    return _validated(SCHEMA, stdout)


def require_verdict(verdict: Any) -> None:
    """Check a verdict against its part of the schema."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    Draft202012Validator({"$ref": "#/$defs/verdict", "$defs": schema["$defs"]}).validate(verdict)


def document_of(command: str, stdout: str) -> dict[str, Any]:
    """Return the one document that a command printed with `--json`, once it is what its schema says."""
    return _validated(SCHEMA.with_name(f"{command}.schema.json"), stdout)


def _validated(path: Path, stdout: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(stdout)
    _validator(path).validate(document)
    return document


@cache
def _validator(path: Path) -> Draft202012Validator:
    """Read a schema; that it is right itself is looked at but once."""
    schema = json.loads(path.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)
