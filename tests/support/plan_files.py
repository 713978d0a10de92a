"""Plan files, right and wrong."""

from __future__ import annotations

from pathlib import Path

SHA = "0123456789abcdef0123456789abcdef01234567"
KEYS = {"plan_id": "a-plan", "git_sha": SHA, "status": "ready", "evaluation_notes": "[]"}


def text(body: str = "# Do it\n", /, **changed: str | None) -> str:
    """A plan's text; a key that is None is left out."""
    keys = {name: value for name, value in {**KEYS, **changed}.items() if value is not None}
    return "---\n" + "".join(f"{name}: {value}\n" for name, value in keys.items()) + f"---\n{body}"


def written(folder: Path, content: str | bytes, name: str = "plan.md") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path
