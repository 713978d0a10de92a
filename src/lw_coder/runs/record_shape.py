"""Whether a JSON document is a run's record: its schema, and the types of the fields that lw_coder reads."""

from __future__ import annotations

from collections.abc import Mapping

SCHEMA = 1

_NAMES = {dict: "an object", list: "a list", str: "a text", bool: "true or false", int: "a whole number"}
_FIELDS: Mapping[str, type] = {
    **dict.fromkeys(("kind", "replays", "model", "login", "continues", "git_sha"), str),
    **dict.fromkeys(("plan", "signature", "program_state", "usage", "images", "versions", "limits"), dict),
    **dict.fromkeys(("ended", "taken", "verdict"), dict),
    **dict.fromkeys(("cache_hit", "headless"), bool),
    "attempts": int,
    "forwarded": list,
}
_INNER: Mapping[str, Mapping[str, type]] = {
    "plan": {**dict.fromkeys(("plan_id", "git_sha", "file"), str), "checks": list},
    "signature": {"name": str, "inputs": dict, "outputs": dict},
    "images": {"base": str, "repo": str},
    "ended": {
        **dict.fromkeys(("status", "commits"), int),
        **dict.fromkeys(("outcome", "started_at", "ended_at", "tip", "problem"), str),
        **dict.fromkeys(("limit", "agent", "refused", "spent", "uncommitted"), dict),
        **dict.fromkeys(("refs", "notes", "plans"), list),
        "branch_moved": bool,
    },
    "taken": dict.fromkeys(("tip", "commit", "into", "how"), str),
    "verdict": {"passed": bool, "tip": str, "reasons": list, "changes": list},
}


def fault_of_record(document: object) -> str | None:
    """Return why a document is no run's record, in words that follow a colon; None if it is one.

    A field that is missing or null is none: a run of another version can have fewer, or more.
    """
    if not isinstance(document, dict):
        return "it is not an object"
    schema = document.get("schema")
    if type(schema) is not int or schema != SCHEMA:
        return f"its schema is not {SCHEMA}"
    if "ended" not in document:
        return "it does not say whether the session has ended"
    return _fault_of_fields(document, _FIELDS, "") or _fault_of_inner(document)


def _fault_of_inner(document: Mapping[str, object]) -> str | None:
    inner = {name: document.get(name) for name in _INNER}
    faults = (
        _fault_of_fields(part, _INNER[name], f"{name}.")
        for name, part in inner.items()
        if isinstance(part, dict)
    )
    return next(filter(None, faults), None)


def _fault_of_fields(values: Mapping[str, object], fields: Mapping[str, type], place: str) -> str | None:
    for name, wanted in fields.items():
        value = values.get(name)
        if value is not None and type(value) is not wanted:
            return f"{place}{name} is not {_NAMES[wanted]}"
    return None
