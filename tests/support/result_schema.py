"""Check a result document against the schema that the reference has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

SCHEMA = Path(__file__).parents[2] / "docs/reference/result.schema.json"


def result_of(stdout: str) -> dict[str, Any]:
    """Return the one document that a command printed, once it is what the schema says."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    document: dict[str, Any] = json.loads(stdout)
    Draft202012Validator(schema).validate(document)
    return document


def require_verdict(verdict: Any) -> None:
    """Check a verdict against its part of the schema."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    Draft202012Validator({"$ref": "#/$defs/verdict", "$defs": schema["$defs"]}).validate(verdict)


def document_of(command: str, stdout: str) -> dict[str, Any]:
    """Return the one document that a command printed with `--json`, once it is what its schema says."""
    schema = json.loads(SCHEMA.with_name(f"{command}.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    document: dict[str, Any] = json.loads(stdout)
    Draft202012Validator(schema).validate(document)
    return document
